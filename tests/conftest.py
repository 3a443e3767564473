"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before PyTorch is imported: each worker has a core of its own
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from drgan_lib.config import ROOT
from drgan_lib.data import fetch, registries
from drgan_lib.runs import pipeline

# How long an example takes depends on what else the computer does; speed is measured in `benchmarks/`.
settings.register_profile("untimed", parent=settings.default, deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder with copies of the public datasets: `DRGAN_MIRROR`, or `../shared/data` beside the repository."""
    place = Path(os.environ.get("DRGAN_MIRROR") or ROOT.parent / "shared" / "data").resolve()
    if not any((place / name).exists() for name in ("tio2_sem", "tio2_sem.zip")):
        pytest.skip(f"no real micrographs: set DRGAN_MIRROR to a folder holding tio2_sem or tio2_sem.zip (not {place})")
    return place


@pytest.fixture(scope="session")
def datasets(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the public datasets, fetched from the mirror."""
    place = tmp_path_factory.mktemp("datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRGAN_MIRROR", str(mirror))
        for name in registries():
            fetch(name, folder=place / name, progress=False)
    return place


@pytest.fixture
def use_mirror(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mirror, with `DRGAN_MIRROR` set to it."""
    monkeypatch.setenv("DRGAN_MIRROR", str(mirror))
    return mirror


# Settings of the smallest run that goes through every chapter: a network that learns next to nothing, but repeatably.
TINY = {
    "twin.n_train": 2,
    "twin.n_test": 2,
    "twin.size_px": 256,
    "twin.spp": 4,
    "twin.n_particles": [20, 30],
    "twin.clusters": [3, 5],
    "patches.size_px": 64,
    "patches.stride_px": 32,
    "patches.min_particles": 1,
    "patches.max_train": 6,
    "patches.n_background": 4,
    "scene.size_px": 64,
    "scene.fov_deg": 10.4,
    "layout.n_particles": [3, 8],
    "layout.clusters": [1, 2],
    "meshes.count": 4,
    "gan.epochs": 2,
    "gan.n_layouts": 4,
    "gan.spp": 4,
    "gan.hidden": 16,
    "gan.discriminator_channels": 8,
    "gan.precision": "float32",
    "gan.features": "efficientnet_lite0",
    "synthesis.n_images": 6,
    "synthesis.spp": 4,
    "segmentation.arms": "synthetic,otsu",
    "segmentation.iterations": 20,
    "segmentation.patch_px": 64,
    "segmentation.features": 4,
    "segmentation.stages": 3,
    "min_area_px": 10,
}


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a complete run of the twin with the settings `TINY`, made on one core, where sums have one order.

    Tests that ask for it have the mark `xdist_group("tiny_run")`, so that one worker makes it, once.
    """
    place = tmp_path_factory.mktemp("tiny")
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRGAN_DATA", str(place / "data"))
        try:
            if cores:
                os.sched_setaffinity(0, {min(cores)})
            return pipeline.run("twin", "demo", TINY, runs=place / "runs", echo=lambda line: None).parent
        finally:
            if cores:
                os.sched_setaffinity(0, cores)


@pytest.fixture
def threads():
    """Sets the number of PyTorch's threads, for one test."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
