"""From the scores of every arm, seed and test image to means, their uncertainty, and the paper's Table 1."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from drgan_lib.segmentation.metrics import definitions

PERCENTILES = (2.5, 97.5)
SUMMARY = ("arm", "instances", "metric", "mean", "std", "low", "high", "n_seeds", "n_images")
GAPS = ("arm", "instances", "metric", "mean", "low", "high", "n_images")
PAPER_COLUMNS = {
    "DSC": ("dsc", "plain"),
    "PQ as published": ("pq_semantic", "plain"),
    "AP50, plain": ("ap50", "plain"),
    "PQ, plain": ("pq", "plain"),
    "AP50, border-core": ("ap50", "border_core"),
    "PQ, border-core": ("pq", "border_core"),
}
SET_COLUMNS = {"coco_ap50": "COCO AP50", "coco_ap50_95": "COCO AP50:95", "ap50": "AP50, pooled", "pq": "PQ, pooled"}


@dataclass(frozen=True)
class Published:
    """A row of the paper's Table 1; `arm`: what it is called here, None for methods that are no arm of this project."""

    trained_on: str
    arm: str | None
    dsc: float
    ap50: float
    pq_semantic: float


# npj Comput. Mater. 11, 197 (2025), doi 10.1038/s41524-025-01702-6, Table 1: mean of three runs of nnU-Net's default
# training. Which AP50 it is, is not stated; its PQ is DSC / (2 - DSC).
# Its own synthetic set held 1000 synthetic images and 200 patches of real background.
PUBLISHED = {
    "tio2_him": (
        Published("real", "real", 0.968, 0.737, 0.938),
        Published("synthetic of Mill et al.", None, 0.906, 0.493, 0.829),
        Published("synthetic of DiffRenderGAN", "synthetic+background", 0.932, 0.393, 0.874),
    ),
    "sio2_him": (
        Published("real", "real", 0.955, 0.945, 0.914),
        Published("synthetic of Mill et al.", None, 0.786, 0.375, 0.659),
        Published("synthetic of DiffRenderGAN", "synthetic+background", 0.860, 0.478, 0.754),
    ),
    "tio2_sem": (
        Published("real", "real", 0.964, 0.567, 0.930),
        Published("synthetic of Rühle et al.", None, 0.911, 0.467, 0.837),
        Published("synthetic of DiffRenderGAN", "synthetic+background", 0.916, 0.474, 0.845),
    ),
}


