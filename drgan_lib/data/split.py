"""Particles that touch, told apart: the distance to what is no particle is flooded from its maxima (watershed).

Two maxima belong to one particle unless the neck between them is narrow. Chapter 01, `drgan suggest` and the arm `otsu`
split by this rule. The arm counts the neck in px, as ImageJ does; the others, as a share of the particles' width, and
also cut at dark gaps, with every length a share of the typical diameter, which is itself measured.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

LEAST_AREA_PX = 40  # anything smaller is dirt or noise
SURROUNDINGS, RIDGE_SMOOTHING = 0.3, 0.04  # in typical diameters
SCALE_IMAGES = 4  # the typical diameter is settled on so many images, then all are split
MAX_PASSES, SETTLED = 7, 0.03  # until the relative change of the typical diameter is below
LARGEST = 0.5  # the typical diameter is at most this share of the image's shorter side


def split_particles(
    masks: Sequence[np.ndarray], dark: Callable[[int, float], np.ndarray], neck: float
) -> tuple[list[np.ndarray], float]:
    """Labels int32 [h, w] of the particles in each of the foreground `masks` (bool [h, w]).

    `dark` gives the dark gaps, bool [h, w], of image number i at a typical diameter in px. Two parts are two particles
    if the neck between them is less than the share `neck` of the narrower one's width. Also returns the typical
    diameter in px, 0 without a particle: necks alone give a first one, necks and gaps the next, until it stays.
    """

    def split(i: int, *, gaps: bool = True) -> np.ndarray:
        solid = masks[i] & ~dark(i, typical) if gaps else masks[i]
        distance = ndimage.distance_transform_edt(solid).astype(np.float32)
        distance = ndimage.gaussian_filter(distance, RIDGE_SMOOTHING * typical) * masks[i]
        return split_at_necks(np.log(np.maximum(distance, 0.1)), masks[i], -np.log(neck))

    order = sorted(range(len(masks)), key=lambda i: -int(masks[i].sum()))
    some = order[:: max(1, len(order) // SCALE_IMAGES)][:SCALE_IMAGES]
    largest = LARGEST * min((side for mask in masks for side in mask.shape), default=0)
    typical = _median_diameter([ndimage.label(masks[i])[0] for i in some])
    for attempt in range(MAX_PASSES if typical else 0):
        # Necks have no scale: without gaps the first pass cannot settle on the texture inside of particles.
        found = _median_diameter([split(i, gaps=attempt > 0) for i in some])
        last, typical = typical, min(found or typical, largest)
        if attempt and abs(np.log(typical / last)) < SETTLED:
            break
    return [split(i) if typical else np.zeros(mask.shape, np.int32) for i, mask in enumerate(masks)], typical


def split_at_necks(height: np.ndarray, mask: np.ndarray, depth: float, *, lines: bool = False) -> np.ndarray:
    """Labels int32 [h, w] of the parts of `mask` bool [h, w] around the maxima of `height` float [h, w].

    A maximum is one only if it is higher than the saddle on the way to a higher one by at least `depth`: with distances
    in px a number of px, with their logarithms a ratio, the same at every scale. Beyond the mask, all is as low as the
    lowest of `height`. With `lines` the pixels between two parts belong to none.
    """

    def maxima(island: np.ndarray) -> np.ndarray:
        return h_maxima(island, depth).astype(bool) if np.ptp(island) >= depth else np.zeros(island.shape, bool)

    seeds = ndimage.label(on_islands(maxima, height, mask, height.min()), np.ones((3, 3)))[0]
    return watershed(-height, seeds, mask=mask, watershed_line=lines)


def on_islands(
    maxima: Callable[[np.ndarray], np.ndarray], height: np.ndarray, mask: np.ndarray, lowest: float
) -> np.ndarray:
    """bool [h, w]: `maxima` of `height` [h, w] on each 8-connected part of `mask`, with all around it at `lowest`.

    Parts are looked at one by one, since such functions sort all pixels that they get.
    """
    islands, found = ndimage.label(mask, np.ones((3, 3)))[0], np.zeros(mask.shape, bool)
    for number, box in enumerate(ndimage.find_objects(islands), 1):
        own = islands[box] == number
        island = np.pad(np.where(own, height[box], lowest), 1, constant_values=lowest)
        found[box] |= own & maxima(island)[1:-1, 1:-1]
    return found


def equivalent_diameters(labels: np.ndarray) -> np.ndarray:
    """float64 [n]: diameters of the discs with the areas of labels 1 to n, in px."""
    return np.sqrt(4 * np.bincount(labels.ravel(), minlength=1)[1:] / np.pi)


def _median_diameter(labels: Sequence[np.ndarray]) -> float:
    diameters = np.concatenate([np.zeros(0), *map(equivalent_diameters, labels)])
    diameters = diameters[diameters >= np.sqrt(4 * LEAST_AREA_PX / np.pi)]
    return float(np.median(diameters)) if diameters.size else 0.0
