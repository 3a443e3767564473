"""Typed settings: what is imaged (`Material`), how much work is done (`Profile`), both in an `Experiment`.

All models are frozen and refuse unknown keys. Lengths are in scene units (see `drgan_lib.scene.build`) unless the name
says `_px` or `_nm`. The defaults of the optimiser and of the networks are those of DiffRenderGAN (npj Comput. Mater.
11, 197, 2025).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

ROOT = Path(__file__).resolve().parents[1]
MATERIALS = Path(__file__).parent / "materials"
Range = tuple[float, float]
IntRange = tuple[int, int]

PARTICLE_PARAMETERS = ("roughness", "base_color", "sheen", "sheen_tint", "spec_tint")
PARAMETERS = (*PARTICLE_PARAMETERS, "stage_base_color", "noise_sigma")


class ConfigError(ValueError):
    """A setting that cannot be used; the message says what was expected, what came, and what to do."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def _count_range(value: IntRange) -> IntRange:
    if value[0] < 1:
        raise ValueError(f"expected at least 1, got {value[0]}")
    if value[0] > value[1]:
        raise ValueError(f"expected (low, high) with low <= high, got {value}; swap them")
    return value


class DatasetSettings(Section):
    """Where the micrographs come from: a registry in `data/`, a folder of the user's, or a rendered twin."""

    registry: str | None = None
    path: Path | None = None
    twin: TwinSettings | None = None
    pixel_size_nm: float | None = Field(None, gt=0, description="overrides what the file says")
    sample_rows: int | None = Field(None, gt=0, description="rows above the burnt-in data bar; None: all")
    licence: str = "unknown"
    citation: str = ""

    @model_validator(mode="after")
    def _has_a_source(self) -> DatasetSettings:
        if self.registry is None and self.path is None and self.twin is None:
            raise ValueError("no source of images: give dataset.path, dataset.registry or dataset.twin")
        return self


