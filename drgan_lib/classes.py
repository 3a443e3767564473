"""The classes of a label image that nnU-Net learns: background, particle, contour, and where particles meet."""

import numpy as np
from scipy import ndimage
from skimage.segmentation import relabel_sequential

BACKGROUND, PARTICLE, CONTOUR = 0, 1, 2
LABELS = {"background": BACKGROUND, "particle": PARTICLE, "contour": CONTOUR}
# Added to particle and contour where two particles meet.
SEAM = 2
SEAM_LABELS = {**LABELS, "particle_at_seam": PARTICLE + SEAM, "contour_at_seam": CONTOUR + SEAM}
UNKNOWN = -1  # in place of an instance's id: nobody says whether there is a particle, or where it ends

_FOUR = ndimage.generate_binary_structure(2, 1)


def three_class(instances: np.ndarray, contour_px: int) -> np.ndarray:
    """3-class label of an instance map: 0 background, 1 particle, 2 contour.

    `instances` is an integer image [h, w] with 0 for background and one id per particle (ids need not be
    consecutive); `contour_px` is the width of the contour in pixels. The result is uint8 [h, w].

    A pixel is contour in exactly two cases; otherwise it is particle on an instance and background elsewhere:

    1. It is background, and at most `contour_px` away from a pixel of an instance in city-block distance
       (steps to the four neighbours). So the contour surrounds particles and overwrites none of their pixels,
       as in the paper's masks (npj Comput. Mater. 11, 197, 2025).
    2. It belongs to an instance, and one of its four neighbours belongs to another instance of smaller
       visible area (or of equal area and lower id). So where two particles touch, the larger one gives up a
       line of one pixel, whatever `contour_px` is, and small particles are not eaten.

    Hence the classes partition the image; each 4-connected component of class 1 lies in one instance, so that
    the connected components of a perfect prediction merge no two particles; and an instance that touches no
    other keeps all its pixels. How the ids are numbered does not matter, except for ties of area.

    Raises `ValueError` unless `instances` is a 2-D integer image without negative ids and `contour_px` >= 1.
    """
    instances = np.asarray(instances)
    if instances.ndim != 2 or not np.issubdtype(instances.dtype, np.integer):
        raise ValueError(
            f"expected a 2-D integer instance map, got {instances.dtype} of shape {instances.shape}; "
            "give one image of ids, 0 for background"
        )
    if contour_px < 1:
        raise ValueError(f"expected contour_px >= 1, got {contour_px}; without a contour touching particles merge")
    if instances.size and instances.min() < 0:
        raise ValueError(f"expected ids >= 0, got {instances.min()}; 0 is background, particles count from 1")
    foreground = instances > 0
    near = ndimage.binary_dilation(foreground, _FOUR, iterations=int(contour_px))
    label = np.where(foreground, PARTICLE, BACKGROUND).astype(np.uint8)
    label[(near & ~foreground) | _gives_way(instances)] = CONTOUR
    return label


def with_seams(label: np.ndarray, instances: np.ndarray, seam_px: int) -> np.ndarray:
    """The 3-class `label` of `instances` with classes of their own where two particles meet or nearly do.

    Both are [h, w], the label uint8, the instances of any integer type; the result is uint8 [h, w]. A pixel of
    particle or contour is at a seam if pixels of two instances are at most `seam_px` away from it, along rows and
    along columns; its class is then `SEAM` higher (`SEAM_LABELS`). The line between two particles, part of a class
    that is learned on outer contours anyway, thus becomes a band that training cannot leave out. Taken together
    again, the classes are those of `label`: nothing is lost. With `seam_px` 0 the result is `label`.
    """
    if seam_px == 0:
        return label
    ids = relabel_sequential(instances)[0].astype(np.int32)  # filters compare as floats, which large ids outgrow
    lowest, highest = ids_near(ids, seam_px)
    meet = (lowest < highest) & (label != BACKGROUND)
    return np.where(meet, label + SEAM, label).astype(np.uint8)


def ids_near(ids: np.ndarray, reach_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest id [h, w] at most `reach_px` away along rows and columns; instances meet where they differ.

    `ids` are int [h, w] with 0 as background, which does not count: where nothing else is near, the lowest is the
    higher.
    """
    size, beyond = 2 * reach_px + 1, ids.max(initial=0) + 1
    highest = ndimage.maximum_filter(ids, size, mode="nearest")
    return ndimage.minimum_filter(np.where(ids > 0, ids, beyond), size, mode="nearest"), highest


def _gives_way(instances: np.ndarray) -> np.ndarray:
    """Pixels [h, w] with a 4-neighbour in an instance that precedes their own in the order (area, id)."""
    numbers = relabel_sequential(instances)[0]  # in the order of the ids
    areas = np.bincount(numbers.ravel(), minlength=1)
    rank = np.zeros(len(areas), np.int64)
    rank[1 + np.argsort(areas[1:], kind="stable")] = np.arange(1, len(areas))
    ranks = rank[numbers]
    line = np.zeros(instances.shape, bool)
    for axis in (0, 1):
        first, second = np.moveaxis(ranks, axis, 0)[:-1], np.moveaxis(ranks, axis, 0)[1:]
        touch = (first != second) & (first > 0) & (second > 0)
        view = np.moveaxis(line, axis, 0)
        view[:-1] |= touch & (first > second)
        view[1:] |= touch & (second > first)
    return line
