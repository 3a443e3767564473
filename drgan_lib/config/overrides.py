"""What a material's file says, and single settings changed for one run; not yet checked."""

from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel

from drgan_lib.config.base import MATERIALS, ConfigError
from drgan_lib.config.layout import LAWS, SHAPES, ShapeSettings
from drgan_lib.config.material import (
    APPEARANCES,
    DETECTOR_BOUNDS,
    PARAMETERS,
    SEM_BOUNDS,
    Material,
)
from drgan_lib.config.profile import COMPACT_ONLY, PROFILES, Profile

OF_IMAGES = ("modality", "pixel_size_nm")  # what a twin's micrographs have from their material's
OF_TWINS = {"licence": "CC0 1.0 (rendered by this library)", "annotations": "all, it is a twin"}


def materials() -> list[str]:
    """Names of the materials that the library knows."""
    return sorted(path.stem for path in MATERIALS.glob("*.yaml"))


def parse_overrides(overrides: dict[str, Any] | list[str] | None) -> dict[str, Any]:
    """`["gan.epochs=3"]` or `{"gan.epochs": 3}` as a dict; the values of strings are read as YAML.

    Texts and paths are taken as they stand, but for `null`: YAML would read `#` as a comment, `2024` as a number and
    `no` as false. Raises `ConfigError` for an item without `=` and for a value that is not valid YAML.
    """
    if isinstance(overrides, dict):
        return overrides
    pairs = {}
    for item in overrides or []:
        key, separator, value = item.partition("=")
        if not separator:
            raise ConfigError(f"expected section.key=value, got {item!r}")
        as_it_stands = key.strip() in _texts() and value.strip() != "null"
        pairs[key.strip()] = value if as_it_stands else _read_yaml(value, repr(item))
    return pairs


@cache
def _texts() -> set[str]:
    """Dotted names of the settings that are texts or paths."""
    names = set()

    def walk(annotation: Any, place: str) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, field in annotation.model_fields.items():
                walk(field.annotation, f"{place}.{name}" if place else name)
        elif annotation in (str, Path):
            names.add(place)
        elif get_origin(annotation) is not dict:
            for part in get_args(annotation):
                walk(part, place)

    walk(Material, "")
    walk(Profile, "")
    return names


