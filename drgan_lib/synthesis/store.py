"""How the annotated set lies on the disk: three images and a row each, under a recipe that made them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from drgan_lib.config import Experiment, user_files
from drgan_lib.digest import code_digest, file_digest, imported_files
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.scene.meshes import meshes_digest

PARTS = ("images", "instances", "labels")
PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class SyntheticSet:
    """`images` uint8, `instances` uint16, `labels` uint8, all [n, h, w]; `table` has a row per image."""

    images: np.ndarray
    instances: np.ndarray
    labels: np.ndarray
    table: pd.DataFrame


def load_synthetic(exp: Experiment, n: int | None = None) -> SyntheticSet:
    """The first `n` annotated images (all, if None); `FileNotFoundError` if stage 04 has not finished."""
    folder = exp.stage_dir("synthetic")
    if not (folder / "parameters.csv").is_file():
        raise FileNotFoundError(f"no finished annotated set in {folder}; run stage 04 (synthesize) first")
    table = pd.read_csv(folder / "parameters.csv", dtype={"image": str}).head(n)
    images, instances, labels = (
        np.stack([np.asarray(Image.open(folder / part / f"{name}.png")) for name in table["image"]]) for part in PARTS
    )
    return SyntheticSet(images, instances.astype(np.uint16), labels, table)


def write_entry(folder: Path, name: str, arrays: Sequence[np.ndarray], row: dict[str, Any]) -> dict[str, Any]:
    """Writes image, instances and label `name`, then their row, which is returned with the files' digests.

    A row on the disk therefore means that its images are there. `row` must hold what JSON can say.
    """
    for part, array in zip(PARTS, arrays, strict=True):
        with atomic_path(folder / part / f"{name}.png") as temporary:
            Image.fromarray(array).save(temporary)
    row = {"image": name, **row, "sha256": {part: _digest(folder / part / f"{name}.png") for part in PARTS}}
    write_json(folder / "rows" / f"{name}.json", row)
    return row


def read_entry(folder: Path, name: str) -> dict[str, Any] | None:
    """The row of image `name`, or None unless it and its three images are there and undamaged."""
    try:
        row = read_json(folder / "rows" / f"{name}.json")
        whole = all(_digest(folder / part / f"{name}.png") == row["sha256"][part] for part in PARTS)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return row if whole else None


def start(folder: Path, recipe: dict[str, Any], log: Callable) -> None:
    """Clears what an interruption left half-made, and images that another recipe made."""
    path = folder / "recipe.json"
    if path.is_file() and read_json(path) != recipe:
        log("generator, settings or code have changed since the annotated set was made: it is made anew")
        path.unlink()
    (folder / "parameters.csv").unlink(missing_ok=True)
    if not path.is_file():
        for part in (*PARTS, "rows"):
            shutil.rmtree(folder / part, ignore_errors=True)
        write_json(path, recipe)
    for part in (*PARTS, "rows"):
        for leftover in (folder / part).glob(".*"):
            leftover.unlink()


def recipe_of(exp: Experiment, generator, meshes: Sequence) -> dict[str, Any]:
    """What the images depend on, besides their number: settings, seed, and digests of the rest.

    Of the code counts what it says, as for the keys of the stages: comments and figures make no new images.
    """
    weights = hashlib.sha256()
    for name, tensor in generator.state_dict().items():
        weights.update(name.encode() + np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    files = [path for package in ("gan", "synthesis") for path in (PACKAGE / package).glob("*.py")]
    scene = PACKAGE / "scene"
    files += [*imported_files(scene / "render.py", within=scene), scene / "detector.py", PACKAGE / "classes.py"]
    code = code_digest([path for path in files if path.name != "figures.py"], root=PACKAGE)
    shown = {"name": True, "layout": True, "scene": True, "bounds": True, "contour_px": True}
    material = exp.material.model_dump(mode="json", include=shown, exclude={"layout": {"sizes": {"table"}}})
    profile = exp.profile.model_dump(include={"synthesis": {"min_contrast", "spp"}, "gan": {"dropout"}})
    digests = {"generator": weights.hexdigest(), "meshes": meshes_digest(meshes), "code": code}
    digests["files"] = [file_digest(path) for path in user_files(exp.material)]
    return json.loads(json.dumps({"seed": exp.seed, "material": material, "profile": profile} | digests))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
