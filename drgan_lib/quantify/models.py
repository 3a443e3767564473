"""Diameters by every model of a run, beside those from the masks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from drgan_lib.files import atomic_path
from drgan_lib.quantify.distribution import Counting, summarise
from drgan_lib.quantify.particles import measure, pool
from drgan_lib.quantify.stage import PERCENTILES

if TYPE_CHECKING:
    from drgan_lib.segmentation import Prediction

COLUMNS = ("arm", "seed", "instances", "unit", "n", *PERCENTILES, "n_error", *(f"{name}_error" for name in PERCENTILES))


def compare_models(
    models: Iterable[tuple[str, int, Sequence[Prediction]]],
    pixel_sizes_nm: Mapping[str, float | None],
    path: str | Path,
    *,
    counting: Counting,
) -> pd.DataFrame:
    """Number and equivalent diameters of the particles of all test images with a mask, by each of `models`.

    These are (arm, seed, predictions). A row per model and instance method, with the columns `COLUMNS`; the first row,
    of the arm "masks", is the truth. Errors are in percent of that, NaN where it is 0 or not defined. Diameters are in
    nm, or in px unless the pixel size of every image is known (`pixel_sizes_nm`, by name). Written to `path` (.csv).
    Without masks the table is empty.
    """
    rows: list[dict[str, object]] = []
    for arm, seed, predictions in models:
        masked = [p for p in predictions if p.true is not None]
        if not masked:
            continue
        sizes = {p.name: pixel_sizes_nm.get(p.name) for p in masked}
        if None in sizes.values():
            sizes = dict.fromkeys(sizes)
        if not rows:
            rows.append({"arm": "masks"} | _figures({p.name: p.true for p in masked}, sizes, counting))
        for method in masked[0].predicted:
            found = _figures({p.name: p.predicted[method] for p in masked}, sizes, counting)
            errors = {f"{name}_error": _percent(found[name], rows[0][name]) for name in ("n", *PERCENTILES)}
            rows.append({"arm": arm, "seed": seed, "instances": method} | found | errors)
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64", "n": "Int64"})
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    return table


def _figures(images: Mapping, sizes_nm: Mapping[str, float | None], counting: Counting) -> dict[str, object]:
    table = pool({name: measure(labels, sizes_nm[name]) for name, labels in images.items()})
    unit = "px" if None in sizes_nm.values() else "nm"
    found = summarise(table, f"equivalent_diameter_{unit}", counting)
    return {"unit": unit, "n": found["n"], **{name: found[name] for name in PERCENTILES}}


def _percent(value: float, true: float) -> float:
    return 100 * (value / true - 1) if true else math.nan
