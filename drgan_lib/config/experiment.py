"""One material at one profile: the `Experiment`, and how it is made from names, files and overrides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from drgan_lib.config.base import MATERIALS, ConfigError, Section
from drgan_lib.config.layout import LAWS
from drgan_lib.config.material import Material
from drgan_lib.config.profile import COMPACT_ONLY, PROFILES, Profile
from drgan_lib.config.shapes import SHAPES

KINDS = {"meshes": SHAPES, "sizes": LAWS}  # sections that come in kinds


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
        lines = [f"{_place(e['loc']) or material}: {e['msg']}{_got(e['input'])}" for e in error.errors()]
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
    elif overrides.get("dataset.twin_of") is not None:
        kept = material.get("dataset", {})
        material["dataset"] = {name: kept[name] for name in ("modality", "pixel_size_nm") if name in kept}
        material["dataset"]["licence"] = "CC0 1.0 (rendered by this library)"
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


def _place(location: tuple[int | str, ...]) -> str:
    """Dotted name of a setting; pydantic also names the chosen kind of shape or law, which is not part of it."""
    sections = zip(("", *location), location, strict=False)
    return ".".join(str(part) for before, part in sections if part not in KINDS.get(before, ()))


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
