"""How well outlines agree: the F1 score of boundary pixels within a tolerance."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries

from drgan_lib.segmentation.metrics.counts import f1

TOLERANCE_PX = 2.0


def boundary_f1(true: np.ndarray, predicted: np.ndarray, *, tolerance_px: float = TOLERANCE_PX) -> float:
    """F1 score of the outlines of two label images, int [h, w] with 0 as background (Csurka et al., BMVC 2013).

    The outline of an instance are its pixels that have a 4-neighbour outside it; where two instances touch, both
    have one, and the edge of the image makes none. Precision is the share of predicted outline pixels with a true one
    at most `tolerance_px` away, recall the converse. Two images without outlines agree: 1; if one alone has none, 0.
    Raises `ValueError` for differing shapes.
    """
    return f1(*count_outlines(true, predicted, tolerance_px=tolerance_px).tolist())


def count_outlines(true: np.ndarray, predicted: np.ndarray, *, tolerance_px: float = TOLERANCE_PX) -> np.ndarray:
    """int [4]: outline pixels of the truth and of the prediction, and those that have one of the other nearby."""
    if true.shape != predicted.shape:
        raise ValueError(f"expected two label images of one shape, got {true.shape} and {predicted.shape}")
    ours, theirs = (find_boundaries(labels, connectivity=1, mode="inner") for labels in (true, predicted))
    met = [
        (distance_transform_edt(~other)[outline] <= tolerance_px).sum() if other.any() else 0
        for outline, other in ((ours, theirs), (theirs, ours))
    ]
    return np.array([ours.sum(), theirs.sum(), *met])
