"""How well outlines agree: the F1 score of boundary pixels within a tolerance."""

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries

TOLERANCE_PX = 2.0


def count_outlines(true: np.ndarray, predicted: np.ndarray, *, tolerance_px: float = TOLERANCE_PX) -> np.ndarray:
    """int [4]: outline pixels of two label images, and those that have one of the other nearby.

    The outline of an instance are its pixels that have a 4-neighbour outside it; where two instances touch, both have
    one, and the edge of the image makes none (Csurka et al., BMVC 2013). The numbers are: of the truth, of the
    prediction, and how many of each are at most `tolerance_px` away from one of the other. `ValueError` for differing
    shapes.
    """
    if true.shape != predicted.shape:
        raise ValueError(f"expected two label images of one shape, got {true.shape} and {predicted.shape}")
    ours, theirs = (find_boundaries(labels, connectivity=1, mode="inner") for labels in (true, predicted))
    met = [
        (distance_transform_edt(~other)[outline] <= tolerance_px).sum() if other.any() else 0
        for outline, other in ((ours, theirs), (theirs, ours))
    ]
    return np.array([ours.sum(), theirs.sum(), *met])