class TwinSettings(Section):
    """Rendered stand-in micrographs: how many, how large, and the hidden law of their parameters.

    `truth` maps a parameter to (mean, standard deviation) of a normal law truncated to the material's bounds.
    """

    n_train: int = Field(8, ge=1)
    n_test: int = Field(2, ge=1)
    size_px: int = Field(512, ge=256)
    n_particles: IntRange = (60, 140)
    clusters: IntRange = (6, 14)
    spp: int = Field(36, ge=1)
    seed: int = 7
    truth: dict[str, tuple[float, float]]

    _counts = field_validator("n_particles", "clusters")(_count_range)

    @field_validator("truth")
    @classmethod
    def _has_a_width(cls, value: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (_, std) in value.items():
            if std <= 0:
                raise ValueError(f"{name}: expected (mean, standard deviation) with a deviation above 0, got {std}")
        return value


class PatchSettings(Section):
    """Which crops of the micrographs train the GAN (with particles) and supplement nnU-Net (without)."""

    size_px: int = Field(256, ge=32)
    stride_px: int = Field(64, ge=1)
    min_particles: int = Field(3, ge=1)
    max_train: int = Field(124, ge=1)
    n_background: int = Field(200, ge=0)
    max_similarity: float = Field(0.9, gt=0, le=1, description="correlation above which two patches are repeats")


class MeshSettings(Section):
    """Deformed, smoothed cubes, `count` different ones from one seed; or the mesh files of the folder `path`."""

    shape: Literal["cube"] = "cube"
    path: Path | None = Field(None, description="folder of PLY, OBJ, STL or glTF files to use instead")
    count: int = Field(40, ge=1)
    deformation: float = Field(0.3, ge=0, le=1)
    roundness: float = Field(0.65, ge=0, le=1)
    max_triangles: int = Field(1300, ge=12, le=5000)
    seed: int = 0


class LayoutSettings(Section):
    """How many particles, how large, and where: lognormal sizes, agglomerates of a Poisson-disk process."""

    n_particles: IntRange = (12, 40)
    mean_diameter: float = Field(0.75, gt=0, description="median equivalent diameter, scene units")
    size_sigma: float = Field(0.2, ge=0, description="sigma of ln(size)")
    clusters: IntRange = (1, 5)
    seed_radius: float = Field(2.5, gt=0, description="least distance of cluster centres")
    tightness: float = Field(0.8, gt=0, le=1, description="1: particles touch; smaller: looser clusters")
    stacking: float = Field(0.3, ge=0, le=1, description="share of particles that land partly on a neighbour")
    field_margin: float = Field(1.1, gt=0, description="placement area in units of the field of view")

    _counts = field_validator("n_particles", "clusters")(_count_range)


class SceneSettings(Section):
    """The paper's virtual scene: y is up, camera and a weak light above, a bright torus around the stage."""

    size_px: int = Field(256, ge=16)
    fov_deg: float = Field(40.0, gt=0, lt=180)
    camera_y: float = 6.0
    stage_y: float = -4.0
    stage_half_extent: float = Field(10.0, gt=0)
    torus_radius: float = Field(15.0, gt=0)
    torus_tube: float = Field(3.0, gt=0)
    torus_stretch: float = Field(2.0, gt=0)
    torus_y: float = 2.0
    torus_radiance: float = Field(1.0, ge=0)
    top_y: float = 8.0
    top_half_extent: float = Field(10.0, gt=0)
    top_radiance: float = Field(0.1, ge=0)
    spp: int = Field(121, ge=1)
    filter_std_px: float = Field(0.5, gt=0)
    stage_roughness: float = Field(0.5, ge=0)
    stage_specular: float = Field(0.0, ge=0)
    particle_specular: float = Field(0.5, ge=0)

    @model_validator(mode="after")
    def _camera_sees_the_stage(self) -> SceneSettings:
        if not self.stage_y < self.camera_y < self.top_y:
            raise ValueError(
                f"expected stage_y < camera_y < top_y, got {self.stage_y}, {self.camera_y}, {self.top_y}; "
                "the camera must see the stage and must not be hidden by the upper light"
            )
        return self


class Material(Section):
    """What is imaged. One YAML file per material in `drgan_lib/materials/`."""

    name: str = Field(pattern=r"^\w[\w.-]*$", description="names folders: letters, digits, _ . -")
    title: str
    dataset: DatasetSettings
    patches: PatchSettings = PatchSettings()
    meshes: MeshSettings = MeshSettings()
    layout: LayoutSettings = LayoutSettings()
    scene: SceneSettings = SceneSettings()
    bounds: dict[str, Range]
    contour_px: int = Field(1, ge=1)
    min_area_px: int = Field(50, ge=0, description="smallest instance that the instance metrics count")

    @field_validator("bounds")
    @classmethod
    def _known_parameters(cls, value: dict[str, Range]) -> dict[str, Range]:
        for name, bounds in value.items():
            if name not in PARAMETERS:
                raise ValueError(f"unknown parameter {name!r}; known are {', '.join(PARAMETERS)}")
            if not 0 <= bounds[0] < bounds[1]:
                raise ValueError(f"{name}: expected 0 <= low < high, got {bounds}")
        missing = {"base_color", "stage_base_color", "noise_sigma"} - value.keys()
        if missing:
            raise ValueError(f"bounds are missing for {', '.join(sorted(missing))}")
        return {name: value[name] for name in PARAMETERS if name in value}

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the learned parameters, in the order of the regressor's outputs."""
        return tuple(self.bounds)

    @model_validator(mode="after")
    def _patch_fits_the_scene(self) -> Material:
        if self.patches.size_px != self.scene.size_px:
            raise ValueError(
                f"patches.size_px is {self.patches.size_px} but scene.size_px is {self.scene.size_px}; "
                "the discriminator compares the two, so set both to the same size"
            )
        twin = self.dataset.twin
        if twin is None:
            return self
        if unknown := twin.truth.keys() ^ self.bounds.keys():
            raise ValueError(f"twin.truth and bounds must name the same parameters; differing: {sorted(unknown)}")
        if twin.size_px < self.patches.size_px:
            raise ValueError(
                f"dataset.twin.size_px: expected at least patches.size_px, which is {self.patches.size_px}, "
                f"got {twin.size_px}; patches are cut from the twin's images, so enlarge these"
            )
        return self


class GanSettings(Section):
    """Adversarial training: the paper's networks and optimisers; `spp` None takes the material's."""

    epochs: int = Field(50, ge=1)
    n_layouts: int = Field(124, ge=1)
    spp: int | None = Field(None, ge=1)
    lr_generator: float = Field(2e-4, gt=0)
    lr_discriminator: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    dropout: float = Field(0.2, ge=0, lt=1)
    hidden: int = Field(128, ge=1)
    initial_position: float = Field(0.2, gt=0, lt=1, description="where in its bounds a parameter starts")
    discriminator_layers: int = Field(3, ge=1)
    discriminator_channels: int = Field(64, ge=1)
    features: Literal["auto", "inception", "efficientnet_lite0"] = "auto"
    inception_weights: Path | None = None


class SynthesisSettings(Section):
    """The annotated set; an image is kept if the particles are `min_contrast` brighter than the background."""

    n_images: int = Field(1000, ge=1)
    min_contrast: float = Field(0.15, ge=0)
    max_attempts_per_image: int = Field(20, ge=1)
    spp: int | None = Field(None, ge=1)


COMPACT_ONLY = ("iterations", "batch_size", "features", "stages")


class SegmentationSettings(Section):
    """nnU-Net v2: its own defaults (`nnUNetTrainer`) or the CPU-sized trainer of this library.

    `iterations`, `batch_size`, `features` and `stages` are those of the compact trainer; nnU-Net plans its own.
    """

    trainer: Literal["default", "compact"] = "default"
    iterations: int = Field(250_000, ge=1)
    batch_size: int | None = Field(None, ge=1)
    features: int = Field(32, ge=4)
    stages: int = Field(7, ge=3)
    fold: Literal["all", "0", "1", "2", "3", "4"] = "all"

    @model_validator(mode="after")
    def _default_trainer_plans_itself(self) -> SegmentationSettings:
        fields = SegmentationSettings.model_fields
        changed = [name for name in COMPACT_ONLY if getattr(self, name) != fields[name].default]
        if self.trainer == "default" and changed:
            raise ValueError(
                f"segmentation.{', segmentation.'.join(changed)}: nnU-Net's default trainer plans this itself; "
                "leave the setting out, or set segmentation.trainer=compact"
            )
        return self


class Profile(Section):
    """How much work is done."""

    name: str
    gan: GanSettings = GanSettings()
    synthesis: SynthesisSettings = SynthesisSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    patches: dict[str, Any] = Field(default_factory=dict, description="replaces settings of Material.patches")


PROFILES = {
    "demo": Profile(
        name="demo",
        gan=GanSettings(epochs=6, n_layouts=48, spp=9),
        synthesis=SynthesisSettings(n_images=60, spp=16),
        segmentation=SegmentationSettings(trainer="compact", iterations=250, batch_size=4, features=16, stages=6),
        patches={"max_train": 48, "n_background": 20},
    ),
    "laptop": Profile(
        name="laptop",
        gan=GanSettings(epochs=10, n_layouts=124, spp=16),
        synthesis=SynthesisSettings(n_images=500, spp=36),
        segmentation=SegmentationSettings(trainer="compact", iterations=2000, batch_size=4, features=16, stages=6),
    ),
    "paper": Profile(name="paper"),
}


class Experiment(Section):
    """One material at one profile with one seed, and the folder that it writes to."""

    material: Material
    profile: Profile
    seed: int = Field(0, ge=0)
    runs: Path = Path("runs")

    @model_validator(mode="after")
    def _patch_can_be_halved(self) -> Experiment:
        settings, size_px = self.profile.segmentation, self.material.patches.size_px
        factor = 2 ** (settings.stages - 1)
        if settings.trainer == "compact" and size_px % factor:
            raise ValueError(
                f"patches.size_px: expected a multiple of {factor}, since a U-Net with segmentation.stages="
                f"{settings.stages} halves the patch {settings.stages - 1} times, got {size_px}; "
                "lower segmentation.stages, or choose another size"
            )
        return self

    @property
    def run_dir(self) -> Path:
        return self.runs / self.material.name / self.profile.name

    def stage_dir(self, stage: str) -> Path:
        """Folder of one stage (`data`, `scene`, `gan`, `synthetic`, `segmentation`), made on first use."""
        folder = self.run_dir / stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def materials() -> list[str]:
    """Names of the materials that the library knows."""
    return sorted(path.stem for path in MATERIALS.glob("*.yaml"))


def load_experiment(
    material: str,
    profile: str = "demo",
    overrides: dict[str, Any] | list[str] | None = None,
    *,
    seed: int = 0,
    runs: str | Path | None = None,
) -> Experiment:
    """Settings of `material` (a name or the path of a YAML file) at `profile`, with `section.key` overrides.

    With `dataset.path`, only the `dataset` settings among the overrides apply: those of the material describe other
    images. With `segmentation.trainer=default`, the profile's settings of the compact trainer do not apply. Raises
    `ConfigError` naming the key for anything unknown, of the wrong type, or impossible together.
    """
    path = Path(material) if str(material).endswith((".yaml", ".yml")) else MATERIALS / f"{material}.yaml"
    if not path.is_file():
        raise ConfigError(f"unknown material {material!r}; expected one of {', '.join(materials())} or a YAML file")
    if profile not in PROFILES:
        raise ConfigError(f"unknown profile {profile!r}; expected one of {', '.join(PROFILES)}")
    values = parse_overrides(overrides)
    tree = _tree(path, profile, values)
    for key, value in values.items():
        _set(tree, key, value)
    try:
        return Experiment(
            material=Material.model_validate(tree["material"]),
            profile=Profile.model_validate(tree["profile"]),
            seed=seed,
            runs=Path(runs or os.environ.get("DRGAN_RUNS", "runs")),
        )
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or material}: {e['msg']}{_got(e['input'])}" for e in error.errors()]
        raise ConfigError("settings refused:\n  " + "\n  ".join(lines)) from None


