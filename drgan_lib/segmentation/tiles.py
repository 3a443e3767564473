"""Large images in windows: functions of a neighbourhood, and instances that cross the windows' borders."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from drgan_lib.segmentation.instances import ClassMap
from drgan_lib.segmentation.metrics import match

SIDE_PX = 3072  # windows, overlap included, are at most this wide: 60 bytes a pixel in the network, 200 in thickness
INSTANCE_OVERLAP_PX = 512


@dataclass(frozen=True)
class Window:
    """Part of an image: what is looked at (`outer`) and what is kept of it (`core`), (rows, columns) of the image.

    The cores of all windows are a partition of the image.
    """

    outer: tuple[slice, slice]
    core: tuple[slice, slice]

    @property
    def inner(self) -> tuple[slice, slice]:
        """The core in coordinates of the window."""
        return tuple(slice(c.start - o.start, c.stop - o.start) for c, o in zip(self.core, self.outer, strict=True))

    @property
    def shape(self) -> tuple[int, int]:
        return tuple(o.stop - o.start for o in self.outer)


def windows(shape: tuple[int, int], *, overlap_px: int, side_px: int = SIDE_PX) -> list[Window]:
    """Windows of at most `side_px` x `side_px`, row by row; neighbours share `overlap_px`, half of it on either side.

    An image of no more pixels than such a window is one window, whatever its proportions.
    """
    if not 0 <= overlap_px < side_px:
        raise ValueError(f"expected an overlap from 0 to less than the side of {side_px} px, got {overlap_px}")
    if math.prod(shape) <= side_px**2:
        whole = tuple(slice(0, n) for n in shape)
        return [Window(whole, whole)]
    rows, columns = (list(_axis(n, overlap_px, side_px)) for n in shape)
    return [Window((r[0], c[0]), (r[1], c[1])) for r in rows for c in columns]


def label_windows(
    class_map: ClassMap,
    instances: Callable[[ClassMap], np.ndarray],
    *,
    overlap_px: int = INSTANCE_OVERLAP_PX,
    side_px: int = SIDE_PX,
) -> np.ndarray:
    """Instance labels int32 [h, w], numbered from 1, of `instances` on windows of a map, joined across their borders.

    `instances` turns a map into labels. Two labels of neighbouring windows are one particle if they agree (IoU > 0.5)
    where both windows see them. The result is that of the whole map, but for the numbering, if what decides upon a
    particle lies within half the overlap of it; else particles on a border may come out cut there.
    """
    shape = class_map.classes.shape
    parts = windows(shape, overlap_px=overlap_px, side_px=side_px)
    if len(parts) == 1:
        return instances(class_map)
    labels, joined, n = np.zeros(shape, np.int32), [np.zeros((0, 2), np.int64)], 0
    for part in parts:
        found = instances(class_map[part.outer])
        found = np.where(found > 0, found + n, 0).astype(np.int32)
        n = max(n, int(found.max()))
        rows, columns = part.inner
        for zone in ((slice(0, rows.start), slice(None)), (rows, slice(0, columns.start))):  # earlier windows' cores
            same = match(labels[part.outer][zone], found[zone])
            joined.append(np.stack([same.true_ids, same.predicted_ids], axis=1))
        labels[part.core] = found[part.inner]
    _renumber(labels, np.concatenate(joined), n)
    return labels


def apply_windows(
    image: np.ndarray, function: Callable[[np.ndarray], np.ndarray], *, overlap_px: int, side_px: int = SIDE_PX
) -> np.ndarray:
    """`function`, from [h, w] to [..., h, w], on windows of `image`; each pixel is that of its core."""
    result = None
    for part in windows(image.shape, overlap_px=overlap_px, side_px=side_px):
        found = function(image[part.outer])
        if result is None:
            result = np.zeros((*found.shape[:-2], *image.shape), found.dtype)
        result[..., *part.core] = found[..., *part.inner]
    return result


def _axis(size: int, overlap: int, side: int) -> Iterator[tuple[slice, slice]]:
    n = 1 if size <= side else -(-size // (side - overlap))
    borders = np.linspace(0, size, n + 1).round().astype(int).tolist()
    for start, stop in pairwise(borders):
        yield slice(max(0, start - overlap // 2), min(size, stop + overlap // 2)), slice(start, stop)


def _renumber(labels: np.ndarray, pairs: np.ndarray, n: int) -> None:
    """Gives labels 1 to `n` that `pairs` [m, 2] join one number, without gaps, in place and row by row."""
    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(n + 1, n + 1))
    _, group = connected_components(graph, directed=False)
    used = np.zeros(n + 1, bool)
    for row in labels:
        used[group[row]] = True
    used[group[0]] = False
    number = np.where(used, np.cumsum(used), 0).astype(np.int32)[group]
    for row in labels:
        row[:] = number[row]
