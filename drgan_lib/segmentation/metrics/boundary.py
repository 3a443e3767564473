"""How well outlines agree: the F1 score of boundary pixels within a tolerance."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries

from drgan_lib.segmentation.metrics.counts import Outlines

TOLERANCE_PX = 2.0


def boundary_f1(true: np.ndarray, predicted: np.ndarray, *, tolerance_px: float = TOLERANCE_PX) -> float:
    """F1 score of the outlines of two label images, int [h, w] with 0 as background (Csurka et al., BMVC 2013).

    The outline of an instance are its pixels that have a 4-neighbour outside it; where two instances touch, both
    have one, and the edge of the image makes none. Precision is the share of predicted outline pixels with a true one
    at most `tolerance_px` away, recall the converse. Two images without outlines agree: 1; if one alone has none, 0.
    Raises `ValueError` for differing shapes.
    """
    return count_outlines(true, predicted, tolerance_px=tolerance_px).f1


def count_outlines(true: np.ndarray, predicted: np.ndarray, *, tolerance_px: float = TOLERANCE_PX) -> Outlines:
    """Outline pixels of two label images, as `boundary_f1` defines them, and those within the tolerance."""
    if true.shape != predicted.shape:
        raise ValueError(f"expected two label images of one shape, got {true.shape} and {predicted.shape}")
    ours, theirs = (find_boundaries(labels, connectivity=1, mode="inner") for labels in (true, predicted))
    return Outlines(
        int(ours.sum()),
        int(theirs.sum()),
        _near(ours, theirs, tolerance_px),
        _near(theirs, ours, tolerance_px),
    )


def _near(outline: np.ndarray, other: np.ndarray, tolerance_px: float) -> int:
    """How many pixels of `outline` have one of `other` at most `tolerance_px` away."""
    if not other.any():
        return 0
    return int((distance_transform_edt(~other)[outline] <= tolerance_px).sum())
