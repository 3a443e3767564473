"""What became of each true particle: found, merged with a neighbour, split, missed or imprecise; by its diameter."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from drgan_lib.segmentation.metrics.instance import Overlaps

HALF = 0.5  # of an IoU, or of an area
DIAMETERS_PX = (12, 18, 24, 32)  # of circles of equal area, between the rows of the table
KINDS = {
    "found": "share of true instances that a predicted one matches at IoU > 0.5",
    "merged": "share of true instances that are not found and of which one predicted instance covers more than half, "
    "as it does of another true one",
    "split": "share of true instances that are neither found nor merged and of which several predicted instances, "
    "each with more than half of its own pixels there, cover more than half together",
    "missed": "share of true instances, not found, of which predicted instances cover half or less",
    "imprecise": "share of the remaining true instances: covered by one predicted instance of another size",
}


def count_kinds(found: Overlaps) -> np.ndarray:
    """int [len(DIAMETERS_PX) + 1, len(KINDS)]: how many true instances came to what, by diameter.

    `found` are the overlaps of the true and the predicted instances of an image.
    """
    n, rows, columns = len(found.true_ids), found.rows, found.columns
    matched = np.zeros(n, bool)
    matched[rows[found.iou > HALF]] = True

    covers = found.pixels > HALF * found.true_areas[rows]  # one predicted instance at most does that
    shared = np.bincount(columns[covers], minlength=len(found.predicted_ids)) > 1
    merged = np.zeros(n, bool)
    merged[rows[covers & shared[columns]]] = True

    part = found.pixels > HALF * found.predicted_areas[columns]
    parts = np.bincount(rows[part], minlength=n)
    in_parts = np.bincount(rows[part], weights=found.pixels[part], minlength=n) > HALF * found.true_areas
    covered = np.bincount(rows, weights=found.pixels, minlength=n) > HALF * found.true_areas

    kind = np.select([matched, merged, (parts > 1) & in_parts, ~covered], range(4), default=4)
    size = np.digitize(np.sqrt(4 / np.pi * found.true_areas), DIAMETERS_PX)
    table = np.zeros((len(DIAMETERS_PX) + 1, len(KINDS)), int)
    np.add.at(table, (size, kind), 1)
    return table


def shares_of_kinds(counts: np.ndarray) -> dict[str, float]:
    """Shares of the true instances, by kind, of `counts` int [len(KINDS)]; with none, all that there are are found."""
    total = counts.sum()
    shares = counts / total if total else np.eye(len(KINDS))[0]
    return dict(zip(KINDS, shares.tolist(), strict=True))


def sizes_in_words() -> list[str]:
    """The diameters of each row of `count_kinds`, px."""
    first, last = DIAMETERS_PX[0], DIAMETERS_PX[-1]
    between = [f"{low} to {high}" for low, high in pairwise(DIAMETERS_PX)]
    return [f"below {first}", *between, f"{last} and more"]


def table_of_kinds(counts: np.ndarray) -> pd.DataFrame:
    """A row per size, and one for all: `diameter_px`, `n` true instances, and the share of each kind.

    `counts` is a sum of what `count_kinds` returns. Sizes without instances are left out.
    """
    rows = [*zip(sizes_in_words(), counts, strict=True), ("all", counts.sum(axis=0))]
    return pd.DataFrame(
        [{"diameter_px": size, "n": int(row.sum())} | shares_of_kinds(row) for size, row in rows if row.sum()],
        columns=["diameter_px", "n", *KINDS],
    )
