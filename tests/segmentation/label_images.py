"""Label images for the tests of the metrics, and what can be read off them the slow way."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from drgan_lib.segmentation.metrics.counts import THRESHOLDS

LABELS = arrays(np.int32, (6, 7), elements=st.integers(0, 3))


def grid(n_rows: int, n_columns: int, *, shift: int = 0, gap: int = 0) -> np.ndarray:
    """Touching (gap 0) 8 x 8 squares with ids of their own, moved `shift` pixels to the right."""
    labels = np.zeros((8 * n_rows, 8 * n_columns + 8), np.int32)
    for number in range(n_rows * n_columns):
        y, x = 8 * (number // n_columns), 8 * (number % n_columns) + shift
        labels[y : y + 8 - gap, x : x + 8 - gap] = number + 1
    return labels


def random_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Squares, and the same with noise, splits, merges, a phantom and a lost one."""
    rng = np.random.default_rng(seed)
    true = grid(3, 4, gap=1)
    predicted = np.roll(true, rng.integers(-1, 2), axis=rng.integers(2))
    predicted[rng.random(true.shape) < 0.15] = 0
    predicted[predicted == 2] = 1
    predicted[predicted == 5] = 0
    predicted[:4][predicted[:4] == 4] = 20
    predicted[-3:, -3:] = 30
    return true, predicted


def adversarial_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random label images, one of: noisy squares, blobs, touching, nested, split, one-pixel, empty."""
    rng = np.random.default_rng(seed)
    kind = seed % 8
    if kind < 2:
        return random_pair(seed)
    true = grid(3, 4, gap=int(rng.integers(2)))
    if kind == 2:  # touching squares, moved
        return true, np.roll(true, rng.integers(1, 5), axis=1)
    if kind == 3:  # nested
        true[2:6, 2:6], inner = 50, true.copy()
        inner[3:5, 3:5] = 51
        return true, inner
    if kind == 4:  # split along a random line
        predicted = true + 100 * (np.arange(true.shape[1]) > rng.integers(1, 30)) * (true > 0)
        return true, predicted
    if kind == 5:  # single pixels
        predicted = np.zeros_like(true)
        places = rng.choice(true.size, size=12, replace=False)
        predicted.flat[places] = np.arange(1, 13)
        return (predicted, np.where(predicted > 4, predicted, 0)) if seed // 8 % 2 else (true, predicted)
    if kind == 6:  # one or both empty
        empty = np.zeros_like(true)
        return [(true, empty), (empty, true), (empty, empty)][seed // 8 % 3]
    cells = rng.integers(0, 6, size=(2, 3, 4))  # blocks of equal ids
    return tuple(np.kron(block, np.ones((7, 8), int)).astype(np.int32) for block in cells)


def iou_table(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.array(
        [
            [((true == t) & (predicted == p)).sum() / ((true == t) | (predicted == p)).sum() for p in ids(predicted)]
            for t in ids(true)
        ]
    ).reshape(len(ids(true)), len(ids(predicted)))


def ids(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels[labels > 0])


def no_tie(true: np.ndarray, predicted: np.ndarray) -> bool:
    """No pair at exactly a threshold, where the libraries' «greater» and «greater or equal» differ."""
    return not np.isclose(iou_table(true, predicted)[..., None], THRESHOLDS).any()
