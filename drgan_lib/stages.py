"""The stages of a run: what each depends on, the key that follows from it, and its `stage.json`."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from drgan_lib.config import ROOT, Experiment
from drgan_lib.files import read_json, write_json

LIBRARY = Path(__file__).parent
VERSIONS_OF = ("drgan", "torch", "mitsuba", "drjit", "nnunetv2", "numpy")


@dataclass(frozen=True)
class Stage:
    """One chapter of the run.

    `settings` are dotted names within the `Experiment`, `sources` paths within `drgan_lib`; both, and the
    keys of the stages that it `needs`, make its key.
    """

    name: str
    notebook: str
    folder: str
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


WORLD = ("material.meshes", "material.layout", "material.scene", "material.bounds")

STAGES = (
    Stage("quickstart", "00_quickstart", "quickstart", (), ("material", "profile"), ("scene", "synthesis")),
    Stage(
        "data",
        "01_data_preparation",
        "data",
        settings=("material.dataset", "material.patches", *WORLD),
        sources=("data", "scene", "sources.py"),
    ),
    Stage("scene", "02_scene_design", "scene", settings=(*WORLD, "profile.gan.n_layouts"), sources=("scene",)),
    Stage("gan", "03_gan_training", "gan", ("data", "scene"), ("profile.gan",), ("gan",)),
    Stage(
        "synthesis",
        "04_inference_and_masks",
        "synthetic",
        needs=("gan",),
        settings=("profile.synthesis", "material.contour_px"),
        sources=("synthesis",),
    ),
    Stage(
        "segmentation",
        "05_segmentation_evaluation",
        "segmentation",
        needs=("synthesis",),
        settings=("profile.segmentation", "material.min_area_px"),
        sources=("segmentation",),
    ),
)


def stage_keys(exp: Experiment, notebooks: Path, stages: tuple[Stage, ...] = STAGES) -> dict[str, str]:
    """Key of every stage: a hash of its settings, the seed, its notebook, sources, data, and its needs' keys.

    Prose, comments and layout do not count: see `page_hash`.
    """
    keys: dict[str, str] = {}
    for stage in stages:
        parts: dict[str, Any] = {
            "seed": exp.seed,
            "settings": {name: _setting(exp, name) for name in stage.settings},
            "notebook": _meaning(notebook_source(stage, notebooks)),
            "sources": {name: _source_hash(LIBRARY / name) for name in stage.sources},
            "needs": {name: keys[name] for name in stage.needs},
        }
        if "material.dataset" in stage.settings:
            parts["data"] = _data_identity(exp)
        keys[stage.name] = _digest(json.dumps(parts, sort_keys=True, default=str))
    return keys


def page_hash(stage: Stage, notebooks: Path) -> str:
    """Changes with every letter of the notebook: then the results may stand, the page does not."""
    return _digest(notebook_source(stage, notebooks))


def notebook_source(stage: Stage, notebooks: Path) -> str:
    """Text of the stage's py:percent notebook."""
    return (notebooks / f"{stage.notebook}.py").read_text()


def is_complete(folder: Path, key: str) -> bool:
    """Whether the stage in `folder` was finished under `key`."""
    record = read_record(folder)
    return record is not None and record["state"] == "complete" and record["key"] == key


def read_record(folder: Path) -> dict[str, Any] | None:
    """The `stage.json` of `folder`, or None if there is none."""
    path = folder / "stage.json"
    return read_json(path) if path.is_file() else None


def begin(folder: Path, stage: Stage, key: str) -> Path | None:
    """Makes `folder` ready for work under `key` and marks it as running.

    Work that was interrupted under the same key stays, for the stage to resume. Anything made under another
    key, or by hand, is moved to `<folder>.previous`, which is returned; an older `.previous` is removed.
    """
    record = read_record(folder)
    moved = None
    if folder.is_dir() and any(folder.iterdir()) and (record is None or record["key"] != key):
        moved = folder.with_name(folder.name + ".previous")
        shutil.rmtree(moved, ignore_errors=True)
        os.replace(folder, moved)
    write_json(folder / "stage.json", {"stage": stage.name, "state": "running", "key": key})
    return moved


def versions() -> dict[str, str]:
    """Versions of the packages that decide the figures, of Python, and the commit if there is one."""
    found = {"python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return {**found, "commit": commit()}


@cache
def commit() -> str:
    """Short commit of the working tree, with `+` if tracked files differ from it; `unknown` outside git."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    except OSError:
        return "unknown"
    return answer.stdout.strip() or "unknown"


@cache
def device() -> tuple[str, str]:
    """What computes here, in words, and the renderer's variant."""
    # Imported late: torch takes seconds, and nothing before the first stage needs it.
    import torch

    from drgan_lib.scene.backend import choose_variant

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), choose_variant()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores", choose_variant()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _setting(exp: Experiment, name: str) -> Any:
    value: Any = exp.model_dump(mode="json")
    for part in name.split("."):
        value = value[part]
    return value


def _data_identity(exp: Experiment) -> Any:
    """Changes when the micrographs do: the registry's text, or names, sizes and times of the user's files."""
    dataset = exp.material.dataset
    if dataset.path is not None:
        folder = dataset.path.expanduser()
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [(str(f.relative_to(folder)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    if dataset.registry is not None:
        return (ROOT / "data" / dataset.registry / "registry.tsv").read_text()
    return None


def _source_hash(path: Path) -> str:
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return _digest("\0".join(f"{f.relative_to(LIBRARY)}\0{_meaning(f.read_text())}" for f in files))


def _meaning(source: str) -> str:
    """`source` without comments and layout."""
    return ast.unparse(ast.parse(source))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
