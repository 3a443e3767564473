"""What a microscopist tries first: Otsu's threshold, and a watershed that cuts agglomerates at their necks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from drgan_lib.classes import BACKGROUND, CONTOUR, PARTICLE
from drgan_lib.data.split import split_at_necks
from drgan_lib.samples import SampleSet
from drgan_lib.segmentation.instances import ClassMap, plain
from drgan_lib.segmentation.segmenter import ClassSegmenter

SMOOTHING_PX = 1.0  # standard deviation of the Gaussian: below the size of any particle, above that of a pixel's noise
NECK_PX = 0.5  # tolerance of ImageJ's watershed of binary images


class Otsu(ClassSegmenter):
    """`otsu_watershed` as a segmenter, which learns nothing."""

    identity = "otsu"
    rules = {"plain": lambda class_map: plain(class_map.classes)}  # noqa: RUF012

    def fit(self, samples: SampleSet, *, seed: int, log: Callable[[str], None] = print) -> Otsu:
        """Nothing is learned: returns itself."""
        return self

    def class_map(self, image: np.ndarray) -> ClassMap:
        """See `otsu_watershed`."""
        return otsu_watershed(image)


def otsu_watershed(image: np.ndarray, *, smoothing_px: float = SMOOTHING_PX, neck_px: float = NECK_PX) -> ClassMap:
    """Class map of bright particles in `image`, float [h, w]; nothing in it is learned or tuned.

    Gaussian filter of `smoothing_px`, Otsu's threshold (IEEE Trans. Syst. Man Cybern. 9, 62, 1979), holes filled, then
    the watershed of the Euclidean distance transform from its maxima; one that is at most `neck_px` deeper than the
    saddle to a deeper one is none. The lines of the watershed are the class contour, so that `plain` gives the
    instances; there is no other contour. The probabilities are 0 or 1. A constant image has no particle.
    """
    image = np.asarray(image)
    if image.ndim != 2 or not image.size:
        raise ValueError(f"expected a gray image of shape [h, w], got {image.shape}; give one channel")
    if not np.isfinite(image).all():
        raise ValueError("expected finite gray values, got NaN or infinity")
    smooth = ndimage.gaussian_filter(image.astype(np.float32), smoothing_px)
    particle = ndimage.binary_fill_holes(smooth > threshold_otsu(smooth))
    parts = split_at_necks(ndimage.distance_transform_edt(particle), particle, neck_px, lines=True)
    classes = np.where(parts > 0, PARTICLE, np.where(particle, CONTOUR, BACKGROUND)).astype(np.uint8)
    return ClassMap(classes, *((classes == label).astype(np.float32) for label in (PARTICLE, CONTOUR)))
