"""The stages of a run: what each depends on, and the `stage.json` that says what its folder holds."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from drgan_lib.config import ROOT
from drgan_lib.digest import file_digest
from drgan_lib.files import read_json, write_json

VERSIONS_OF = ("drgan", "torch", "mitsuba", "drjit", "nnunetv2", "numpy")


@dataclass(frozen=True)
class Stage:
    """One chapter of the run.

    `settings` are dotted names within the `Experiment`, `sources` paths within `drgan_lib`, `data` splits of the
    dataset (train: images; masks: theirs; test: images and masks); these, and the keys of the stages that it `needs`,
    make its key. `page_data` are splits that the page lists but that no result depends on. `keeps` are files and
    folders that the stage itself recognises as still usable or not: under a new key it starts with copies of them, and
    of what else (two levels down) only `<folder>.previous` holds.
    """

    name: str
    notebook: str
    folder: str
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    page_data: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()


WORLD = (
    "material.meshes",
    "material.layout",
    "material.scene",
    "material.bounds",
    "material.dataset.pixel_size_nm",  # by which sizes in nm become scene units
)

STAGES = (
    Stage(
        "quickstart",
        "00_quickstart",
        "quickstart",
        (),
        ("material", "profile.name", "profile.synthesis"),
        ("scene", "classes.py"),
    ),
    Stage(
        "data",
        "01_data_preparation",
        "data",
        settings=("material.dataset", "material.patches"),
        sources=("data", "scene", "sources.py"),
        data=("train",),
        page_data=("test",),
    ),
    Stage(
        "scene",
        "02_scene_design",
        "scene",
        settings=(*WORLD, "profile.gan.n_layouts", "profile.gan.renderer", "profile.gan.spp"),
        sources=("scene",),
    ),
    Stage("gan", "03_gan_training", "gan", ("data", "scene"), ("profile.gan",), ("gan",)),
    Stage(
        "synthesis",
        "04_inference_and_masks",
        "synthetic",
        needs=("gan",),
        settings=("profile.synthesis", "material.contour_px"),
        sources=("synthesis", "classes.py", "nnunet_dataset.py"),
    ),
    Stage(
        "segmentation",
        "05_segmentation_evaluation",
        "segmentation",
        needs=("synthesis",),
        settings=("profile.segmentation", "material.min_area_px"),
        sources=("segmentation", "classes.py", "nnunet_dataset.py"),
        data=("test", "masks"),
        keeps=("arms",),
    ),
    Stage(
        "quantification",
        "06_quantification",
        "quantification",
        needs=("segmentation",),
        settings=("material.dataset.pixel_size_nm", "material.min_area_px", "material.meshes.shape"),
        sources=("quantify",),
        data=("test",),
    ),
)


def is_complete(folder: Path, key: str) -> bool:
    """Whether the stage in `folder` was finished under `key`, and its figures are still those of then."""
    record = read_record(folder)
    return record is not None and record["state"] == "complete" and stands(folder, key)


def stands(folder: Path, key: str) -> bool:
    """Whether what `folder` holds was made under `key`, wholly or in part, and not by hand since."""
    record = read_record(folder)
    if record is None or record["key"] != key:
        return False
    return record["state"] == "running" or record["figures"] == figures_digest(folder)


def is_finished(record: dict[str, Any] | None) -> bool:
    """Whether the results were finished once; their page may be in the making again."""
    return record is not None and "figures" in record


def figures_digest(folder: Path) -> str | None:
    """Digest of the `figures.json` of `folder`, None if there is none. It gives away a chapter run by hand."""
    path = folder / "figures.json"
    return file_digest(path) if path.is_file() else None


def read_record(folder: Path) -> dict[str, Any] | None:
    """The `stage.json` of `folder`, or None if there is none."""
    path = folder / "stage.json"
    return read_json(path) if path.is_file() else None


def begin(folder: Path, stage: Stage, key: str) -> str | None:
    """Makes `folder` ready for work under `key`, marks it as running; says what became of other work there.

    Work under the same key stays, for the stage to resume, or comes back from `<folder>.previous`. Other work
    moves to `<folder>.previous`, in place of what is there; only unfinished work is dropped rather than that it
    replaces finished work.
    """
    message = None if stands(folder, key) else _make_room(folder, stage, key)
    record = read_record(folder) or {}
    write_json(folder / "stage.json", {**record, "stage": stage.name, "state": "running", "key": key})
    return message


def _make_room(folder: Path, stage: Stage, key: str) -> str | None:
    previous, copies = (folder.with_name(f"{folder.name}.{name}") for name in ("previous", "copies"))
    if folder.is_dir():
        shutil.rmtree(copies, ignore_errors=True)  # half of them, after an interruption
    elif copies.is_dir():
        os.replace(copies, folder)
    if stands(previous, key):
        _swap(folder, previous)
        return f"its earlier results were made like this: they are back from {previous}, in exchange"
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    if is_finished(read_record(previous)) and not is_finished(read_record(folder)):
        for path in folder.iterdir():
            if path.name not in stage.keeps:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return f"its settings or code changed; the unfinished results are dropped, the finished ones in {previous} stay"
    for name in stage.keeps:  # before anything else, so that no interruption parts the stage from them
        _copy(folder / name, copies / name)
        for part in sorted((previous / name).glob("*/*")):
            if not (copies / part.relative_to(previous)).exists():
                _copy(part, copies / part.relative_to(previous))
    shutil.rmtree(previous, ignore_errors=True)
    os.replace(folder, previous)
    if copies.is_dir():
        os.replace(copies, folder)
    return f"its settings or code changed; the earlier results are now in {previous}"


def _swap(folder: Path, previous: Path) -> None:
    """Exchanges two folders, of which `folder` may be absent; after an interruption a second call ends it."""
    aside = folder.with_name(f"{folder.name}.aside")
    if folder.is_dir():
        os.replace(folder, aside)
    os.replace(previous, folder)
    if aside.is_dir():
        os.replace(aside, previous)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


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

    from drgan_lib.scene.backend import VARIANT

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), VARIANT
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores", VARIANT


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
