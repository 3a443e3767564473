"""The distribution of a size over the particles of a table: its metrics, their uncertainty, and whether it suffices."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, norm

from drgan_lib.metric import Metric
from drgan_lib.quantify.particles import LENGTHS, RATIOS

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
PERCENTILES = ("d10", "d50", "d90")
RELATIVE = ("mean", *PERCENTILES)
SHARES = {"mean": 0.5, "d10": 0.1, "d50": 0.5, "d90": 0.9, "span": 0.1}  # below the metric, by number


@dataclass(frozen=True)
class Counting:
    """Which particles count: those of at least `min_area_px` pixels that do not touch the border of their image.

    Large particles touch the border more often than small ones, so that leaving those out makes the rest look smaller.
    `border="weight"` corrects for it: each particle counts as often as particles of its height and width are lost
    (the method of Miles and Lantuejoul, see the column `edge_weight`).
    """

    min_area_px: int = 0
    border: Literal["exclude", "weight"] = "exclude"

    def __post_init__(self) -> None:
        if self.min_area_px < 0:
            raise ValueError(f"expected a smallest area of at least 0 px, got {self.min_area_px}")
        if self.border not in ("exclude", "weight"):
            raise ValueError(f"expected the border policy exclude or weight, got {self.border!r}")


@dataclass(frozen=True)
class Distribution:
    """The `sizes` and `weights`, float [n], of the particles that count, and what follows from them.

    `metrics` are mean, d10, d50, d90, span and, for tables in nm, nano_fraction, with intervals of confidence `level`.
    `n_border` and `n_small` particles were left out, for touching the border or else for being too small: `smallest_nm`
    is the diameter of the disc of the smallest area (at the largest pixel, if images differ), None for tables in px and
    without particles.
    """

    column: str
    counting: Counting
    n: int
    n_border: int
    n_small: int
    level: float
    metrics: Mapping[str, Metric]
    smallest_nm: float | None
    sizes: np.ndarray = field(compare=False, repr=False)
    weights: np.ndarray = field(compare=False, repr=False)

    def relative_half_width(self, name: str) -> float:
        """Half the width of a metric's interval, divided by the metric; NaN without an interval."""
        metric = self.metrics[name]
        known = metric.value and metric.low is not None
        return (metric.high - metric.low) / (2 * metric.value) if known else math.nan

    def needed(self, name: str, target: float = 0.05) -> float:
        """Particles needed for a half-width of `target` times the metric; NaN if the interval is not known.

        Intervals narrow with the square root of the number: n (half-width / target)^2. This is as in ISO 13322-1, but
        for the width of the distribution observed, not of one assumed. From few particles the answer itself is rough.
        """
        if not target > 0:
            raise ValueError(f"expected a target above 0, such as 0.05 for 5 %, got {target}")
        width = self.relative_half_width(name)
        return math.nan if math.isnan(width) else max(1.0, math.ceil(self.n * (width / target) ** 2))

    def enough(self, name: str = "d50", target: float = 0.05) -> bool:
        """Whether the half-width of the interval is at most `target` times the metric; False without an interval."""
        return self.n >= self.needed(name, target)

    @property
    def nano_criterion(self) -> str:
        """Whether half of the particles are nanoscale: "met", "not met", "open" (50 % is in the interval) or "unknown".

        After the definition of nanomaterial of the European Commission (2022/C 229/01): 50 % or more of the constituent
        particles, by number, with at least one external dimension of 1 to 100 nm, for which the smallest Feret diameter
        stands. Not looked at are the thickness of particles that lie flat, fibres and plates below 1 nm, the specific
        surface area, and what is too small to be segmented: where the smallest area leaves out discs of 100 nm, it is
        "unknown", and where the particles that it left out could make up for what is missing, "open".
        """
        share = self.metrics.get("nano_fraction")
        if share is None or share.low is None or (self.smallest_nm or 0) >= NANO_NM:
            return "unknown"
        if share.low >= NANO_SHARE:
            return "met"
        highest = (share.high * self.n + self.n_small) / (self.n + self.n_small)
        return "not met" if highest < NANO_SHARE else "open"

    def table(self, target: float = 0.05) -> pd.DataFrame:
        """The metrics, one row each: value, low, high, definition, and what `needed` and `enough` say of `target`."""
        counts = {"n": self.n, "n_border": self.n_border, "n_small": self.n_small}
        rows = [{"figure": name, "value": number} for name, number in counts.items()]
        for name, metric in self.metrics.items():
            row = {"figure": name, "value": metric.value, "low": metric.low, "high": metric.high}
            if name in RELATIVE:
                width, needed = self.relative_half_width(name), self.needed(name, target)
                row |= {"relative_half_width": width, "n_needed": needed}
                row |= {} if math.isnan(needed) else {"enough": self.n >= needed}
            rows.append(row)
        numbers = ["value", "low", "high", "relative_half_width", "n_needed"]
        table = pd.DataFrame(rows, columns=["figure", *numbers, "enough"]).astype(dict.fromkeys(numbers, float))
        return table.assign(definition=table["figure"].map(DEFINITIONS)).set_index("figure")


