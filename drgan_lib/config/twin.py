"""Whose twin an experiment's micrographs are of, and the settings that make that twin what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drgan_lib.config.base import ConfigError
from drgan_lib.config.experiment import load_experiment
from drgan_lib.config.files import materials
from drgan_lib.config.material import Material


def twin_source(material: Material) -> Material:
    """The material that `dataset.twin_of` of `material` names: itself as it is, or another one as its file says.

    Raises `ConfigError` for an unknown name, for a material without a section `twin`, and for twins whose micrographs
    are smaller than the patches of `material`.
    """
    name = material.dataset.twin_of
    if name == material.name:
        return material
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
    return settings | {"pixel_size_nm": material.dataset.pixel_size_nm}


def user_files(material: Material) -> list[Path]:
    """The user's files among the ingredients of layouts: meshes, and the table of sizes.

    Raises `ConfigError` if there is no such folder, or nothing in it.
    """
    folder, table = material.meshes.path, getattr(material.layout.sizes, "table", None)
    files = []
    if folder is not None:
        if not folder.expanduser().is_dir():
            raise ConfigError(f"meshes.path: expected a folder of mesh files, got {folder}; correct the path")
        files = sorted(path for path in folder.expanduser().iterdir() if path.is_file())
        if not files:
            raise ConfigError(f"meshes.path: expected a folder of mesh files, but {folder} is empty; correct the path")
    return files if table is None else [*files, table.expanduser()]
