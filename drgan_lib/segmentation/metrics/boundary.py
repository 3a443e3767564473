"""How well outlines agree: the F1 score of boundary pixels within a tolerance."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries

TOLERANCE_PX = 2.0


def boundary_f1(true: np.ndarray, predicted: np.ndarray, *, tolerance_px: float = TOLERANCE_PX) -> float:
    """F1 score of the outlines of two label images, int [h, w] with 0 as background (Csurka et al., BMVC 2013).

    The outline of an instance are its pixels that have a 4-neighbour outside it; where two instances touch, both
    have one. Precision is the share of predicted outline pixels with a true one at most `tolerance_px` away,
    recall the converse. Two empty images agree: 1; if one alone is empty, 0. Raises `ValueError` for differing
    shapes.
    """
    if true.shape != predicted.shape:
        raise ValueError(f"expected two label images of one shape, got {true.shape} and {predicted.shape}")
    ours, theirs = (find_boundaries(labels, connectivity=1, mode="inner") for labels in (true, predicted))
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    precision = float((distance_transform_edt(~ours)[theirs] <= tolerance_px).mean())
    recall = float((distance_transform_edt(~theirs)[ours] <= tolerance_px).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
