"""The distribution of a size over the particles of a table: its figures, their uncertainty, and whether it suffices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from drgan_lib.quantify.particles import LENGTHS, RATIOS
from drgan_lib.quantify.weighted import effective, weighted_quantiles, wilson

NANO_NM, NANO_SHARE = 100.0, 0.5
LARGEST_BATCH, LARGEST_BOOTSTRAP = 2_000_000, 200_000_000  # draws
LEAST_RESAMPLES = 200
DEFINITIONS = {
    "n": "number of particles counted",
    "n_border": "number of particles left out because they touch the border of their image",
    "n_small": "number of other particles left out because they are below the smallest area",
    "mean": "arithmetic mean over the particles counted",
    "d10": "size that 10 % of the particles, by number, stay below",
    "d50": "size that 50 % of the particles, by number, stay below: the median",
    "d90": "size that 90 % of the particles, by number, stay below",
    "span": "(d90 - d10) / d50",
    "nano_fraction": "share of the particles, by number, with feret_min_nm of at most 100 nm",
}
RELATIVE = ("mean", "d10", "d50", "d90")
SHARES = {"mean": 0.5, "d10": 0.1, "d50": 0.5, "d90": 0.9, "span": 0.1}  # below the figure, by number


@dataclass(frozen=True)
class Counting:
    """Which particles count: those of at least `min_area_px` pixels that do not touch the border of their image.

    Large particles touch the border more often than small ones, so that leaving those out makes the rest look smaller.
    `border="weight"` corrects for it: each particle counts as often as particles of its height and width are lost
    (the method of Miles and Lantuejoul, see `edge_weight`).
    """

    min_area_px: int = 0
    border: Literal["exclude", "weight"] = "exclude"

    def __post_init__(self) -> None:
        if self.min_area_px < 0:
            raise ValueError(f"expected a smallest area of at least 0 px, got {self.min_area_px}")
        if self.border not in ("exclude", "weight"):
            raise ValueError(f"expected the border policy exclude or weight, got {self.border!r}")


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its confidence interval; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def relative_half_width(self) -> float:
        """Half the width of the interval, divided by the figure."""
        return (self.high - self.low) / (2 * self.value) if self.value else math.nan


@dataclass(frozen=True)
class Distribution:
    """Figures of one column of a table of particles.

    `estimates` has the keys mean, d10, d50, d90, span and, for tables in nm, nano_fraction. `n_border` and `n_small`
    particles were left out, for touching the border or else for being too small: `smallest_nm` is the diameter of the
    disc of the smallest area (at the largest pixel, if images differ), None for tables in px and without particles.
    """

    column: str
    counting: Counting
    n: int
    n_border: int
    n_small: int
    level: float
    estimates: dict[str, Estimate]
    smallest_nm: float | None = None

    def needed(self, name: str, target: float = 0.05) -> float:
        """Particles needed for a half-width of `target` times the figure; NaN if the interval is not known.

        Intervals narrow with the square root of the number: n (half-width / target)^2. As in ISO 13322-1, the answer
        follows from the width of the distribution, the accuracy wanted and the confidence, but the width is the one
        observed, not that of an assumed law. From few particles the answer itself is rough.
        """
        if not target > 0:
            raise ValueError(f"expected a target above 0, such as 0.05 for 5 %, got {target}")
        width = self.estimates[name].relative_half_width
        return math.nan if math.isnan(width) else max(1.0, math.ceil(self.n * (width / target) ** 2))

    def enough(self, name: str = "d50", target: float = 0.05) -> bool:
        """Whether enough particles were counted: the half-width of the interval is at most `target` times the figure.

        False if there is no interval.
        """
        return self.n >= self.needed(name, target)

    @property
    def nano_criterion(self) -> str:
        """Whether half of the particles are nanoscale: "met", "not met", "open" (50 % is in the interval) or "unknown".

        After the definition of nanomaterial of the European Commission (2022/C 229/01): 50 % or more of the constituent
        particles, by number, with at least one external dimension of 1 to 100 nm. The smallest Feret diameter stands
        for that dimension; the thickness of particles that lie flat is not seen. What the definition says of fibres and
        plates below 1 nm and of the specific surface area is not looked at, nor are particles that are too small to be
        segmented: where the smallest area leaves out discs of 100 nm, it is "unknown", and where the particles that it
        left out could make up for what is missing, "open".
        """
        share = self.estimates.get("nano_fraction", Estimate(math.nan))
        if math.isnan(share.low) or (self.smallest_nm or 0) >= NANO_NM:
            return "unknown"
        if share.low >= NANO_SHARE:
            return "met"
        highest = (share.high * self.n + self.n_small) / (self.n + self.n_small)
        return "not met" if highest < NANO_SHARE else "open"

    def table(self, target: float = 0.05) -> pd.DataFrame:
        """The figures, one row each: value, low, high, relative half-width, particles needed, definition."""
        counts = {"n": self.n, "n_border": self.n_border, "n_small": self.n_small}
        rows = [{"figure": name, "value": float(number)} for name, number in counts.items()]
        for name, e in self.estimates.items():
            row = {"figure": name, "value": e.value, "low": e.low, "high": e.high}
            if name in RELATIVE:
                row |= {"relative_half_width": e.relative_half_width, "n_needed": self.needed(name, target)}
            rows.append(row)
        table = pd.DataFrame(rows, columns=["figure", "value", "low", "high", "relative_half_width", "n_needed"])
        table["definition"] = table["figure"].map(DEFINITIONS)
        return table.set_index("figure")


def counted(table: pd.DataFrame, counting: Counting) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of a table of particles count, bool [n], and the weight of each row, float [n], 0 for the others."""
    keep = (~table["touches_border"] & (table["area_px2"] >= counting.min_area_px)).to_numpy(bool)
    weight = table["edge_weight"].to_numpy(float) if counting.border == "weight" else np.ones(len(table))
    return keep, np.where(keep, weight, 0.0)


