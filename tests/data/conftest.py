"""Small micrographs with known particles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

Paint = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def paint() -> Paint:
    """Function that paints bright discs at `centres` (row, column) on a noisy, tilted background; uint8 [h, w]."""

    def paint(centres, *, shape=(200, 240), radius=8, noise=0.02, seed=0):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[: shape[0], : shape[1]]
        image = 0.15 + 0.05 * x / shape[1] + rng.normal(0, noise, shape)
        for row, column in centres:
            image[(y - row) ** 2 + (x - column) ** 2 <= radius**2] += 0.5
        return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)

    return paint


@pytest.fixture
def user_folder(tmp_path: Path, paint: Paint) -> Path:
    """A user's folder: six images without masks, and without a registry; `sample_4` is for testing."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for k in range(6):
        rng = np.random.default_rng(k)
        centres = [(r + rng.integers(-6, 6), c + rng.integers(-6, 6)) for r in (25, 70) for c in (30, 80, 130)]
        tifffile.imwrite(folder / f"sample_{k}.tif", paint(centres, seed=k))
    return folder
