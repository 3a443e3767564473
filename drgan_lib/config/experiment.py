"""One material at one profile: the `Experiment`, how it is made from names, files and overrides, and its twin."""

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from drgan_lib.config.base import ConfigError, Section, readable_refusals
from drgan_lib.config.material import DETECTOR_BOUNDS, Material
from drgan_lib.config.overrides import changed_settings, materials, parse_overrides
from drgan_lib.config.profile import PROFILES, Profile


class Experiment(Section):
    """One material at one profile with one seed, and the folder that it writes to."""

    material: Material
    profile: Profile
    seed: int = Field(0, ge=0)
    runs: Path = Path("runs")

    @model_validator(mode="after")
    def _patch_can_be_halved(self) -> Self:
        settings = self.profile.segmentation
        name = "segmentation.patch_px" if self.network_px == settings.patch_px else "patches.size_px"
        factor = 2 ** (settings.stages - 1)
        if settings.trainer == "compact" and self.network_px % factor:
            raise ValueError(
                f"{name}: expected a multiple of {factor}, since a U-Net with segmentation.stages="
                f"{settings.stages} halves the patch {settings.stages - 1} times, got {self.network_px}; "
                "lower segmentation.stages, or choose another size"
            )
        return self

    @property
    def network_px(self) -> int:
        """Side of the patches that the segmentation network sees at once: no more than the training images have."""
        size_px = self.material.patches.size_px
        return min(self.profile.segmentation.patch_px or size_px, size_px)

    @property
    def run_dir(self) -> Path:
        return self.runs / self.material.name / self.profile.name


def load_experiment(
    material: str,
    profile: str = "demo",
    overrides: dict[str, Any] | list[str] | None = None,
    *,
    seed: int = 0,
    runs: str | Path | None = None,
) -> Experiment:
    """Settings of `material` (a name or the path of a YAML file) at `profile`, with `section.key` overrides.

    What the file says of other things than the overrides is left out. With `dataset.path`, `dataset.registry` or
    `dataset.twin_of`, that are its `dataset` settings; a twin's micrographs have the modality and the pixel size of
    its material. With another `meshes.shape` or `layout.sizes.law`, they are those of the shape or law, but for those
    that all of them have. With `segmentation.trainer=default`, the profile's settings of the compact trainer do not
    apply, nor with `gan.detector=gaussian` the material's bounds of what only the other detector learns. Raises
    `ConfigError` naming the key for anything unknown, of the wrong type, impossible together, or without effect, as
    settings of a twin that is not used.
    """
    if profile not in PROFILES:
        raise ConfigError(f"unknown profile {profile!r}; expected one of {', '.join(PROFILES)}")
    values = parse_overrides(overrides)
    tree = changed_settings(material, profile, values)
    with readable_refusals(str(material)):
        exp = Experiment(
            material=Material.model_validate(tree["material"]),
            profile=Profile.model_validate(tree["profile"]),
            seed=seed,
            runs=Path(runs or os.environ.get("DRGAN_RUNS", "runs")),
        )
    changed, name = [key for key in values if key.split(".")[0] == "twin"], exp.material.name
    if changed and exp.material.dataset.twin_of != name:
        raise ConfigError(
            f"{', '.join(changed)}: describes the twin of {name}, but the micrographs are others; add "
            f"dataset.twin_of={name}, or leave it out"
        )
    return exp


def twin_source(material: Material) -> Material:
    """The material that `dataset.twin_of` of `material` names: itself, or another one as its file says.

    It has no bounds of the detector: that of its microscope is described in its section `twin`.

    Raises `ConfigError` for an unknown name, for a material without a section `twin`, and for twins whose micrographs
    are smaller than the patches of `material`.
    """
    name = material.dataset.twin_of
    if name == material.name:
        bounds = {key: value for key, value in material.bounds.items() if key not in DETECTOR_BOUNDS}
        return material.model_copy(update={"bounds": bounds})
    try:
        source = load_experiment(name).material
    except ConfigError as error:
        raise ConfigError(f"dataset.twin_of: {error}") from None
    if source.twin is None:
        known = [other for other in materials() if load_experiment(other).material.twin]
        raise ConfigError(
            f"dataset.twin_of names {name}, which has no section `twin`; describe it there, or name one of "
            f"{', '.join(known)}"
        )
    source.require_twin()
    if source.twin.size_px < material.patches.size_px:
        raise ConfigError(
            f"dataset.twin_of names {name}, whose micrographs are {source.twin.size_px} px wide, but patches.size_px "
            f"is {material.patches.size_px}; lower it, and scene.size_px with it"
        )
    return source


def twin_settings(material: Material) -> dict[str, Any]:
    """Settings of `material` that decide the images of its twin, as plain values; where files lie is none of them."""
    settings = material.model_dump(mode="json", include={"twin", "meshes", "layout", "scene", "bounds"})
    del settings["meshes"]["path"]
    settings["layout"]["sizes"].pop("table", None)
    return settings | {"pixel_size_nm": material.dataset.working_pixel_size_nm}


def user_files(material: Material) -> list[Path]:
    """The user's files among the ingredients of layouts: meshes, and the table of sizes.

    Raises `ConfigError` if there is no such folder, or nothing in it.
    """
    folder, table = material.meshes.path, getattr(material.layout.sizes, "table", None)
    files = []
    if folder is not None:
        files = sorted(path for path in folder.expanduser().glob("*") if path.is_file())
        if not files:
            came = f"but {folder} is empty" if folder.expanduser().is_dir() else f"got {folder}"
            raise ConfigError(f"meshes.path: expected a folder of mesh files, {came}; correct the path")
    return files if table is None else [*files, table.expanduser()]
