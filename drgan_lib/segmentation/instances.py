"""From nnU-Net's classes and probabilities to instances."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import relabel_sequential, watershed

from drgan_lib.classes import CONTOUR, PARTICLE
from drgan_lib.segmentation.class_map import ClassMap

_FOUR, _EIGHT = ndimage.generate_binary_structure(2, 1), ndimage.generate_binary_structure(2, 2)


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
    no neck.
    """

    level: float = 0.5
    neck: float = 0.6

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
    """
    foreground = class_map.classes == PARTICLE
    labels = _cut(foreground & (class_map.particle - class_map.border > settings.level), settings.neck)
    components, count = ndimage.label(foreground, _FOUR)
    reached = np.zeros(count + 1, bool)
    reached[components[labels > 0]] = True
    labels = np.where(foreground & ~reached[components], components + labels.max(), labels)
    labels = watershed(-class_map.particle, labels, mask=foreground)
    return _give_back(relabel_sequential(labels)[0].astype(np.int32), class_map.classes == CONTOUR)


def _cut(core: np.ndarray, neck: float) -> np.ndarray:
    """Labels [h, w] of the parts of the mask `core`, 4-connected or cut at necks."""
    if neck == 0:
        return ndimage.label(core, _FOUR)[0]
    distance = ndimage.distance_transform_edt(core)
    depth = np.where(core, np.log(np.maximum(distance, 1)), -1.0)
    filled = reconstruction(np.maximum(depth + np.log(neck), -1.0), depth, footprint=_EIGHT)
    parts = ndimage.label(local_maxima(filled, connectivity=2) & core, _EIGHT)[0]
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
