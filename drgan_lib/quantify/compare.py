"""Sizes from predictions beside the sizes from the truth."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from drgan_lib.quantify.distribution import Counting, summarise
from drgan_lib.quantify.particles import pool

POOLED = "all images"


def compare(
    true: Mapping[str, pd.DataFrame],
    predicted: Mapping[str, pd.DataFrame],
    column: str,
    counting: Counting,
) -> pd.DataFrame:
    """Figures of `summarise` for each image and for all particles together, from truth and from prediction.

    Both map names of images to tables of `measure`. The index is (image, figure), with the image "all images" last; the
    columns are `true`, `predicted`, `error` (predicted - true) and `error_percent` of the true figure, NaN where that
    is 0 or not defined. `counting` holds on both sides. Raises `ValueError` if the images are not the same ones.
    """
    if true.keys() != predicted.keys():
        alone = ", ".join(sorted(true.keys() ^ predicted.keys()))
        raise ValueError(f"expected tables of the same images, but only one side has {alone}")
    pairs = {name: (true[name], predicted[name]) for name in true} | {POOLED: (pool(true), pool(predicted))}
    rows = []
    for image, sides in pairs.items():
        figures = [summarise(table, column, counting) for table in sides]
        if figures[0].keys() != figures[1].keys():
            raise ValueError(f"{image}: one table has columns in nm and the other has not; measure both alike")
        for figure, value in figures[0].items():
            error = figures[1][figure] - value
            percent = 100 * error / value if value else math.nan
            rows.append((image, figure, value, figures[1][figure], error, percent))
    columns = ["image", "figure", "true", "predicted", "error", "error_percent"]
    return pd.DataFrame(rows, columns=columns).set_index(["image", "figure"])
