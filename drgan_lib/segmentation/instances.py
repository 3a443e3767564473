"""What a network says about each pixel, the instances made of it, and how the settings of that are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import relabel_sequential, watershed

from drgan_lib.classes import BACKGROUND, CONTOUR, LABELS, PARTICLE, SEAM, SEAM_LABELS
from drgan_lib.data.split import on_islands
from drgan_lib.segmentation.metrics import match, remove_small

FULL_SCALE = 65535  # probabilities are rounded to 16 bits: finer differences would break ties by noise
_FOUR, _EIGHT = ndimage.generate_binary_structure(2, 1), ndimage.generate_binary_structure(2, 2)
LEVELS = (0.0, 0.3, 0.5, 0.7, 0.9, 0.95)
NECKS = (0.0, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95)
ROUNDING = 1e-9
AS_GOOD, COUNT = 2, 0.02  # standard errors of PQ, and a part of the number of particles, that make no difference


@dataclass(frozen=True)
class ClassMap:
    """classes uint8 (0 background, 1 particle, 2 contour), particle and border float32 probabilities, all [h, w].

    `border` is the probability that a pixel is contour or, of networks that learned seams, near a place where two
    particles meet; there it overlaps with `particle`.
    """

    classes: np.ndarray
    particle: np.ndarray
    border: np.ndarray

    def __post_init__(self):
        shapes = [array.shape for array in (self.classes, self.particle, self.border)]
        if len(set(shapes)) > 1 or len(shapes[0]) != 2:
            raise ValueError(f"expected classes and two probabilities of one shape [h, w], got {shapes}")
        if self.classes.size and self.classes.max() > max(LABELS.values()):
            raise ValueError(f"expected the classes {LABELS}, got the class {self.classes.max()}")

    def __getitem__(self, window: tuple[slice, slice]) -> ClassMap:
        return ClassMap(self.classes[window], self.particle[window], self.border[window])


def of_probabilities(probabilities: np.ndarray) -> ClassMap:
    """The class map of a network's `probabilities`, float [c, h, w] of 3 (`LABELS`) or 5 classes (`SEAM_LABELS`).

    A class and that class at a seam count together. Raises `ValueError` for another number of classes.
    """
    if len(probabilities) not in (len(LABELS), len(SEAM_LABELS)):
        raise ValueError(f"expected probabilities of 3 or 5 classes, got {len(probabilities)}")
    together, border = probabilities[: len(LABELS)], probabilities[CONTOUR]
    if len(probabilities) == len(SEAM_LABELS):
        together = together.copy()
        together[[PARTICLE, CONTOUR]] += probabilities[[PARTICLE + SEAM, CONTOUR + SEAM]]
        border = together[CONTOUR] + probabilities[PARTICLE + SEAM]
    return ClassMap(together.argmax(axis=0).astype(np.uint8), _rounded(together[PARTICLE]), _rounded(border))


def _rounded(probability: np.ndarray) -> np.ndarray:
    return np.round(probability.astype(np.float32).clip(0, 1) * FULL_SCALE) / np.float32(FULL_SCALE)


def plain(classes: np.ndarray) -> np.ndarray:
    """The 4-connected components of class 1, as in the paper: int32 [h, w] from class labels [h, w].

    Background (0) and contour (2) are 0. Where the predicted contour has a gap, neighbours merge: with a
    contour of one pixel the metrics that count instances stay low (see `drgan_lib.segmentation.metrics`).
    """
    if classes.ndim != 2:
        raise ValueError(f"expected class labels of shape [h, w], got {classes.shape}")
    return ndimage.label(classes == PARTICLE, _FOUR)[0].astype(np.int32)


@dataclass(frozen=True)
class BorderCore:
    """Settings of `border_core`.

    A pixel of class 1 is core if P(particle) - P(border) exceeds `level`, in [0, 1). Two parts of a core become two
    particles if the neck between them is narrower than `neck`, in [0, 1], times the width of the thinner part; 0 cuts
    no neck. `contour_px` is the width of outer contours in the labels that were learned (None: not known).
    """

    level: float = 0.5
    neck: float = 0.6
    contour_px: int | None = None

    def __post_init__(self):
        if not 0 <= self.level < 1:
            raise ValueError(f"expected a level in [0, 1), a difference of probabilities, got {self.level}")
        if not 0 <= self.neck <= 1:
            raise ValueError(f"expected neck in [0, 1], a ratio of widths, got {self.neck}")


def border_core(class_map: ClassMap, settings: BorderCore) -> np.ndarray:
    """Instances int32 [h, w] of a predicted contour with gaps: cores are cut at their necks and grown back.

    1. Cores are the pixels of class 1 that `settings.level` leaves.
    2. Their Euclidean distance transform is flooded from its maxima (watershed). Two maxima count as one unless the
       saddle between them is lower than `settings.neck` times the lower of the two: a dotted contour leaves a row of
       narrow necks, a wire none, however long, and neither depends on the size of the particles.
    3. The parts grow into the rest of class 1 in the order of falling P(particle). Components of class 1 without a core
       stay whole.
    4. A pixel of class contour that has different instances among its four neighbours belongs to the largest of them,
       which gave it up for the label (see `drgan_lib.classes.three_class`).
    5. One that touches an instance and is further than `settings.contour_px` from background is no outer contour: it
       belongs to an instance, too, in the same order as in 3. Predicted lines are wider than those of labels.
    """
    foreground = class_map.classes == PARTICLE
    labels = _cut(foreground & (class_map.particle - class_map.border > settings.level), settings.neck)
    components, count = ndimage.label(foreground, _FOUR)
    reached = np.zeros(count + 1, bool)
    reached[components[labels > 0]] = True
    labels = np.where(foreground & ~reached[components], components + labels.max(), labels)
    labels = watershed(-class_map.particle, labels, mask=foreground)
    contour = class_map.classes == CONTOUR
    labels = _give_back(relabel_sequential(labels)[0].astype(np.int32), contour)
    if settings.contour_px is None:
        return labels
    outer = ndimage.binary_dilation(class_map.classes == BACKGROUND, _FOUR, iterations=settings.contour_px)
    inner = contour & ~outer & ndimage.binary_dilation(labels > 0, _FOUR)
    return watershed(-class_map.particle, labels, mask=(labels > 0) | inner)


def _cut(core: np.ndarray, neck: float) -> np.ndarray:
    """Labels [h, w] of the parts of the mask `core`, 4-connected or cut at necks."""
    if neck == 0:
        return ndimage.label(core, _FOUR)[0]
    distance = ndimage.distance_transform_edt(core)

    def maxima(depth: np.ndarray) -> np.ndarray:
        filled = reconstruction(np.maximum(depth + np.log(neck), -1.0), depth, footprint=_EIGHT)
        return local_maxima(filled, connectivity=2).astype(bool)

    parts = ndimage.label(on_islands(maxima, np.log(np.maximum(distance, 1)), core, -1.0), _EIGHT)[0]
    # Maxima that touch by a corner are one; where nothing else joins what grew from them, it is in pieces.
    return label(watershed(-distance, parts, mask=core), connectivity=1)


def _give_back(labels: np.ndarray, contour: np.ndarray) -> np.ndarray:
    """Labels in which each pixel of the mask `contour` between two instances belongs to the larger one."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    padded = np.pad(labels, 1)
    neighbours = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    largest = np.take_along_axis(neighbours, areas[neighbours].argmax(axis=0)[None], axis=0)[0]
    between = ((neighbours > 0) & (neighbours != largest)).any(axis=0)
    return np.where(contour & between, largest, labels)


