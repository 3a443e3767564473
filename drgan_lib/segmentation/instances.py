"""From nnU-Net's classes to instances."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from drgan_lib.classes import PARTICLE


def plain(classes: np.ndarray) -> np.ndarray:
    """The 4-connected components of class 1, as in the paper: int32 [h, w] from class labels [h, w].

    Background (0) and contour (2) are 0. Where the predicted contour has a gap, neighbours merge: with a
    contour of one pixel the figures that count instances stay low (see `drgan_lib.segmentation.metrics`).
    """
    if classes.ndim != 2:
        raise ValueError(f"expected class labels of shape [h, w], got {classes.shape}")
    return ndimage.label(classes == PARTICLE)[0].astype(np.int32)
