"""Cubic splines by their weights: how much the value at each knot counts for the value at any place."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor


@dataclass(frozen=True)
class LogSpline:
    """The cubic spline in ln(x) through values at knots from `low` to `high`; constant beyond them.

    Its first and second derivatives are continuous. Knots are at most `spacing` apart in ln(x).
    """

    low: float
    high: float
    spacing: float

    @cached_property
    def knots(self) -> np.ndarray:
        """float64 [k]: a single one where `low` is `high`."""
        if self.low == self.high:
            return np.array([self.low])
        n_knots = max(4, 1 + int(np.ceil(np.log(self.high / self.low) / self.spacing)))
        knots = np.geomspace(self.low, self.high, n_knots)
        # A spline is least accurate in its first and last piece, so both are halved.
        ends = np.sqrt(knots[[0, -2]] * knots[[1, -1]])
        return np.sort(np.append(knots, ends))

    def weights(self, x: Tensor) -> Tensor:
        """float64 [k, ...] of x [...]: the splines that are 1 at one knot and 0 at the others."""
        if len(self.knots) == 1:
            return torch.ones_like(x, dtype=torch.float64)[None]
        x = x.double().clamp(self.knots[0], self.knots[-1]).log()
        places, table = (part.to(x.device) for part in self._cardinal)
        piece = torch.searchsorted(places, x.detach(), right=True).sub(1).clamp(0, len(places) - 2)
        step = (x - places[piece])[..., None]
        c = table[:, piece]  # [4, ..., k]
        return (((c[0] * step + c[1]) * step + c[2]) * step + c[3]).movedim(-1, 0)

    @cached_property
    def _cardinal(self) -> tuple[Tensor, Tensor]:
        """Knots in ln(x), and the cubic pieces [4, k - 1, k] of the spline through each knot's unit vector."""
        x = np.log(self.knots)
        return torch.from_numpy(x), torch.from_numpy(CubicSpline(x, np.eye(len(x)), bc_type="not-a-knot").c)