def summarise(scores: pd.DataFrame, *, n_bootstrap: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Mean and uncertainty of each metric, a row per arm, instance method and metric.

    `scores` has a row per arm, seed, instance method (`instances`) and image (`name`), with the metrics of `score`.
    `mean` is over images and seeds. `std` is the standard deviation (n - 1) of the means of the single seeds: how much
    a new training changes the metric; NaN with one seed. `low` and `high` bound the 95 % percentile interval of
    the bootstrap over images, all seeds of an image together: how much other micrographs would change it; NaN with one
    image. Without scores the table is empty. Raises `ValueError` unless every seed was scored once on every image.
    """
    cubes, weights = _cubes(scores), _resamples(scores, n_bootstrap, seed)
    rows = []
    for (arm, instances), (metrics, cube) in cubes.items():
        n_seeds, n_images, _ = cube.shape
        of_seeds = cube.mean(axis=1)
        std = of_seeds.std(axis=0, ddof=1) if n_seeds > 1 else np.full(len(metrics), math.nan)
        low, high = _interval(cube.mean(axis=0), weights)
        for row in zip(metrics, of_seeds.mean(axis=0), std, low, high, strict=True):
            rows.append((arm, instances, *row, n_seeds, n_images))
    return pd.DataFrame(rows, columns=SUMMARY)


def gaps(scores: pd.DataFrame, *, reference: str = "real", n_bootstrap: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Difference of each arm from the arm `reference` on the same images, with its 95 % interval.

    Each image's difference (of the means over the seeds) is resampled, so that what makes an image hard for both arms
    does not widen the interval. The luck of the training is not in it: see `std` of `summarise`. With eight images such
    an interval holds the truth in some 89 cases of 100, not 95. Columns as in `summarise`, without the seeds. Raises
    `ValueError` for a reference that was not scored.
    """
    cubes, weights = _cubes(scores), _resamples(scores, n_bootstrap, seed)
    if cubes and reference not in {arm for arm, _ in cubes}:
        raise ValueError(
            f"expected one of the arms {sorted({arm for arm, _ in cubes})} as reference, got {reference!r}"
        )
    rows = []
    for (arm, instances), (metrics, cube) in cubes.items():
        if arm == reference or (reference, instances) not in cubes:
            continue
        difference = cube.mean(axis=0) - cubes[reference, instances][1].mean(axis=0)
        low, high = _interval(difference, weights)
        for row in zip(metrics, difference.mean(axis=0), low, high, strict=True):
            rows.append((arm, instances, *row, len(difference)))
    return pd.DataFrame(rows, columns=GAPS)


def paper_table(
    summary: pd.DataFrame,
    *,
    arms: Sequence[str] | None = None,
    words: Callable[[str], str] = str,
    published: Sequence[Published] = (),
) -> pd.DataFrame:
    """The summary in the layout of the paper's Table 1, as text: a row per arm, below them the published ones.

    `arms` gives the order (default: that of the summary), `words` what an arm was trained on. Values are mean ±
    standard deviation over the seeds, the mean alone with one seed, and - where there is none. `published` is an entry
    of `PUBLISHED`; its AP50 stands under `AP50, plain`, because the paper's instances are connected components.
    Instance PQ was not published.
    """
    rows: list[tuple[str, str, dict[tuple[str, str], str]]] = []
    for arm in summary["arm"].unique() if arms is None else arms:
        own = summary[summary["arm"] == arm]
        cells = {(r.metric, r.instances): _text(r.mean, r.std) for r in own.itertuples()}
        rows.append((words(arm), str(own["n_seeds"].max()) if len(own) else "-", cells))
    for line in published:
        cells = {(name, "plain"): f"{getattr(line, name):.3f}" for name in ("dsc", "ap50", "pq_semantic")}
        rows.append((f"{line.trained_on}, published", "3", cells))
    values = [
        (words, runs, *(cells.get(place, "-") for place in PAPER_COLUMNS.values())) for words, runs, cells in rows
    ]
    return pd.DataFrame(values, columns=["trained on", "runs", *PAPER_COLUMNS])


def set_table(pooled: pd.DataFrame) -> pd.DataFrame:
    """The metrics of whole sets of images, from a row per arm, seed and instance method, as text like `paper_table`'s.

    A row per arm and instance method, in the order of `pooled`, with the columns `SET_COLUMNS`: mean ± standard
    deviation (n - 1) over the seeds.
    """
    groups = pooled.groupby(["arm", "instances"], sort=False)[list(SET_COLUMNS)]
    texts = groups.agg(lambda values: _text(values.mean(), values.std(ddof=1)))
    return texts.rename(columns=SET_COLUMNS)


def _text(mean: float, std: float) -> str:
    return f"{mean:.3f}" if math.isnan(std) else f"{mean:.3f} ± {std:.3f}"


def _cubes(scores: pd.DataFrame) -> dict[tuple[str, str], tuple[list[str], np.ndarray]]:
    """Names of the metrics and their values float64 [seed, image, metric], by arm and instance method."""
    if scores.empty:
        return {}
    metrics = [name for name in definitions() if name in scores]
    names = sorted(scores["name"].unique())
    for (arm, seed, instances), group in scores.groupby(["arm", "seed", "instances"], sort=False):
        if sorted(group["name"]) != names:
            raise ValueError(
                f"{arm}, seed {seed}, {instances}: expected one row for each of the {len(names)} images, got "
                f"{len(group)} rows, without {sorted(set(names) - set(group['name']))}; score all on the same images"
            )
    shape = -1, len(names), len(metrics)
    return {
        key: (metrics, group.sort_values(["seed", "name"])[metrics].to_numpy(float).reshape(shape))
        for key, group in scores.groupby(["arm", "instances"], sort=False)
    }


def _resamples(scores: pd.DataFrame, n_bootstrap: int, seed: int) -> np.ndarray:
    """float64 [n_bootstrap, n_images]: the weights of the images in their mean, in each resample."""
    n_images = 0 if scores.empty else scores["name"].nunique()
    if n_images < 2:
        return np.full((n_bootstrap, n_images), math.nan)
    generator = np.random.default_rng(seed)
    return generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=n_bootstrap) / n_images


def _interval(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [2, metric]: percentiles over the resamples of the weighted means of `values` [image, metric]."""
    return np.percentile(weights @ values, PERCENTILES, axis=0)
