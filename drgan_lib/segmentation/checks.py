"""What has to be right about a training set before nnU-Net starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.io import imread

from drgan_lib.classes import PARTICLE, SEAM
from drgan_lib.files import read_json


class SegmentationError(RuntimeError):
    """A training set that nnU-Net cannot learn from, or a run of it that failed."""


def check_raw(folder: Path, *, patch_px: int) -> int:
    """Number of training images; raises `SegmentationError` for what would fail later or in silence.

    Checked are pairs, shapes (at least `patch_px` in both directions), label values (those of dataset.json) and that
    there are particles.
    """
    if not (folder / "dataset.json").is_file():
        raise SegmentationError(
            f"expected nnU-Net's raw dataset in {folder}, found none; write it with write_training_set first"
        )
    values = read_json(folder / "dataset.json")["labels"]
    images = {p.name.removesuffix("_0000.png"): p for p in sorted((folder / "imagesTr").glob("*_0000.png"))}
    labels = {p.stem: p for p in sorted((folder / "labelsTr").glob("*.png"))}
    if not images:
        raise SegmentationError(
            f"no training images in {folder / 'imagesTr'}; check the synthetic images (chapter 04) or, for the arm "
            "'real', that burnt-in text does not touch every patch"
        )
    if unpaired := sorted(images.keys() ^ labels.keys()):
        raise SegmentationError(f"{len(unpaired)} images without label or labels without image, first {unpaired[0]!r}")
    with_particles = 0
    for name, path in images.items():
        image, label = imread(path), imread(labels[name])
        if image.shape != label.shape or image.ndim != 2:
            raise SegmentationError(
                f"{name}: expected image and label of one 2-D shape, got {image.shape}, {label.shape}"
            )
        if min(image.shape) < patch_px:
            raise SegmentationError(f"{name}: expected at least {patch_px} x {patch_px} pixels, got {image.shape}")
        if label.max() > max(values.values()):
            raise SegmentationError(f"{name}: expected labels {values}, got values {np.unique(label)[:8].tolist()}")
        with_particles += bool(np.isin(label, (PARTICLE, PARTICLE + SEAM)).any())
    if not with_particles:
        raise SegmentationError(
            f"none of the {len(images)} label images in {folder / 'labelsTr'} holds a particle (class 1); "
            "check the masks of the training micrographs, or the layouts of the synthetic images"
        )
    return len(images)
