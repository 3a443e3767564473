"""Rods and wires: diameters along their midlines, and lengths from the number of their ends.

Ends and lengths are counted, not rods: two crossing wires are one connected region but have four ends, and a wire
that the image's border cuts shows the one end that it has there. So neither biases the mean length.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

EIGHT = np.ones((3, 3), int)
JUNCTION = 1.2  # around a crossing the midline is left out, this many of its local half widths
FRAY = 0.4  # what is narrower than this share of the typical thread is a speck, or a fray of an outline
LEAST_FRAY_PX = 2.0  # below, a disc is too coarse, and opens thin threads
SHORTEST = 1.0  # a piece of midline shorter than this many diameters is a spur
STEPS = np.array([[2**0.5, 1, 2**0.5], [1, 0, 1], [2**0.5, 1, 2**0.5]]) / 2  # half of each link belongs to each pixel


@dataclass(frozen=True)
class Threads:
    """Pieces of midlines of one image: `diameters` and `lengths` [n] in px; `ends` [m, 2] (row, column)."""

    diameters: np.ndarray
    lengths: np.ndarray
    ends: np.ndarray


def find_threads(mask: np.ndarray) -> Threads:
    """Midlines of the foreground `mask` bool [h, w]; ends at the image's border are cuts and do not count."""
    mask = _without_frays(mask)
    half_width = _half_width(mask)
    skeleton = skeletonize(mask)
    neighbours = ndimage.convolve(skeleton.astype(int), EIGHT, mode="constant") - 1
    crossing = skeleton & (neighbours >= 3)
    straight = skeleton
    if crossing.any():
        away, nearest = ndimage.distance_transform_edt(~crossing, return_indices=True)
        straight = skeleton & (away > JUNCTION * half_width[tuple(nearest)])
    pieces, n = ndimage.label(straight, EIGHT)
    index = np.arange(1, n + 1)
    # A strip w px wide has its midline at (w + 1) / 2 from the background if w is odd, at w / 2 if it is even.
    diameters = 2 * np.asarray(ndimage.median(half_width, pieces, index)) - 0.5
    lengths = np.asarray(ndimage.sum(ndimage.convolve(skeleton.astype(float), STEPS, mode="constant"), pieces, index))
    tips = np.argwhere(skeleton & (neighbours <= 1) & (pieces > 0))
    owner, reach = pieces[tuple(tips.T)] - 1, half_width[tuple(tips.T)]
    np.add.at(lengths, owner, reach)  # the midline stops short of the tip
    keep = lengths >= SHORTEST * diameters
    to_border = np.minimum(tips, np.array(mask.shape) - 1 - tips).min(axis=1)
    return Threads(diameters[keep], lengths[keep], tips[(to_border > np.maximum(reach, 1)) & keep[owner]])


def _half_width(mask: np.ndarray) -> np.ndarray:
    """Distance [h, w] of each foreground pixel to the background; beyond the border the image goes on."""
    return ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]


def _without_frays(mask: np.ndarray) -> np.ndarray:
    """`mask` opened by a disc, whose radius is a share of the half width that most of the foreground has.

    Ragged outlines have midlines of their own, thin and many; they would be counted as threads.
    """
    half_width = _half_width(mask)
    midline = np.sort(half_width[skeletonize(mask)])
    if midline.size == 0:
        return mask
    typical = midline[np.searchsorted(np.cumsum(midline), 0.5 * midline.sum())]  # weighted by width: by area
    radius = FRAY * typical
    return mask & (ndimage.distance_transform_edt(half_width <= radius) <= radius) if radius >= LEAST_FRAY_PX else mask
