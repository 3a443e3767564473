"""Large images in windows: class maps put together, and instances that cross the windows' borders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.io import imsave

from drgan_lib.files import read_json, write_json
from drgan_lib.segmentation.predictions import ClassMap, read_class_map

SIDE_PX = 3072  # windows, overlap included, are at most this wide: 60 bytes a pixel in the network, 200 in thickness
NETWORK_OVERLAP_PX, INSTANCE_OVERLAP_PX = 256, 512
SAME_IOU = 0.5
BLACK = 0.5 / 65535  # what 16 bits hold as 0
BLOCK_ROWS = 256


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


def write_windows(image: np.ndarray, folder: Path, names: list[str], parts: list[Window], *, patch_px: int) -> None:
    """Windows of `image` [h, w] in [0, 1] as 16-bit `folder/<name>.png`; those below the patch are mirrored at the end.

    The network's patch does not fit into a smaller image; nnU-Net would fill it up with black. The levels of the whole
    image, but for black margins, which nnU-Net cuts off, go to `folder/levels.json` under each name, so that no window
    is stretched on its own.
    """
    path = folder / "levels.json"
    levels = read_json(path) if path.is_file() else {}
    write_json(path, levels | dict.fromkeys(names, _levels(image)))
    for name, part in zip(names, parts, strict=True):
        pixels = np.round(image[part.outer] * 65535).astype(np.uint16)
        missing = [(0, max(0, patch_px - n)) for n in pixels.shape]
        imsave(folder / f"{name}.png", np.pad(pixels, missing, mode="symmetric"), check_contrast=False)


def _levels(image: np.ndarray) -> dict[str, float]:
    """Mean, standard deviation, minimum and maximum within the box that holds all of `image` that is not black."""
    rows, columns = (np.flatnonzero((image > BLACK).any(axis=axis)) for axis in (1, 0))
    if rows.size:
        image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return {
        "mean": float(65535 * image.mean(dtype=np.float64)),
        "std": float(65535 * image.std(dtype=np.float64)),
        "min": float(65535 * image.min()),
        "max": float(65535 * image.max()),
    }


def read_windows(folder: Path, names: list[str], parts: list[Window], shape: tuple[int, int]) -> ClassMap:
    """The predictions for what `write_windows` wrote as one map of `shape`; each pixel is that of its core."""
    whole = ClassMap(np.zeros(shape, np.uint8), np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    for name, part in zip(names, parts, strict=True):
        found = read_class_map(folder, name)
        for field in ("classes", "particle", "border"):
            getattr(whole, field)[part.core] = getattr(found, field)[part.inner]
    return whole


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
        seen = ClassMap(class_map.classes[part.outer], class_map.particle[part.outer], class_map.border[part.outer])
        found = instances(seen)
        found = np.where(found > 0, found + n, 0).astype(np.int32)
        n = max(n, int(found.max()))
        joined += [_same(labels[part.outer][zone], found[zone]) for zone in _before(part)]
        labels[part.core] = found[part.inner]
    _renumber(labels, _components(np.concatenate(joined), n))
    return labels


def apply_windows(
    mask: np.ndarray, function: Callable[[np.ndarray], np.ndarray], *, overlap_px: int, side_px: int = SIDE_PX
) -> np.ndarray:
    """`function`, from [h, w] to float32 [h, w], on windows of `mask`; each pixel is that of its core."""
    result = np.zeros(mask.shape, np.float32)
    for part in windows(mask.shape, overlap_px=overlap_px, side_px=side_px):
        result[part.core] = function(mask[part.outer])[part.inner]
    return result


def _axis(size: int, overlap: int, side: int) -> Iterator[tuple[slice, slice]]:
    n = 1 if size <= side else -(-size // (side - overlap))
    borders = np.linspace(0, size, n + 1).round().astype(int).tolist()
    for start, stop in pairwise(borders):
        yield slice(max(0, start - overlap // 2), min(size, stop + overlap // 2)), slice(start, stop)


def _before(part: Window) -> list[tuple[slice, slice]]:
    """Where earlier windows' cores lie in this one: above its core, and to the left of it."""
    rows, columns = part.inner
    return [(slice(0, rows.start), slice(None)), (rows, slice(0, columns.start))]


def _same(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Pairs [n, 2] of labels in `old` and `new` [h, w] whose IoU is above 0.5; such pairs are one to one."""
    base = int(new.max(initial=0)) + 1
    pairs, both = np.unique(old.astype(np.int64) * base + new, return_counts=True)
    sides = np.divmod(pairs, base)
    areas = []
    for side in sides:
        index = np.unique(side, return_inverse=True)[1]
        areas.append(np.bincount(index, both, minlength=1)[index])
    same = (sides[0] > 0) & (sides[1] > 0) & (both > SAME_IOU * (areas[0] + areas[1] - both))
    return np.stack(sides, axis=1)[same]


def _components(pairs: np.ndarray, n: int) -> np.ndarray:
    """For each label 0..n, the number from 0 of the group that `pairs` [m, 2] put it in."""
    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(n + 1, n + 1))
    return connected_components(graph, directed=False)[1]


def _renumber(labels: np.ndarray, group: np.ndarray) -> None:
    """Replaces labels by those of their groups, without gaps, in place and a few rows at a time."""
    used = np.zeros(group.max() + 1, bool)
    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, len(labels), BLOCK_ROWS)]
    for block in blocks:
        used[group[np.unique(labels[block])]] = True
    used[group[0]] = False
    number = np.where(used, np.cumsum(used), 0).astype(np.int32)[group]
    for block in blocks:
        labels[block] = number[labels[block]]
