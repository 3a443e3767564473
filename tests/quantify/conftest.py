"""Shapes of known size on a grid of pixels."""

from __future__ import annotations

import numpy as np
import pytest


def disc(radius: float, *, centre: tuple[float, float] | None = None, side: int | None = None) -> np.ndarray:
    side = side or int(2 * radius + 8)
    row, column = centre or (side / 2, side / 2)
    y, x = np.mgrid[:side, :side]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def rectangle(length: float, width: float, angle: float, shift: float = 0.0) -> np.ndarray:
    side = int(np.hypot(length, width)) + 8
    y, x = np.mgrid[:side, :side] - (side / 2 + shift)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (abs(along) <= length / 2) & (abs(across) <= width / 2)


@pytest.fixture
def scattered() -> np.ndarray:
    """A label image of 60 particles, 12 of them on the border."""
    rng = np.random.default_rng(3)
    labels = np.zeros((200, 200), np.int32)
    for name in range(60):
        row, column = 25 * (name // 8), 25 * (name % 8)
        patch = disc(rng.uniform(3, 9), centre=(12 if row else 2, 12), side=25)
        labels[row : row + 25, column : column + 25][patch] = name + 1
    return labels
