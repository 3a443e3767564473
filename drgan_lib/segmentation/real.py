"""Patches of the training micrographs with their masks: what the arm `real` learns from, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from drgan_lib.config import Experiment
from drgan_lib.data import open_dataset, read_mask, training_micrographs
from drgan_lib.data.overlays import touches
from drgan_lib.segmentation.checks import SegmentationError


def annotated_patches(exp: Experiment, folder: str | Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, image float32 [s, s] in [0, 1] and instances int32 [s, s] of each patch of the dataset in `folder`.

    Patches of `patches.size_px` cover every training micrograph that has a mask in even steps, overlapping no more than
    they must; those that burnt-in text touches are left out. `SegmentationError` if no training micrograph has a mask,
    or one of another shape.
    """
    settings, size = exp.material.dataset, exp.material.patches.size_px
    dataset = open_dataset(settings, folder)
    if not any(source.mask for source in dataset.train):
        raise SegmentationError(
            f"expected masks of training micrographs for the arm 'real', found none in {dataset.folder}; put them "
            "there, or leave this arm out"
        )
    for source, micrograph in zip(dataset.train, training_micrographs(dataset, settings), strict=True):
        if source.mask is None:
            continue
        mask = read_mask(source.mask, sample_rows=settings.sample_rows)
        if mask.shape != micrograph.image.shape:
            raise SegmentationError(
                f"{source.mask}: expected a mask of the shape {micrograph.image.shape} of {source.image.name}, got "
                f"{mask.shape}; give the mask of this image, or remove it"
            )
        for row in even_starts(mask.shape[0], size):
            for column in even_starts(mask.shape[1], size):
                if not touches(micrograph.overlays, row, column, size):
                    window = np.s_[row : row + size, column : column + size]
                    yield f"{micrograph.name}_{row:04d}_{column:04d}", micrograph.image[window], mask[window]


def even_starts(length: int, size: int) -> list[int]:
    """Starts of the fewest windows of `size` that cover `length` (at least `size`), in even steps."""
    return np.linspace(0, length - size, -(-length // size)).round().astype(int).tolist()