def parse_overrides(overrides: dict[str, Any] | list[str] | None) -> dict[str, Any]:
    """`["gan.epochs=3"]` or `{"gan.epochs": 3}` as a dict; the values of strings are read as YAML.

    Raises `ConfigError` for an item without `=` and for a value that is not valid YAML.
    """
    if isinstance(overrides, dict):
        return overrides
    pairs = {}
    for item in overrides or []:
        key, separator, value = item.partition("=")
        if not separator:
            raise ConfigError(f"expected section.key=value, got {item!r}")
        pairs[key.strip()] = _read_yaml(value, repr(item))
    return pairs


def _tree(path: Path, profile: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """Settings of the material file and the profile as dicts, without those that `overrides` make meaningless."""
    material = _read_yaml(path.read_text(), str(path))
    if not isinstance(material, dict):
        raise ConfigError(f"{path}: expected settings `key: value`, got {material!r:.80}; see {MATERIALS}/twin.yaml")
    patches = material.setdefault("patches", {})
    if not isinstance(patches, dict):
        raise ConfigError(f"{path}: patches: expected settings `key: value`, got {patches!r:.80}; correct or remove it")
    if overrides.get("dataset.path") is not None:
        # Rows of the data bar, licence, citation, registry and twin are those of other images than the user's.
        material["dataset"] = {}
    work = PROFILES[profile].model_dump()
    patches.update(work.pop("patches"))
    if overrides.get("segmentation.trainer") == "default":
        for name in COMPACT_ONLY:
            del work["segmentation"][name]
    return {"material": material, "profile": work}


def _read_yaml(text: str, origin: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise ConfigError(f"{origin}: not valid YAML ({' '.join(str(error).split())}); correct it") from None


def _got(value: Any) -> str:
    """The refused value, unless it is a whole section, which the message itself speaks about."""
    return "" if isinstance(value, dict | BaseModel) else f" (got {value!r:.80})"


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    """Puts an override into the half of the tree that knows its section."""
    section, *rest = key.split(".")
    sections = {*Material.model_fields, *Profile.model_fields} - {"name"}
    if section not in sections:
        raise ConfigError(f"unknown section {section!r} in {key!r}; expected one of {', '.join(sorted(sections))}")
    half = "profile" if section in Profile.model_fields and section != "patches" else "material"
    node = tree[half]
    for part in [section, *rest][:-1]:
        node = node.setdefault(part, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise ConfigError(f"{key!r} goes deeper than the settings; {part!r} holds a value, not a section")
    node[key.split(".")[-1]] = value