def summarise(table: pd.DataFrame, column: str, counting: Counting) -> dict[str, float]:
    """The figures of `DEFINITIONS` without intervals; NaN, apart from `n`, if no particle counts."""
    values, weights, keep = _sample(table, column, counting)
    figures = dict.fromkeys(SHARES, math.nan)
    if values.size:
        figures = dict(zip(figures, map(float, _figures(values, weights)), strict=True))
    if "feret_min_nm" in table:
        figures["nano_fraction"] = _nano(table, keep, weights)
    return {"n": int(keep.sum()), **figures}


def distribution(
    table: pd.DataFrame,
    column: str,
    counting: Counting,
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Distribution:
    """Distribution of `column` over the particles of `table` (of `measure` or `pool`) that count.

    Intervals hold `level` of the percentiles of a bootstrap over particles; that of the fraction is Wilson's, which
    stays honest where all particles are on one side. Both take particles as independent draws: where images differ more
    than chance makes them, or one image is of one corner of the sample, the true uncertainty is larger. There is no
    interval where the smallest and the largest particle would not make one of this level (see `fewest`): with 95 %,
    of D50 and the mean from fewer than 6 particles, of D10, D90 and the span from fewer than 36. Beyond 100,000
    particles there are fewer resamples, at least 200. Raises `ValueError` for a column that is not there or no size.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, got {level}")
    values, weights, keep = _sample(table, column, counting)
    figures = summarise(table, column, counting)
    n = figures.pop("n")
    intervals = {name: (math.nan, math.nan) for name in figures}
    if n > 1 and "nano_fraction" in figures:
        intervals["nano_fraction"] = wilson(figures["nano_fraction"], effective(weights), level)
    if defined := [name for name, share in SHARES.items() if n >= fewest(share, level)]:
        result = bootstrap(
            (values, weights),
            _figures,
            paired=True,
            vectorized=True,
            n_resamples=min(n_resamples, max(LEAST_RESAMPLES, LARGEST_BOOTSTRAP // n)),
            batch=max(1, LARGEST_BATCH // n),
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
        ends = dict(zip(SHARES, zip(result.low.tolist(), result.high.tolist(), strict=True), strict=True))
        intervals |= {name: ends[name] for name in defined}
    border = table["touches_border"].to_numpy(bool)
    return Distribution(
        column=column,
        counting=counting,
        n=n,
        n_border=int(border.sum()),
        n_small=int((~border & ~keep).sum()),
        level=level,
        estimates={name: Estimate(value, *intervals[name]) for name, value in figures.items()},
        smallest_nm=_smallest_nm(table, counting),
    )


def fewest(share: float, level: float) -> int:
    """Draws from which on the quantile of `share` lies between the smallest and the largest of them with `level`.

    That it lies outside, on either side, then has at most the probability (1 - level) / 2: p^n, with the larger p of
    `share` and 1 - `share`. A bootstrap, which cannot leave the draws, is no interval of that level before.
    """
    return math.ceil(math.log((1 - level) / 2) / math.log(max(share, 1 - share)))


def _sample(table: pd.DataFrame, column: str, counting: Counting) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sizes = [name for name in table if name.rpartition("_")[0] in (*LENGTHS, "area") or name in RATIOS]
    if column not in sizes:
        hint = "; measure with a pixel size for columns in nm" if column.endswith(("_nm", "_nm2")) else ""
        raise ValueError(f"expected one of the table's sizes {', '.join(sizes)}, got {column!r}{hint}")
    keep, weights = counted(table, counting)
    return table[column].to_numpy(float)[keep], weights[keep], keep


def _smallest_nm(table: pd.DataFrame, counting: Counting) -> float | None:
    if "area_nm2" not in table or table.empty:
        return None
    pixel_nm2 = (table["area_nm2"] / table["area_px2"]).max()
    return 2 * math.sqrt(counting.min_area_px * pixel_nm2 / math.pi)


def _figures(values: np.ndarray, weights: np.ndarray, axis: int = -1) -> np.ndarray:
    """mean, d10, d50, d90 and span [5, ...] along the last axis."""
    mean = (values * weights).sum(axis=axis) / weights.sum(axis=axis)
    d10, d50, d90 = weighted_quantiles(values, weights, (0.1, 0.5, 0.9))
    return np.stack([mean, d10, d50, d90, (d90 - d10) / d50])


def _nano(table: pd.DataFrame, keep: np.ndarray, weights: np.ndarray) -> float:
    if not weights.size:
        return math.nan
    small = table["feret_min_nm"].to_numpy(float)[keep] <= NANO_NM
    return float((small * weights).sum() / weights.sum())
