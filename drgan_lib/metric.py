"""A number with all that is needed to read it: definition, unit, interval, and what it was counted on."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drgan_lib.files import read_json, write_json


@dataclass(frozen=True)
class Metric:
    """A number and what it means.

    Parameters
    ----------
    value : float or None
        None where the metric is not defined, as a mean of nothing.
    definition : str
        What was computed, in words.
    unit : str
        Empty for ratios and counts.
    low, high : float or None
        Bounds of the 95 % interval, None where there is none.
    n : int or None
        On how many items (images, particles, attempts) it was taken.
    split : str
        Of the data: train, test or synthetic.
    more : mapping
        Further settings that it depends on, as `min_area_px`.
    """

    value: float | None
    definition: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    split: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                object.__setattr__(self, name, None)

    def __str__(self) -> str:
        """Value, unit and interval, as `165 nm [138, 197]`; a dash for what is not defined."""
        interval = "" if None in (self.low, self.high) else f" [{format_number(self.low)}, {format_number(self.high)}]"
        return f"{format_number(self.value)}{' ' if self.unit else ''}{self.unit}{interval}"


def format_number(value: Any) -> str:
    """Three significant digits for fractions, the number itself for integers; a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, bool | int | str):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def write_metrics(path: str | Path, metrics: Mapping[str, Metric]) -> Path:
    """Writes metrics by name as JSON to `path`, and returns it."""
    write_json(path, {name: asdict(metric) for name, metric in metrics.items()})
    return Path(path)


def read_metrics(path: str | Path) -> dict[str, Metric]:
    """What `write_metrics` wrote; no metric if there is no such file."""
    stored = read_json(path) if Path(path).is_file() else {}
    return {name: Metric(**values) for name, values in stored.items()}
