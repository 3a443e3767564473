"""Distances between two sets of feature vectors (Frechet distance, KID), and the breadth of one."""

from __future__ import annotations

import numpy as np


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Frechet distance of Gaussians fitted to features `x` [n, d] and `y` [m, d] (Heusel et al. 2017).

    ``||m_x - m_y||^2 + tr(C_x) + tr(C_y) - 2 tr sqrt(C_x C_y)``. With centred rows X and Y the last trace is
    the sum of the singular values of X Y^T over sqrt((n - 1)(m - 1)): exact also where d exceeds n and the
    covariances are singular, and fast, since the matrix is n x m instead of d x d. Raises `ValueError` below
    two rows or if the widths differ.
    """
    x, y = _checked(x, y)
    difference = x.mean(axis=0) - y.mean(axis=0)
    x = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    y = (y - y.mean(axis=0)) / np.sqrt(len(y) - 1)
    overlap = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(max(difference @ difference + np.sum(x * x) + np.sum(y * y) - 2 * overlap, 0.0))


def kid(x: np.ndarray, y: np.ndarray, *, subsets: int = 100, seed: int = 0) -> tuple[float, float]:
    """Kernel inception distance of features `x` [n, d] and `y` [m, d]: estimate and its standard error.

    Unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3 (Binkowski et al. 2018);
    unbiased, so that it may fall below 0 for like sets. The standard error is the standard deviation over
    `subsets` random halves drawn without replacement, which for a mean equals the one of the whole sample.
    Raises `ValueError` below two rows or if the widths differ.
    """
    x, y = _checked(x, y)
    rng = np.random.default_rng(seed)
    kxx, kyy, kxy = (((a @ b.T) / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    half_x, half_y = max(len(x) // 2, 2), max(len(y) // 2, 2)
    values = []
    for _ in range(subsets):
        i = rng.choice(len(x), half_x, replace=False)
        j = rng.choice(len(y), half_y, replace=False)
        values.append(_mmd2(kxx[np.ix_(i, i)], kyy[np.ix_(j, j)], kxy[np.ix_(i, j)]))
    return float(_mmd2(kxx, kyy, kxy)), float(np.std(values))


def spread(positions: np.ndarray) -> float:
    """How broad positions in the bounds [n, n_parameters] are spread: 0 for one value, 1 for uniform.

    Mean over the parameters of the standard deviation divided by the one of the uniform law, 1 / sqrt(12).
    """
    return float(np.mean(np.std(np.asarray(positions, dtype=np.float64), axis=0)) * np.sqrt(12))


def _mmd2(kxx: np.ndarray, kyy: np.ndarray, kxy: np.ndarray) -> float:
    n, m = kxy.shape
    within = (kxx.sum() - np.trace(kxx)) / (n * (n - 1)) + (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
    return within - 2 * kxy.mean()


def _checked(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"expected two feature sets [n >= 2, d] of one width, got shapes {x.shape} and {y.shape}")
    return x, y