GRID = tuple(BorderCore(level=level, neck=neck) for neck, level in product(NECKS, LEVELS))  # the simplest first


def tune_border_core(
    maps: Sequence[ClassMap], truths: Sequence[np.ndarray], *, min_area: int, contour_px: int | None = None
) -> tuple[BorderCore, pd.DataFrame]:
    """The settings that count right among those of the highest instance PQ, and a table with a row per setting tried.

    `maps` are predictions for annotated images of the arm's own kind, `truths` their instances, int [h, w] with 0 as
    background; instances of fewer than `min_area` pixels count on neither side, and all settings have `contour_px`. PQ
    is the mean over images; settings that are at most two standard errors below the best are as good (as in Breiman et
    al., Classification and Regression Trees, 1984), those of the difference, which is paired: images differ far more
    than settings do. Of these, the number of particles has to be right to 2 %, or as near as any comes, since too few
    are too large ones; and of those, the highest PQ counts, with the lowest neck, then the lowest level if equal.
    The table has the columns `level`, `neck`, `pq`, `standard_error` (of the difference to the best; 0 for one image),
    `count_ratio` (predicted by true instances of all images; NaN without a true one) and `chosen`. Raises `ValueError`
    without an image or if there is not one truth per map.
    """
    if not maps or len(maps) != len(truths):
        raise ValueError(f"expected as many truths as class maps, at least one, got {len(maps)} and {len(truths)}")
    # Imported late: PyTorch comes with it.
    from drgan_lib.hardware import usable_cores

    grid = [replace(settings, contour_px=contour_px) for settings in GRID]
    kept = [remove_small(np.asarray(truth), min_area) for truth in truths]
    with ThreadPoolExecutor(usable_cores()) as pool:
        qualities, ratios = zip(
            *pool.map(lambda settings: quality_of(settings, maps, kept, min_area), grid), strict=True
        )
    table = pd.DataFrame([asdict(settings) for settings in GRID]).drop(columns="contour_px")
    table["pq"] = np.mean(qualities, axis=1)
    below = np.array(qualities)[table["pq"].argmax()] - np.array(qualities)
    table["standard_error"] = below.std(axis=1, ddof=1) / len(maps) ** 0.5 if len(maps) > 1 else 0.0
    table["count_ratio"] = ratios
    good = below.mean(axis=1) <= (AS_GOOD * table["standard_error"]).clip(lower=ROUNDING)
    wrong = np.abs(np.log(table["count_ratio"].clip(lower=ROUNDING))).fillna(0).clip(lower=COUNT)
    chosen = int(table["pq"].where(good & (wrong <= wrong[good].min()), -1).to_numpy().argmax())
    table["chosen"] = np.arange(len(table)) == chosen
    return grid[chosen], table


def quality_of(
    settings: BorderCore, maps: Sequence[ClassMap], truths: Sequence[np.ndarray], min_area: int
) -> tuple[list[float], float]:
    """PQ of each image, and the number of predicted by that of true instances in all of them."""
    found = [
        match(truth, remove_small(border_core(class_map, settings), min_area)).detections
        for class_map, truth in zip(maps, truths, strict=True)
    ]
    count = sum(image.count_true for image in found)
    ratio = sum(image.count_predicted for image in found) / count if count else float("nan")
    return [image.pq for image in found], ratio
