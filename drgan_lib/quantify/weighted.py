"""Statistics of weighted samples: quantiles, and the interval of a share."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Quantiles [len(shares), ...] along the last axis of values and weights [..., n].

    Each value stands at the middle of its weight, with straight lines in between: NumPy's method "hazen" if all weights
    are equal. The quantile of a half is the median as usual.
    """
    order = np.argsort(values, axis=-1, kind="stable")
    values, weights = np.take_along_axis(values, order, -1), np.take_along_axis(weights, order, -1)
    middle = np.cumsum(weights, axis=-1) - weights / 2
    total, last = weights.sum(axis=-1, keepdims=True), values.shape[-1] - 1
    quantiles = []
    for share in shares:
        goal = share * total
        above = np.clip((middle < goal).sum(axis=-1, keepdims=True), 0, last)
        below = np.maximum(above - 1, 0)
        low, high = np.take_along_axis(middle, below, -1), np.take_along_axis(middle, above, -1)
        step = np.where(high > low, high - low, 1.0)
        part = np.clip((goal - low) / step, 0, 1)
        start, end = np.take_along_axis(values, below, -1), np.take_along_axis(values, above, -1)
        quantiles.append((start + part * (end - start))[..., 0])
    return np.stack(quantiles)


def wilson(share: float, weights: np.ndarray, level: float) -> tuple[float, float]:
    """Wilson's score interval of a weighted share, of as many equal draws as the weights [n] are worth (Kish)."""
    n, z2 = float(weights.sum() ** 2 / (weights**2).sum()), norm.ppf((1 + level) / 2) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
