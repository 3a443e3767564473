"""Drawn micrographs, and a network that knows how they were drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drgan_lib.segmentation.predictions import ClassMap, write_class_map
from scipy import ndimage
from skimage.draw import disk
from skimage.io import imread

from drgan_lib.classes import CONTOUR, PARTICLE, three_class
from drgan_lib.segmentation.instances import BorderCore
from drgan_lib.segmentation.model import Model

DARK, BRIGHT = 0.2, 0.7


def draw(shape: tuple[int, int], discs: list[tuple[float, float, float]]) -> np.ndarray:
    """Instance labels int32 of discs (row, column, radius), which may be cut by the border."""
    labels = np.zeros(shape, np.int32)
    for k, (row, column, radius) in enumerate(discs, 1):
        labels[disk((row, column), radius, shape=shape)] = k
    return labels


def as_image(labels: np.ndarray) -> np.ndarray:
    """8-bit micrograph of `labels`."""
    return np.where(labels > 0, 255 * BRIGHT, 255 * DARK).round().astype(np.uint8)


def exact_map(labels: np.ndarray) -> ClassMap:
    """What a network without error says of `labels`."""
    classes = three_class(labels, 1)
    return ClassMap(classes, (classes == PARTICLE).astype(np.float32), (classes == CONTOUR).astype(np.float32))


class Network:
    """Segments what `as_image` drew, discs that touch being one; it remembers what it was shown."""

    def __init__(self):
        self.shown: list[tuple[int, int]] = []

    def __call__(self, model: Model, images: Path, out: Path, log_file: Path, *, log=print) -> None:
        for path in sorted(images.glob("*.png")):
            image = imread(path)
            assert image.dtype == np.uint16
            self.shown.append(image.shape)
            middle = 65535 * (DARK + BRIGHT) / 2
            write_class_map(out, path.stem, exact_map(ndimage.label(image > middle)[0]))


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def model(tmp_path) -> Model:
    folder = tmp_path / "run" / "seed0"
    folder.mkdir(parents=True)
    (folder / "checkpoint_final.pth").write_bytes(b"weights")
    return Model(
        folder=folder,
        arm="synthetic",
        seed=0,
        border_core=BorderCore(),
        pixel_size_nm=2.0,
        patch_px=64,
        shape="sphere",
        min_area_px=50,
    )
