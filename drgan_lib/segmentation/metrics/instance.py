"""Matching of predicted to true instances at IoU > 0.5, their overlaps, and the minimum area."""

from typing import NamedTuple

import numpy as np

from drgan_lib.segmentation.metrics.counts import THRESHOLD, Detections


class Matching(NamedTuple):
    """Pairs of one true and one predicted instance with IoU > 0.5, and what follows from them.

    `true_ids`, `predicted_ids`: arrays [tp], sorted by true id; the IoU of the pairs stand in `detections.iou`.
    """

    true_ids: np.ndarray
    predicted_ids: np.ndarray
    detections: Detections


class Overlaps(NamedTuple):
    """Which instances of two label images share pixels, and how many.

    `true_areas` [n] and `predicted_areas` [m] belong to the sorted ids; `rows`, `columns`, `pixels` [k] are the
    pairs that overlap, as positions in these, with their common pixels, and `iou` [k] their intersection over union.
    """

    true_ids: np.ndarray
    predicted_ids: np.ndarray
    true_areas: np.ndarray
    predicted_areas: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    pixels: np.ndarray
    iou: np.ndarray


def overlaps(true: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """The overlaps of two label images, int [h, w] with 0 as background; `ValueError` for differing shapes."""
    if true.shape != predicted.shape:
        raise ValueError(f"expected two label images of one shape, got {true.shape} and {predicted.shape}")
    true_ids, true_areas = _areas(true)
    predicted_ids, predicted_areas = _areas(predicted)
    both = (true > 0) & (predicted > 0)
    keys = np.searchsorted(true_ids, true[both]) * len(predicted_ids) + np.searchsorted(predicted_ids, predicted[both])
    pairs, pixels = np.unique(keys, return_counts=True)
    rows, columns = np.divmod(pairs, max(1, len(predicted_ids)))
    iou = pixels / (true_areas[rows] + predicted_areas[columns] - pixels)
    return Overlaps(true_ids, predicted_ids, true_areas, predicted_areas, rows, columns, pixels, iou)


def match(true: np.ndarray, predicted: np.ndarray) -> Matching:
    """Pairs instances of two label images, int [h, w] with 0 as background, at IoU > 0.5.

    Above one half no instance can have two partners (the instances of an image are disjoint), so these pairs
    are the optimal assignment, at 0.5 and at every higher threshold. Raises `ValueError` for differing shapes.
    """
    found = overlaps(true, predicted)
    good = found.iou > THRESHOLD
    return Matching(
        found.true_ids[found.rows[good]],
        found.predicted_ids[found.columns[good]],
        Detections(tuple(found.iou[good].tolist()), len(found.true_ids), len(found.predicted_ids)),
    )


def count_jaccard(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """int [2]: what the aggregated Jaccard index divides (Kumar et al., IEEE Trans. Med. Imaging 36, 1550, 2017).

    Each true instance takes the predicted one of highest IoU (of equal ones the lowest id). The common pixels of
    these pairs, divided by their unions, the true instances without overlap, and the predicted ones that none took.
    """
    found = overlaps(true, predicted)
    order = np.lexsort((found.columns, -found.iou, found.rows))
    matched, first = np.unique(found.rows[order], return_index=True)
    best = order[first]
    taken = found.columns[best]
    intersection = found.pixels[best].sum()
    union = found.true_areas[matched].sum() + found.predicted_areas[taken].sum() - intersection
    union += np.delete(found.true_areas, matched).sum() + np.delete(found.predicted_areas, np.unique(taken)).sum()
    return np.array([intersection, union], int)


def remove_small(labels: np.ndarray, min_area: int) -> np.ndarray:
    """The label image, int [h, w], with instances of fewer than `min_area` pixels turned into background."""
    ids, areas = _areas(labels)
    return np.where(np.isin(labels, ids[areas < min_area]), 0, labels)


def _areas(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids and areas in pixels of the instances of a label image."""
    return np.unique(labels[labels > 0], return_counts=True)
