"""The materials' files: which there are, and what they say, not yet checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from drgan_lib.config.base import MATERIALS, ConfigError


def materials() -> list[str]:
    """Names of the materials that the library knows."""
    return sorted(path.stem for path in MATERIALS.glob("*.yaml"))


def read_material(material: str) -> dict[str, Any]:
    """Settings of `material` (a name or the path of a YAML file) as they stand there; `ConfigError` if none do."""
    path = Path(material) if str(material).endswith((".yaml", ".yml")) else MATERIALS / f"{material}.yaml"
    if not path.is_file():
        raise ConfigError(f"unknown material {material!r}; expected one of {', '.join(materials())} or a YAML file")
    tree = read_yaml(path.read_text(), str(path))
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected settings `key: value`, got {tree!r:.80}; see {MATERIALS}/twin.yaml")
    for name in ("dataset", "patches"):
        if not isinstance(tree.setdefault(name, {}), dict):
            raise ConfigError(
                f"{path}: {name}: expected settings `key: value`, got {tree[name]!r:.80}; correct or remove it"
            )
    return tree


def read_yaml(text: str, origin: str) -> Any:
    """What `text` says; `ConfigError` names its `origin` if it is not valid YAML."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise ConfigError(f"{origin}: not valid YAML ({' '.join(str(error).split())}); correct it") from None
