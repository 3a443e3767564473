"""What a reader should know before trusting the numbers: each light is a state, what was seen, and its thresholds."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import pandas as pd

from drgan_lib.metric import Metric
from drgan_lib.quantify.images import OTHER_SCALE

SIGNS = {"good": "●", "look closer": "▲", "poor": "■", "not known": "○"}
EDGE = 0.05  # of the width of the bounds: what lies closer to one of them is at it


class Light(NamedTuple):
    """The state, of `SIGNS`, of what is called `name`; what was `seen`, and the `rule` with its thresholds."""

    name: str
    state: str
    seen: str
    rule: str


def acceptance(rate: Metric | None, good: float = 0.5, poor: float = 0.2) -> Light:
    """Of `acceptance_rate`: how many of the images that the generator made could be used."""
    rule = f"good from {100 * good:.0f} % of the attempts on, poor below {100 * poor:.0f} %"
    seen = "none made yet" if rate is None else f"{100 * rate.value:.0f} % of {rate.n} attempts were kept"
    return Light("Synthetic images accepted", _state(rate and -rate.value, -good, -poor), seen, rule)


def at_bounds(learned: pd.DataFrame | None, bounds: Mapping[str, tuple[float, float]]) -> Light:
    """Of parameters as `learned`, a row per image: whether their `bounds` (low, high), by name, stopped them."""
    positions = {} if learned is None else {k: (learned[k] - low) / (high - low) for k, (low, high) in bounds.items()}
    stopped = [
        k for k, place in positions.items() if (place.between(EDGE, 1 - EDGE, inclusive="neither")).mean() <= 0.5
    ]
    seen = ": ".join([f"{len(stopped)} of {len(bounds)}", *filter(None, [", ".join(stopped).replace("_", " ")])])
    rule = f"good if none has half of its values within {100 * EDGE:.0f} % of the range from a bound, poor if two have"
    state = _state(None if learned is None else len(stopped), 0, 1)
    return Light("Learned parameters at their bounds", state, "none learned yet" if learned is None else seen, rule)


def same_scale(sizes_nm: Collection[float | None], trained_nm: float | None, good: float = 1.2) -> Light:
    """Of the pixel sizes of images that were measured: the one furthest from that of the training images."""
    rule = f"good up to a factor of {good:g}, either way, poor beyond {OTHER_SCALE:g}"
    factor, seen = None, "the size of a pixel is not known"
    if sizes_nm and trained_nm and None not in sizes_nm:
        factor, size = max((max(size / trained_nm, trained_nm / size), size) for size in sizes_nm)
        seen = f"{size:g} nm, a factor of {factor:.3g} from {trained_nm:g} nm"
    return Light("Pixel size against the training images", _state(factor, good, OTHER_SCALE), seen, rule)


def scale_bars(sizes_nm: Collection[float | None], bars_nm: Collection[float | None], good: float = 1.2) -> Light:
    """Of the pixel sizes of images, and those by the scale bars in them: where they are furthest apart."""
    rule = f"good up to a factor of {good:g}, either way, poor beyond {OTHER_SCALE:g}"
    factors = [max(size / bar, bar / size) for size, bar in zip(sizes_nm, bars_nm, strict=True) if size and bar]
    seen = f"a factor of {max(factors):.3g}, read in {len(factors)} of {len(sizes_nm)}" if factors else "none was read"
    return Light("Pixel size against the scale bars", _state(max(factors, default=None), good, OTHER_SCALE), seen, rule)


def counts(error: Metric | None, good: float = 0.1, poor: float = 0.25) -> Light:
    """Of `count_error`: whether as many particles were found as there are."""
    rule = f"good up to {100 * good:.0f} % of the true number, mean over the images, poor beyond {100 * poor:.0f} %"
    seen = "no masks to count by" if error is None else f"{100 * error.value:.0f} %, by the masks of {error.n} images"
    return Light("Error of the particle count", _state(error and error.value, good, poor), seen, rule)


def specks(n_small: int, n: int, good: float = 0.2, poor: float = 0.5) -> Light:
    """Of `n_small` instances too small to count, beside `n` others: a network sees many in images unlike its own."""
    rule = f"good up to {100 * good:.0f} % of all that was found, poor beyond {100 * poor:.0f} %"
    share = n_small / (n_small + n) if n_small + n else None
    seen = "nothing was found" if share is None else f"{100 * share:.0f} % ({n_small} of {n_small + n})"
    return Light("Instances too small to count", _state(share, good, poor), seen, rule)


def _state(value: float | None, good: float, poor: float) -> str:
    """The state of `value`: good up to and with `good`, poor beyond `poor`."""
    return "not known" if value is None else "good" if value <= good else "look closer" if value <= poor else "poor"
