"""Chooses the settings of `border_core` on annotated images, which must not be test images."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from drgan_lib.segmentation.class_map import ClassMap
from drgan_lib.segmentation.instances import BorderCore, border_core
from drgan_lib.segmentation.metrics import match, remove_small

LEVELS = (0.0, 0.3, 0.5, 0.7, 0.9, 0.95)
NECKS = (0.0, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95)
GRID = tuple(BorderCore(level=level, neck=neck) for neck, level in product(NECKS, LEVELS))  # the simplest first
ROUNDING = 1e-9


def tune_border_core(
    maps: Sequence[ClassMap], truths: Sequence[np.ndarray], *, min_area: int
) -> tuple[BorderCore, pd.DataFrame]:
    """The settings that count right among those of the highest instance PQ, and a table with a row per setting tried.

    `maps` are predictions for annotated images of the arm's own kind, `truths` their instances, int [h, w] with 0 as
    background; instances of fewer than `min_area` pixels count on neither side. PQ is the mean over images; settings
    that are at most one standard error of it below the best are as good (Breiman et al., Classification and
    Regression Trees, 1984). Of these, the one whose number of particles is nearest to the true one is chosen, since too
    few are too large ones; of equal ones that with the lowest neck, then the lowest level: it cuts least.
    The table has the columns `level`, `neck`, `pq`, `standard_error` (0 for one image), `count_ratio` (predicted by
    true instances of all images; NaN without a true one) and `chosen`. Raises `ValueError` without an image or if there
    is not one truth per map.
    """
    if not maps or len(maps) != len(truths):
        raise ValueError(f"expected as many truths as class maps, at least one, got {len(maps)} and {len(truths)}")
    kept = [remove_small(np.asarray(truth), min_area) for truth in truths]
    table = pd.DataFrame([quality_of(settings, maps, kept, min_area) for settings in GRID])
    best = table.loc[table["pq"].idxmax()]
    good = table["pq"] >= best["pq"] - max(best["standard_error"], ROUNDING)
    wrong = np.abs(np.log(table["count_ratio"].clip(lower=ROUNDING))).fillna(0)
    chosen = int(wrong.where(good, np.inf).to_numpy().argmin())
    table["chosen"] = np.arange(len(table)) == chosen
    return GRID[chosen], table


def quality_of(settings: BorderCore, maps: Sequence[ClassMap], truths: Sequence[np.ndarray], min_area: int) -> dict:
    """A row of the table of `tune_border_core`, without `chosen`."""
    found = [
        match(truth, remove_small(border_core(class_map, settings), min_area)).detections
        for class_map, truth in zip(maps, truths, strict=True)
    ]
    qualities, count = [image.pq for image in found], sum(image.count_true for image in found)
    return {
        "level": settings.level,
        "neck": settings.neck,
        "pq": float(np.mean(qualities)),
        "standard_error": float(np.std(qualities, ddof=1) / len(found) ** 0.5) if len(found) > 1 else 0.0,
        "count_ratio": sum(image.count_predicted for image in found) / count if count else float("nan"),
    }