def changed_settings(material: str, profile: str, overrides: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of a material and of a profile (`material`, `profile`) with `overrides`, not yet checked.

    Those of the files that the overrides make meaningless are left out, see `load_experiment`.
    """
    tree = {"material": _read_material(material), "profile": PROFILES[profile].model_dump()}
    tree["material"]["patches"].update(tree["profile"].pop("patches"))
    if overrides.get("segmentation.trainer") == "default":
        for name in COMPACT_ONLY:
            del tree["profile"]["segmentation"][name]
    own = tree["material"]["dataset"]
    sources = [name for name in ("path", "registry", "twin_of") if overrides.get(f"dataset.{name}") is not None]
    if sources:  # then data bar, licence, citation and source are those of other images
        tree["material"]["dataset"] = dict(OF_TWINS) if sources == ["twin_of"] else {}
    _leave_out_other_kinds(tree["material"], overrides)
    for key, value in overrides.items():
        _set(tree, key, value)
    _complete_twin(tree["material"], own)
    if tree["material"]["dataset"].get("twin_of") and "gan.appearance" not in overrides:
        tree["profile"]["gan"]["appearance"] = "principled"  # of which the truth is known
    _fit_bounds(tree, overrides)
    return tree


def _read_material(material: str) -> dict[str, Any]:
    """Settings of `material` (a name or the path of a YAML file) as they stand there; `ConfigError` if none do."""
    path = Path(material) if str(material).endswith((".yaml", ".yml")) else MATERIALS / f"{material}.yaml"
    if not path.is_file():
        raise ConfigError(f"unknown material {material!r}; expected one of {', '.join(materials())} or a YAML file")
    tree = _read_yaml(path.read_text(), str(path))
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected settings `key: value`, got {tree!r:.80}; see {MATERIALS}/twin.yaml")
    for name in ("dataset", "patches"):
        if not isinstance(tree.setdefault(name, {}), dict):
            raise ConfigError(
                f"{path}: {name}: expected settings `key: value`, got {tree[name]!r:.80}; correct or remove it"
            )
    return tree


def _read_yaml(text: str, origin: str) -> Any:
    """What `text` says; `ConfigError` names its `origin` if it is not valid YAML."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise ConfigError(f"{origin}: not valid YAML ({' '.join(str(error).split())}); correct it") from None


def _leave_out_other_kinds(material: dict[str, Any], overrides: dict[str, Any]) -> None:
    """Of the settings of a shape or a distribution, another one takes only those that all of them have."""
    sections = (
        ("meshes", "shape", SHAPES, material, tuple(ShapeSettings.model_fields)),
        ("layout.sizes", "law", LAWS, material.get("layout"), ("unit",)),
    )
    for place, key, kinds, parent, common in sections:
        kind, name = overrides.get(f"{place}.{key}"), place.split(".")[-1]
        settings = parent.get(name) if isinstance(parent, dict) else None
        if kind not in kinds or not isinstance(settings, dict) or kind == settings.get(key):
            continue
        kept = () if kind == "empirical" else common  # a table is in nm
        parent[name] = {setting: settings[setting] for setting in kept if setting in settings}


def _complete_twin(material: dict[str, Any], own: dict[str, Any]) -> None:
    """A twin's micrographs are such as those of its material, so they have these settings where none is given."""
    dataset = material["dataset"]
    twin_of = dataset.get("twin_of") if isinstance(dataset, dict) else None
    if twin_of is None:
        return
    if twin_of != material.get("name"):
        try:
            own = _read_material(twin_of)["dataset"]
        except ConfigError as error:
            raise ConfigError(f"dataset.twin_of: {error}") from None
    taken = {name: own[name] for name in OF_IMAGES if name in own}
    if "pixel_size_nm" in taken and "working_scale" in own:  # it is rendered as its material is worked with
        taken["pixel_size_nm"] /= own["working_scale"]
    material["dataset"] = taken | dataset


def _fit_bounds(tree: dict[str, dict[str, Any]], overrides: dict[str, Any]) -> None:
    """A file may have bounds for each `gan.appearance` and detector: others are left out, default ones added."""
    bounds, gan = tree["material"].get("bounds"), tree["profile"]["gan"]
    appearance, detector = (gan.get(name) if isinstance(gan, dict) else None for name in ("appearance", "detector"))
    if not isinstance(bounds, dict) or appearance not in tuple(APPEARANCES):  # which is refused later
        return
    given = DETECTOR_BOUNDS if detector == "poisson_gaussian" else {}
    for name in bounds.keys() & ({*PARAMETERS, *SEM_BOUNDS, *DETECTOR_BOUNDS} - {*APPEARANCES[appearance], *given}):
        if f"bounds.{name}" in overrides:
            raise ConfigError(
                f"bounds.{name}: is not learned with gan.appearance={appearance} and gan.detector={detector}; change "
                "one of them, or leave it out"
            )
        del bounds[name]
    tree["material"]["bounds"] = (SEM_BOUNDS if appearance == "sem" else {}) | given | bounds


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    """Puts an override into the half of the tree that knows its section."""
    section, *rest = key.split(".")
    sections = {*Material.model_fields, *Profile.model_fields} - {"name"}
    if section not in sections:
        raise ConfigError(f"unknown section {section!r} in {key!r}; expected one of {', '.join(sorted(sections))}")
    node = tree["profile" if section in Profile.model_fields and section != "patches" else "material"]
    *parts, last = section, *rest
    for part in parts:
        node = node.setdefault(part, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise ConfigError(f"{key!r} goes deeper than the settings; {part!r} holds a value, not a section")
    node[last] = value
