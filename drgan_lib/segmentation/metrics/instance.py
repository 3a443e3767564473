"""Matching of predicted to true instances at IoU > 0.5 and above, and the figures that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

THRESHOLD = 0.5
THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))


@dataclass(frozen=True)
class Matching:
    """Pairs of one true and one predicted instance with IoU > 0.5, and how many instances there are.

    `true_ids`, `predicted_ids`, `iou`: arrays [tp], sorted by true id.
    """

    true_ids: np.ndarray
    predicted_ids: np.ndarray
    iou: np.ndarray
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
        """TP / (TP + FP + FN) at IoU > `threshold` >= 0.5, as in StarDist and Cellpose; 1 if both images are empty."""
        tp = int((self.iou > threshold).sum())
        union = self.count_true + self.count_predicted - tp
        return tp / union if union else 1.0

    @property
    def ap50(self) -> float:
        """`ap` at 0.5."""
        return self.ap()

    @property
    def ap50_95(self) -> float:
        """Mean of `ap` over the thresholds 0.5, 0.55, ... 0.95."""
        return float(np.mean([self.ap(threshold) for threshold in THRESHOLDS]))

    @property
    def sq(self) -> float:
        """Mean IoU of the pairs; without any pair 1 if both images are empty, else 0."""
        if self.tp:
            return float(self.iou.mean())
        return float(self.count_true + self.count_predicted == 0)

    @property
    def rq(self) -> float:
        """TP / (TP + FP / 2 + FN / 2); 1 if both images are empty."""
        count = self.count_true + self.count_predicted
        return 2 * self.tp / count if count else 1.0

    @property
    def pq(self) -> float:
        """Panoptic quality of one class, SQ x RQ (Kirillov et al., CVPR 2019)."""
        return self.sq * self.rq


@dataclass(frozen=True)
class Overlaps:
    """Which instances of two label images share pixels, and how many.

    `true_areas` [n] and `predicted_areas` [m] belong to the sorted ids; `rows`, `columns`, `pixels` [k] are the
    pairs that overlap, as positions in these, with their common pixels.
    """

    true_ids: np.ndarray
    predicted_ids: np.ndarray
    true_areas: np.ndarray
    predicted_areas: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    pixels: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """float64 [k]: intersection over union of each pair."""
        return self.pixels / (self.true_areas[self.rows] + self.predicted_areas[self.columns] - self.pixels)


def overlaps(true: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """The overlaps of two label images, int [h, w] with 0 as background; `ValueError` for differing shapes."""
    if true.shape != predicted.shape:
        raise ValueError(f"expected two label images of one shape, got {true.shape} and {predicted.shape}")
    true_ids, true_areas = _areas(true)
    predicted_ids, predicted_areas = _areas(predicted)
    both = (true > 0) & (predicted > 0)
    pairs, pixels = np.unique(np.stack([true[both], predicted[both]]), axis=1, return_counts=True)
    rows, columns = np.searchsorted(true_ids, pairs[0]), np.searchsorted(predicted_ids, pairs[1])
    return Overlaps(true_ids, predicted_ids, true_areas, predicted_areas, rows, columns, pixels)


def match(true: np.ndarray, predicted: np.ndarray) -> Matching:
    """Pairs instances of two label images, int [h, w] with 0 as background, at IoU > 0.5.

    Above one half no instance can have two partners (the instances of an image are disjoint), so these pairs
    are the optimal assignment, at 0.5 and at every higher threshold. Raises `ValueError` for differing shapes.
    """
    found = overlaps(true, predicted)
    iou = found.iou
    good = iou > THRESHOLD
    return Matching(
        found.true_ids[found.rows[good]],
        found.predicted_ids[found.columns[good]],
        iou[good],
        len(found.true_ids),
        len(found.predicted_ids),
    )


def aji(true: np.ndarray, predicted: np.ndarray) -> float:
    """Aggregated Jaccard index (Kumar et al., IEEE Trans. Med. Imaging 36, 1550, 2017) of two label images.

    Each true instance takes the predicted one of highest IoU (of equal ones the lowest id). The common pixels of
    these pairs, divided by their unions, the true instances without overlap, and the predicted ones that none
    took. 1 if both images are empty.
    """
    found = overlaps(true, predicted)
    order = np.lexsort((found.columns, -found.iou, found.rows))
    matched, first = np.unique(found.rows[order], return_index=True)
    best = order[first]
    taken = found.columns[best]
    intersection = found.pixels[best].sum()
    union = found.true_areas[matched].sum() + found.predicted_areas[taken].sum() - intersection
    union += np.delete(found.true_areas, matched).sum() + np.delete(found.predicted_areas, np.unique(taken)).sum()
    return float(intersection / union) if union else 1.0


def remove_small(labels: np.ndarray, min_area: int) -> np.ndarray:
    """The label image, int [h, w], with instances of fewer than `min_area` pixels turned into background."""
    ids, areas = _areas(labels)
    return np.where(np.isin(labels, ids[areas < min_area]), 0, labels)


def _areas(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids and areas in pixels of the instances of a label image."""
    return np.unique(labels[labels > 0], return_counts=True)