def counted(table: pd.DataFrame, counting: Counting) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of a table of particles count, bool [n], and the weight of each row, float [n], 0 for the others."""
    keep = (~table["touches_border"] & (table["area_px2"] >= counting.min_area_px)).to_numpy(bool)
    weight = table["edge_weight"].to_numpy(float) if counting.border == "weight" else np.ones(len(table))
    return keep, np.where(keep, weight, 0.0)


def distribution(
    table: pd.DataFrame, column: str, counting: Counting, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> Distribution:
    """Distribution of `column` over the particles of `table` (of `measure_particles` or `pool`) that count.

    Intervals hold `level` of the percentiles of a bootstrap over particles; that of the fraction is Wilson's, which
    stays honest where all particles are on one side. Both take particles as independent draws: where images differ more
    than chance makes them, or one image is of one corner of the sample, the true uncertainty is larger. There is no
    interval where the smallest and the largest particle would not make one of this level (see `fewest`): with 95 %,
    of D50 and the mean from fewer than 6 particles, of D10, D90 and the span from fewer than 36. Beyond 100,000
    particles there are fewer resamples, at least 200; `n_resamples=0` asks for none, and so for no such interval.
    Raises `ValueError` for a column that is not there or no size.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, got {level}")
    columns = [name for name in table if name.rpartition("_")[0] in (*LENGTHS, "area") or name in RATIOS]
    if column not in columns:
        hint = "; measure with a pixel size for columns in nm" if column.endswith(("_nm", "_nm2")) else ""
        raise ValueError(f"expected one of the table's sizes {', '.join(columns)}, got {column!r}{hint}")
    keep, weights = counted(table, counting)
    sizes, weights, n = table[column].to_numpy(float)[keep], weights[keep], int(keep.sum())
    values, intervals = dict.fromkeys(SHARES, math.nan), {}
    if n:
        values = dict(zip(SHARES, _statistics(sizes, weights).tolist(), strict=True))
    if "feret_min_nm" in table:
        small = table["feret_min_nm"].to_numpy(float)[keep] <= NANO_NM
        values["nano_fraction"] = float((small * weights).sum() / weights.sum()) if n else math.nan
        if n > 1:
            intervals["nano_fraction"] = wilson(values["nano_fraction"], weights, level)
    defined = [name for name, share in SHARES.items() if n_resamples and n >= fewest(share, level)]
    if defined:
        order = np.argsort(sizes, kind="stable")
        rising, its_weights = sizes[order], weights[order]

        def statistics(ranks: np.ndarray, axis: int = -1) -> np.ndarray:
            ranks = np.sort(ranks, axis=axis)  # whole numbers are sorted in a fraction of the time of sizes
            return _statistics(rising[ranks], its_weights[ranks], axis)

        result = bootstrap(
            (np.argsort(order).astype(np.int32),),
            statistics,
            vectorized=True,
            n_resamples=min(n_resamples, max(LEAST_RESAMPLES, LARGEST_BOOTSTRAP // n)),
            batch=max(1, LARGEST_BATCH // n),
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
        ends = dict(zip(SHARES, zip(result.low.tolist(), result.high.tolist(), strict=True), strict=True))
        intervals |= {name: ends[name] for name in defined}
    unit, metrics = "" if column in RATIOS else column.rpartition("_")[2], {}
    for name, value in values.items():
        low, high = intervals.get(name, (None, None))
        metrics[name] = Metric(value, DEFINITIONS[name], unit if name in RELATIVE else "", low, high, n)
    border = table["touches_border"].to_numpy(bool)
    pixel_nm2 = (table["area_nm2"] / table["area_px2"]).max() if "area_nm2" in table and len(table) else None
    return Distribution(
        column=column,
        counting=counting,
        n=n,
        n_border=int(border.sum()),
        n_small=int((~border & ~keep).sum()),
        level=level,
        metrics=metrics,
        smallest_nm=2 * math.sqrt(counting.min_area_px * pixel_nm2 / math.pi) if pixel_nm2 else None,
        sizes=sizes,
        weights=weights,
    )


def fewest(share: float, level: float) -> int:
    """Draws n from which on the quantile of `share` lies between the smallest and the largest of them with `level`.

    That it lies beyond them, on either side, has the probability p^n, with the larger p of `share` and 1 - `share`. A
    bootstrap cannot leave the draws, and so is no interval of that level before.
    """
    return math.ceil(math.log((1 - level) / 2) / math.log(max(share, 1 - share)))


def _statistics(sizes: np.ndarray, weights: np.ndarray, axis: int = -1) -> np.ndarray:
    """mean, d10, d50, d90 and span [5, ...] along the last axis."""
    mean = (sizes * weights).sum(axis=axis) / weights.sum(axis=axis)
    d10, d50, d90 = weighted_quantiles(sizes, weights, (0.1, 0.5, 0.9))
    return np.stack([mean, d10, d50, d90, (d90 - d10) / d50])


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
        quantiles.append(np.minimum(start + part * (end - start), end)[..., 0])  # rounding may end beyond
    return np.stack(quantiles)


def wilson(share: float, weights: np.ndarray, level: float) -> tuple[float, float]:
    """Wilson's score interval of a weighted share, of as many equal draws as the weights [n] are worth (Kish)."""
    n, z2 = float(weights.sum() ** 2 / (weights**2).sum()), norm.ppf((1 + level) / 2) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
