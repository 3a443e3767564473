"""What the metrics are made of: counts of one image that add up to those of a set, and the formulas on them.

All are sums over pixels, instances or outlines, so the metrics of one image and those pooled over many come from the
same lines. Where there is nothing to count (pixels, instances, outlines) on either side the two agree: 1. Where one
side alone has something: 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt
from skimage.segmentation import find_boundaries

from drgan_lib.segmentation.metrics.errors import shares_of_kinds

THRESHOLD = 0.5
THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
TOLERANCE_PX = 2.0


@dataclass(frozen=True)
class Detections:
    """IoU of each pair of a true and a predicted instance above 0.5, and how many instances there are."""

    iou: tuple[float, ...]
    count_true: int
    count_predicted: int

    @property
    def tp(self) -> int:
        return len(self.iou)

    def ap(self, threshold: float = THRESHOLD) -> float:
        """TP / (TP + FP + FN) at IoU > `threshold` >= 0.5, as in StarDist and Cellpose."""
        tp = sum(iou > threshold for iou in self.iou)
        return ratio(tp, self.count_true + self.count_predicted - tp)

    @property
    def sq(self) -> float:
        """Mean IoU of the pairs."""
        return math.fsum(self.iou) / self.tp if self.tp else float(self.count_true + self.count_predicted == 0)

    @property
    def rq(self) -> float:
        """TP / (TP + FP / 2 + FN / 2)."""
        return ratio(2 * self.tp, self.count_true + self.count_predicted)

    @property
    def pq(self) -> float:
        """Panoptic quality of one class, SQ x RQ (Kirillov et al., CVPR 2019)."""
        return self.sq * self.rq


@dataclass(frozen=True)
class Counts:
    """All that is counted of an image or, added up, of a set of images.

    `pixels`: int [3], in true instances, in predicted ones, in both. `jaccard`: int [2], pixels in the intersections
    and in the unions of the aggregated Jaccard index. `outlines`: int [4], outline pixels of the truth and of the
    prediction, and how many of these have one of the other nearby. `near`: pixels of instances on either side that lie
    on the other side's, or next to them. `kinds`: int [n_sizes, n_kinds], what became of the true instances, see
    `drgan_lib.segmentation.metrics.errors`.
    """

    pixels: np.ndarray
    detections: Detections
    jaccard: np.ndarray
    outlines: np.ndarray
    near: int
    kinds: np.ndarray

    def __add__(self, other: Counts) -> Counts:
        ours, theirs = self.detections, other.detections
        detections = Detections(
            ours.iou + theirs.iou,
            ours.count_true + theirs.count_true,
            ours.count_predicted + theirs.count_predicted,
        )
        sums = (getattr(self, name) + getattr(other, name) for name in ("jaccard", "outlines", "near", "kinds"))
        return Counts(self.pixels + other.pixels, detections, *sums)

    def metrics(self) -> dict[str, float | int]:
        """What `score` and `pooled` return."""
        (true, predicted, common), found = self.pixels.tolist(), self.detections
        dsc = ratio(2 * common, true + predicted)
        return {
            "dsc": dsc,
            "dsc_1px": ratio(self.near, true + predicted),
            "iou": ratio(common, true + predicted - common),
            "pq_semantic": dsc / (2 - dsc),
            "pq": found.pq,
            "sq": found.sq,
            "rq": found.rq,
            "ap50": found.ap(),
            "ap50_95": math.fsum(map(found.ap, THRESHOLDS)) / len(THRESHOLDS),
            "aji": ratio(*self.jaccard.tolist()),
            "boundary_f1": f1(*self.outlines.tolist()),
            **shares_of_kinds(self.kinds.sum(axis=0)),
            "count_error": abs(found.count_predicted - found.count_true) / max(found.count_true, 1),
            "count_true": found.count_true,
            "count_predicted": found.count_predicted,
            "tp": found.tp,
            "fp": found.count_predicted - found.tp,
            "fn": found.count_true - found.tp,
        }


def ratio(part: int, whole: int) -> float:
    """`part` / `whole`, 1 where there is nothing to count."""
    return part / whole if whole else 1.0


def f1(true: int, predicted: int, true_met: int, predicted_met: int) -> float:
    """Harmonic mean of precision and recall of the predicted outline pixels."""
    if not (true and predicted):
        return float(true == predicted)
    precision, recall = predicted_met / predicted, true_met / true
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def count_near(true: np.ndarray, predicted: np.ndarray) -> int:
    """Pixels of instances on either side that lie on the other side's instances or next to one, diagonals excluded.

    `true` and `predicted` are label images [h, w] with 0 as background.
    """
    sides = true > 0, predicted > 0
    return sum(int((one & binary_dilation(other)).sum()) for one, other in (sides, sides[::-1]))


def count_outlines(true: np.ndarray, predicted: np.ndarray, *, tolerance_px: float = TOLERANCE_PX) -> np.ndarray:
    """int [4]: outline pixels of two label images, and those that have one of the other nearby.

    The outline of an instance are its pixels that have a 4-neighbour outside it; where two instances touch, both have
    one, and the edge of the image makes none (Csurka et al., BMVC 2013). The numbers are: of the truth, of the
    prediction, and how many of each are at most `tolerance_px` away from one of the other. `ValueError` for differing
    shapes.
    """
    if true.shape != predicted.shape:
        raise ValueError(f"expected two label images of one shape, got {true.shape} and {predicted.shape}")
    ours, theirs = (find_boundaries(labels, connectivity=1, mode="inner") for labels in (true, predicted))
    met = [
        (distance_transform_edt(~other)[outline] <= tolerance_px).sum() if other.any() else 0
        for outline, other in ((ours, theirs), (theirs, ours))
    ]
    return np.array([ours.sum(), theirs.sum(), *met])
