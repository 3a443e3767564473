"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from drgan_lib import keys
from drgan_lib.config import ROOT
from drgan_lib.data import fetch, registries
from drgan_lib.stages import STAGES

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


@pytest.fixture
def small_library(tmp_path, monkeypatch):
    """A stand-in for the sources that stage keys depend on: one line each, free to be changed by a test."""
    library = tmp_path / "library"
    for name in {name for stage in STAGES for name in stage.sources}:
        source = library / name if name.endswith(".py") else library / name / "module.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("value = 1\n")
    monkeypatch.setattr(keys, "LIBRARY", library)
    return library
