"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from drgan_lib import keys
from drgan_lib.config import ROOT
from drgan_lib.stages import STAGES

# How long an example takes depends on what else the computer does; speed is measured in `benchmarks/`.
settings.register_profile("untimed", parent=settings.default, deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder with copies of the public datasets: `DRGAN_MIRROR`, or `../shared/data` beside the
    repository.
    """
    places = [Path(os.environ["DRGAN_MIRROR"])] if os.environ.get("DRGAN_MIRROR") else []
    places.append(ROOT.parent / "shared" / "data")
    for place in places:
        if (place / "tio2_sem").is_dir():
            return place.resolve()
    pytest.skip(f"no real micrographs: set DRGAN_MIRROR to a folder holding tio2_sem (looked in {places})")


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
