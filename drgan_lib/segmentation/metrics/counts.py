"""What the figures are made of: counts of one image that add up to those of a set, and the formulas on them.

All are sums over pixels, instances or outlines, so the figures of one image and those pooled over many come from the
same lines. Where there is nothing to count (pixels, instances, outlines) on either side the two agree: 1. Where one
side alone has something: 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Self

THRESHOLD = 0.5
THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))


class Addable:
    """A dataclass whose fields add one by one; a tuple is continued by the other's."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Pixels(Addable):
    """Numbers of pixels in true instances, in predicted ones, in both."""

    true: int
    predicted: int
    common: int

    @property
    def dsc(self) -> float:
        """Dice similarity 2|T n P| / (|T| + |P|)."""
        total = self.true + self.predicted
        return 2 * self.common / total if total else 1.0

    @property
    def iou(self) -> float:
        """Jaccard index |T n P| / |T u P|."""
        union = self.true + self.predicted - self.common
        return self.common / union if union else 1.0

    @property
    def pq_semantic(self) -> float:
        """DSC / (2 - DSC), the paper's PQ; it equals `iou`."""
        return self.dsc / (2 - self.dsc)


@dataclass(frozen=True)
class Detections(Addable):
    """IoU of each pair of a true and a predicted instance above 0.5, and how many instances there are."""

    iou: tuple[float, ...]
    count_true: int
    count_predicted: int

    @property
    def tp(self) -> int:
        return len(self.iou)

    @property
    def fp(self) -> int:
        return self.count_predicted - self.tp

    @property
    def fn(self) -> int:
        return self.count_true - self.tp

    def ap(self, threshold: float = THRESHOLD) -> float:
        """TP / (TP + FP + FN) at IoU > `threshold` >= 0.5, as in StarDist and Cellpose."""
        tp = sum(iou > threshold for iou in self.iou)
        union = self.count_true + self.count_predicted - tp
        return tp / union if union else 1.0

    @property
    def ap50_95(self) -> float:
        """Mean of `ap` over the thresholds 0.5, 0.55, ... 0.95."""
        return math.fsum(map(self.ap, THRESHOLDS)) / len(THRESHOLDS)

    @property
    def sq(self) -> float:
        """Mean IoU of the pairs."""
        if self.tp:
            return math.fsum(self.iou) / self.tp
        return float(self.count_true + self.count_predicted == 0)

    @property
    def rq(self) -> float:
        """TP / (TP + FP / 2 + FN / 2)."""
        count = self.count_true + self.count_predicted
        return 2 * self.tp / count if count else 1.0

    @property
    def pq(self) -> float:
        """Panoptic quality of one class, SQ x RQ (Kirillov et al., CVPR 2019)."""
        return self.sq * self.rq

    @property
    def count_error(self) -> float:
        """|predicted - true| / true; the number of predicted instances itself, if none are true."""
        return abs(self.count_predicted - self.count_true) / max(self.count_true, 1)


@dataclass(frozen=True)
class Jaccard(Addable):
    """Pixels in the intersections and in the unions of the aggregated Jaccard index."""

    intersection: int
    union: int

    @property
    def aji(self) -> float:
        """Aggregated Jaccard index."""
        return self.intersection / self.union if self.union else 1.0


@dataclass(frozen=True)
class Outlines(Addable):
    """Numbers of outline pixels of the truth and the prediction, and of those that have one of the other nearby."""

    true: int
    predicted: int
    true_met: int
    predicted_met: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall of the predicted outline pixels."""
        if not (self.true and self.predicted):
            return float(self.true == self.predicted)
        precision, recall = self.predicted_met / self.predicted, self.true_met / self.true
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass(frozen=True)
class Counts(Addable):
    """All that is counted of an image or, added up, of a set of images."""

    pixels: Pixels
    detections: Detections
    jaccard: Jaccard
    outlines: Outlines

    def figures(self) -> dict[str, float | int]:
        """The figures that `score` and `pooled` return."""
        pixels, detections = self.pixels, self.detections
        return {
            "dsc": pixels.dsc,
            "iou": pixels.iou,
            "pq_semantic": pixels.pq_semantic,
            "pq": detections.pq,
            "sq": detections.sq,
            "rq": detections.rq,
            "ap50": detections.ap(),
            "ap50_95": detections.ap50_95,
            "aji": self.jaccard.aji,
            "boundary_f1": self.outlines.f1,
            "count_error": detections.count_error,
            "count_true": detections.count_true,
            "count_predicted": detections.count_predicted,
            "tp": detections.tp,
            "fp": detections.fp,
            "fn": detections.fn,
        }
