"""Matching of predicted to true instances at IoU > 0.5, and the figures that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

THRESHOLD = 0.5


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

    @property
    def ap50(self) -> float:
        """TP / (TP + FP + FN), as in StarDist and Cellpose; 1 if both images are empty."""
        union = self.tp + self.fp + self.fn
        return self.tp / union if union else 1.0

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


def match(true: np.ndarray, predicted: np.ndarray) -> Matching:
    """Pairs instances of two label images, int [h, w] with 0 as background, at IoU > 0.5.

    Above one half no instance can have two partners (the instances of an image are disjoint), so these pairs
    are the optimal assignment. Raises `ValueError` for differing shapes.
    """
    if true.shape != predicted.shape:
        raise ValueError(f"expected two label images of one shape, got {true.shape} and {predicted.shape}")
    true_ids, true_areas = _areas(true)
    predicted_ids, predicted_areas = _areas(predicted)
    both = (true > 0) & (predicted > 0)
    pairs, overlap = np.unique(np.stack([true[both], predicted[both]]), axis=1, return_counts=True)
    rows, columns = np.searchsorted(true_ids, pairs[0]), np.searchsorted(predicted_ids, pairs[1])
    iou = overlap / (true_areas[rows] + predicted_areas[columns] - overlap)
    good = iou > THRESHOLD
    return Matching(pairs[0][good], pairs[1][good], iou[good], len(true_ids), len(predicted_ids))


def remove_small(labels: np.ndarray, min_area: int) -> np.ndarray:
    """The label image, int [h, w], with instances of fewer than `min_area` pixels turned into background."""
    ids, areas = _areas(labels)
    return np.where(np.isin(labels, ids[areas < min_area]), 0, labels)


def _areas(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids and areas in pixels of the instances of a label image."""
    return np.unique(labels[labels > 0], return_counts=True)
