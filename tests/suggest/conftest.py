"""Drawn micrographs whose sizes, counts and coverage are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from skimage.draw import disk

from drgan_lib.config import DatasetSettings

LEVELS = (0.15, 0.6)


def draw(centres, radii, size=300, *, noise=0.01, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """(image float32, labels int32) [size, size] of discs; later ones lie on earlier ones."""
    labels = np.zeros((size, size), np.int32)
    for k, (centre, radius) in enumerate(zip(centres, radii, strict=True), 1):
        labels[disk(centre, radius, shape=labels.shape)] = k
    image = np.where(labels > 0, LEVELS[1], LEVELS[0])
    image = image + noise * np.random.default_rng(seed).normal(size=labels.shape)
    return image.clip(0, 1).astype(np.float32), labels


def grid(n, size=300) -> np.ndarray:
    """Centres of n x n discs."""
    ticks = (np.arange(n) + 0.5) * size / n
    return np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Five 8-bit micrographs of 25 discs each, the last of which is for testing, and cannot be read."""
    where = tmp_path_factory.mktemp("data") / "My discs"
    where.mkdir()
    for k in range(4):
        rng = np.random.default_rng(k)
        radii = 10 * rng.lognormal(0, 0.2, size=25)
        image, _ = draw(grid(5) + rng.uniform(-8, 8, size=(25, 2)), radii, seed=k)
        tifffile.imwrite(where / f"{k}.tif", np.round(255 * image).astype(np.uint8))
    (where / "9.tif").write_bytes(b"not an image")
    return where


@pytest.fixture(scope="session")
def dataset(folder) -> DatasetSettings:
    return DatasetSettings(path=folder, pixel_size_nm=2.0)
