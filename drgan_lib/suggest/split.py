"""Particles told apart in agglomerates, without annotations and without a length set by hand.

Every length is a fraction of the typical diameter, which is itself measured: the images are split at a first guess, the
median diameter found is the next guess, until it stays. What remains is two ratios without a unit, how dark a gap is
and how narrow a neck; they were chosen on rendered twins, whose masks are exact.
"""

import heapq
from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

MIN_AREA_PX = 50  # as `Material.min_area_px`: anything smaller is no particle
SMOOTHING, SURROUNDINGS, RIDGE_SMOOTHING, PEAK_DISTANCE = 0.08, 0.3, 0.03, 0.1  # in typical diameters
GAP = 0.15  # a gap between particles is this share darker than the particles around it
NECK = 0.85  # two halves joined by more than this share of the narrower one's half width are one particle
SETTLED = 0.03  # relative change of the typical diameter
MAX_PASSES = 6
SCALE_IMAGES = 8  # the typical diameter is settled on so many images, then all are split
LARGEST = 0.5  # the typical diameter is at most this share of the image's shorter side


def split_particles(images: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """Labels int32 [h, w] of the particles in `images` (float [h, w]) inside their foreground `masks` (bool [h, w]).

    Also returns the typical diameter in px, 0 if there is no particle.
    """
    levels = [_above_background(image, mask) for image, mask in zip(images, masks, strict=True)]
    first = max(1, len(levels) // SCALE_IMAGES)
    by_area = sorted(range(len(levels)), key=lambda i: -int(masks[i].sum()))[: SCALE_IMAGES * first : first]
    typical = _median_diameter([ndimage.label(masks[i])[0] for i in by_area])
    if typical == 0:
        return [np.zeros(mask.shape, np.int32) for mask in masks], 0.0
    limit = LARGEST * min(min(mask.shape) for mask in masks)
    for attempt in range(MAX_PASSES):
        # The first pass sees outlines only: necks have no scale, so it cannot settle on texture inside of particles.
        gap = GAP if attempt else 1.0
        found = _median_diameter([_split(levels[i], masks[i], typical, gap) for i in by_area])
        change, typical = abs(np.log(found / typical)), min(found, limit)
        if attempt and change < SETTLED:
            break
    return [_split(level, mask, typical, GAP) for level, mask in zip(levels, masks, strict=True)], typical


def equivalent_diameters(labels: np.ndarray) -> np.ndarray:
    """float64 [n]: diameters of the discs with the areas of labels 1 to n, in px."""
    return np.sqrt(4 * np.bincount(labels.ravel(), minlength=1)[1:] / np.pi)


def _above_background(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    background = image[~mask]
    return image - (np.median(background) if background.size else 0.0)


def _median_diameter(labels: Sequence[np.ndarray]) -> float:
    diameters = np.concatenate([equivalent_diameters(one) for one in labels])
    diameters = diameters[diameters >= np.sqrt(4 * MIN_AREA_PX / np.pi)]
    return float(np.median(diameters)) if diameters.size else 0.0


def _split(level: np.ndarray, mask: np.ndarray, typical: float, gap: float) -> np.ndarray:
    smooth = ndimage.gaussian_filter(level, max(0.7, SMOOTHING * typical))
    share = ndimage.gaussian_filter(mask.astype(np.float32), SURROUNDINGS * typical)
    around = ndimage.gaussian_filter(smooth * mask, SURROUNDINGS * typical) / np.maximum(share, 1e-3)
    solid = mask & (smooth >= (1 - gap) * around)
    distance = ndimage.distance_transform_edt(solid).astype(np.float32)
    distance = ndimage.gaussian_filter(distance, RIDGE_SMOOTHING * typical) * mask
    components, _ = ndimage.label(mask)
    least = max(1, int(PEAK_DISTANCE * typical))
    peaks = peak_local_max(distance, min_distance=least, labels=components, exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return _without_specks(merge_over_wide_necks(watershed(-distance, markers, mask=mask), distance))


def merge_over_wide_necks(labels: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Basins of a watershed, joined where the neck is wide: its half width above `NECK` times that of the narrower.

    `distance` [h, w] is the distance to the particles' rim. The widest neck goes first; the result has labels 1 to n.
    """
    n = int(labels.max())
    peak = np.asarray(ndimage.maximum(distance, labels, np.arange(n + 1)), dtype=float)
    necks = _necks(labels, distance, n)
    parent = list(range(n + 1))
    heap = [(-width / min(peak[i], peak[j]), i, j) for i in necks for j, width in necks[i].items() if i < j]
    heapq.heapify(heap)
    while heap and -heap[0][0] >= NECK:
        ratio, i, j = heapq.heappop(heap)
        if j not in necks[i] or -ratio != necks[i][j] / min(peak[i], peak[j]):
            continue  # one of the two has been joined with another since
        parent[j], peak[i] = i, max(peak[i], peak[j])
        for k, width in necks.pop(j).items():
            del necks[k][j]
            if k != i:
                necks[i][k] = necks[k][i] = max(width, necks[i].get(k, 0.0))
        necks[j] = {}
        for k, width in necks[i].items():
            heapq.heappush(heap, (-width / min(peak[i], peak[k]), min(i, k), max(i, k)))
    for i in range(n + 1):
        while parent[parent[i]] != parent[i]:
            parent[i] = parent[parent[i]]
    return _relabelled(np.array(parent)[labels])


def _necks(labels: np.ndarray, distance: np.ndarray, n: int) -> dict[int, dict[int, float]]:
    """Half width of the neck between each two neighbouring labels."""
    widths: dict[tuple[int, int], float] = {}
    for a, b, da, db in (
        (labels[:, :-1], labels[:, 1:], distance[:, :-1], distance[:, 1:]),
        (labels[:-1], labels[1:], distance[:-1], distance[1:]),
    ):
        border = (a != b) & (a > 0) & (b > 0)
        low, high = np.minimum(a[border], b[border]), np.maximum(a[border], b[border])
        for i, j, width in zip(low.tolist(), high.tolist(), np.minimum(da[border], db[border]).tolist(), strict=True):
            widths[i, j] = max(width, widths.get((i, j), 0.0))
    necks: dict[int, dict[int, float]] = {i: {} for i in range(1, n + 1)}
    for (i, j), width in widths.items():
        necks[i][j] = necks[j][i] = width
    return necks


def _without_specks(labels: np.ndarray) -> np.ndarray:
    return _relabelled(labels * (np.bincount(labels.ravel()) >= MIN_AREA_PX)[labels])


def _relabelled(labels: np.ndarray) -> np.ndarray:
    used = np.bincount(labels.ravel(), minlength=1) > 0
    used[0] = False
    return (np.cumsum(used) * used)[labels].astype(np.int32)
