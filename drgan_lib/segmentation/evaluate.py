"""Scores the predictions on the test micrographs: the stage's figures, tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from skimage.io import imread

from drgan_lib.config import Experiment
from drgan_lib.data import held_out_sources, read_mask
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.segmentation.arms import in_words
from drgan_lib.segmentation.checks import SegmentationError
from drgan_lib.segmentation.figures import gallery, overlays, plot_table
from drgan_lib.segmentation.instances import BorderCore, border_core, plain
from drgan_lib.segmentation.metrics import DEFINITIONS, coco_ap, pooled, score
from drgan_lib.segmentation.predictions import predicted_names, read_class_map
from drgan_lib.segmentation.segment import model_folders
from drgan_lib.segmentation.summary import PUBLISHED, Published, gaps, paper_table, set_table, summarise

PIXELS = ("dsc", "iou", "pq_semantic")
PARTICLES = ("ap50", "ap50_95", "pq", "sq", "rq", "aji", "boundary_f1", "count_error")
OF_OTHER_ARMS = ("dsc", "ap50", "pq")  # among the figures of a run; all are in table.csv
METHODS = {"plain": "", "border_core": "border_core_"}
WORDS = {
    "plain": "instances are the connected components of class 1",
    "border_core": "border-core instances, their settings not chosen on test images (border_core.csv, model.json)",
}


@dataclass(frozen=True)
class Prediction:
    """One test micrograph as one model sees it.

    All arrays [h, w]: `image` and `probability` of the class particle in [0, 1], `true` instances (None without mask),
    and `predicted` instances by method: `plain`, and `border_core` where the model has been tuned for it.
    """

    name: str
    image: np.ndarray
    true: np.ndarray | None
    predicted: dict[str, np.ndarray]
    probability: np.ndarray


def load_predictions(
    exp: Experiment, folder: str | Path, *, arm: str | None = None, seed: int | None = None
) -> list[Prediction]:
    """The test micrographs of the dataset in `folder` as the model of `arm` and `seed` sees them, in their order.

    By default, the first model of the run. Raises `SegmentationError` if a prediction is missing or of another shape
    than its mask.
    """
    stage, predictions = exp.stage_dir("segmentation"), []
    first_arm, first_seed, _ = next(model_folders(exp))
    place = stage / "arms" / (arm or first_arm) / f"seed{first_seed if seed is None else seed}"
    predicted = predicted_names(place / "predictions")
    settings = read_json(place / "model.json")["border_core"] if (place / "model.json").is_file() else None
    for source in held_out_sources(exp, folder):
        name = source.image.stem
        if name not in predicted:
            raise SegmentationError(
                f"expected a prediction of {name} in {place / 'predictions'}, found none; "
                "run segment(exp, folder) first"
            )
        classes = read_class_map(place / "predictions", name)
        true = read_mask(source.mask, sample_rows=exp.material.dataset.sample_rows) if source.mask else None
        if true is not None and true.shape != classes.classes.shape:
            raise SegmentationError(
                f"{name}: expected a mask of the image's shape {classes.classes.shape}, got {true.shape}; "
                "give the mask of this image"
            )
        instances = {"plain": plain(classes.classes)}
        if settings is not None:
            instances["border_core"] = border_core(classes, BorderCore(**settings))
        image = imread(stage / "images" / f"{name}.png") / 65535
        predictions.append(Prediction(name, image, true, instances, classes.particle))
    return predictions


def evaluate(exp: Experiment, folder: str | Path, *, log: Callable[[str], None] = print) -> dict[str, dict[str, Any]]:
    """Scores all models of `segment` against the masks in the dataset's `folder`; returns the figures of the run.

    Those are the figures of the first arm, and the main ones of the others as `ARM/NAME`. Each is `{"value", "std",
    "low", "high", "definition", "split", "n_images", "n_seeds"}`, with `min_area_px` where one applies: mean over test
    micrographs and seeds, its standard deviation over micrographs, and a 95 % bootstrap interval over them; the figures
    of the whole set (`coco_*`) have the value alone. Below the stage folder are written figures.json, scores.csv (a row
    per model, instance method and micrograph), pooled.csv (over all micrographs of a model together), table.csv (see
    `summarise`), and the pictures overlays.png, gallery.png and arms.png. Micrographs without mask are drawn but not
    scored; if none has one, the figures are empty.
    """
    stage, min_area = exp.stage_dir("segmentation"), exp.material.min_area_px
    rows, sets = [], []
    for number, (arm, seed, _) in enumerate(model_folders(exp)):
        predictions = load_predictions(exp, folder, arm=arm, seed=seed)
        scored = [p for p in predictions if p.true is not None]
        for method in predictions[0].predicted:
            model = {"arm": arm, "seed": seed, "instances": method}
            rows += [model | {"name": p.name} | score(p.true, p.predicted[method], min_area=min_area) for p in scored]
            sets += [model | _of_the_set(scored, method, min_area)] if scored else []
        if number == 0:
            _draw(stage, predictions, pd.DataFrame(rows), min_area)
    scores, of_sets = pd.DataFrame(rows), pd.DataFrame(sets)
    figures = {}
    if rows:
        summary = summarise(scores)
        for name, table in (("scores", scores), ("pooled", of_sets), ("table", summary)):
            with atomic_path(stage / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False)
        _save(plot_table(summary, published=_published(exp)), stage / "arms.png")
        figures = _figures(scores, of_sets, summary, min_area)
        log("test: " + ", ".join(f"{name} {figure['value']:.3f}" for name, figure in figures.items()))
    write_json(stage / "figures.json", figures)
    if unscored := sum(p.true is None for p in predictions):
        log(f"{unscored} of {len(predictions)} test micrographs have no mask: segmented, but not scored")
    return figures


def comparison(exp: Experiment) -> pd.DataFrame:
    """The arms in the layout of the paper's Table 1, with what it published for this material, as text."""
    return paper_table(
        summarise(scores_of_images(exp)),
        arms=list(exp.profile.segmentation.arms),
        words=in_words,
        published=_published(exp),
    )


def scores_of_images(exp: Experiment) -> pd.DataFrame:
    """What `score` says of each test micrograph by each model and instance method (arm, seed, instances, name)."""
    path = exp.stage_dir("segmentation") / "scores.csv"
    return pd.read_csv(path, dtype={"name": str}, keep_default_na=False)  # an image may be named 007, or NA


def figures_of_sets(exp: Experiment) -> pd.DataFrame:
    """COCO's average precision, and AP50 and PQ pooled over all test micrographs, of each arm; see `set_table`."""
    return set_table(pd.read_csv(exp.stage_dir("segmentation") / "pooled.csv"))


def differences(exp: Experiment, *, reference: str = "real") -> pd.DataFrame:
    """By how much each arm differs from the arm `reference` on the same micrographs, see `gaps`."""
    return gaps(scores_of_images(exp), reference=reference)


def _published(exp: Experiment) -> Sequence[Published]:
    """What the paper published for the material's own micrographs: its twin, or the user's images, are others."""
    return PUBLISHED.get(exp.material.name, ()) if exp.material.dataset.registry is not None else ()


def _of_the_set(scored: Sequence[Prediction], method: str, min_area: int) -> dict[str, float | int]:
    """Figures of all micrographs of one model together: COCO's, and the others pooled."""
    true, predicted = [p.true for p in scored], [p.predicted[method] for p in scored]
    coco = coco_ap(true, predicted, [p.probability for p in scored], min_area=min_area)
    return coco | pooled(true, predicted, min_area=min_area)


def _figures(scores: pd.DataFrame, sets: pd.DataFrame, summary: pd.DataFrame, min_area: int) -> dict[str, Any]:
    first, figures = scores["arm"].iloc[0], {}
    for row in summary.itertuples():
        pixels = row.metric in PIXELS
        wanted = (*PIXELS, *PARTICLES) if row.arm == first else OF_OTHER_ARMS
        if row.metric not in wanted or (pixels and row.instances != "plain"):
            continue
        own = scores[(scores["arm"] == row.arm) & (scores["instances"] == row.instances)]
        figures[_name(row.arm, row.instances, row.metric, first)] = {
            "value": row.mean,
            "std": float(own.groupby("name")[row.metric].mean().std(ddof=0)),
            "low": None if math.isnan(row.low) else row.low,
            "high": None if math.isnan(row.high) else row.high,
            "definition": f"{DEFINITIONS[row.metric]}{'' if pixels else f'; {WORDS[row.instances]}'}; mean over the "
            "test images and seeds",
            **_common(row.n_images, row.n_seeds),
            **({} if pixels else {"min_area_px": min_area}),
        }
    for (arm, method), own in sets[sets["arm"] == first].groupby(["arm", "instances"], sort=False):
        for metric in ("coco_ap50", "coco_ap50_95"):
            figures[_name(arm, method, metric, first)] = {
                "value": float(own[metric].mean()),
                "definition": f"{DEFINITIONS[metric]}; {WORDS[method]}; mean over the seeds",
                **_common(scores["name"].nunique(), len(own)),
                "min_area_px": min_area,
            }
    return figures


def _name(arm: str, method: str, metric: str, first: str) -> str:
    return f"{'' if arm == first else f'{arm}/'}{METHODS[method]}{metric}"


def _common(n_images: int, n_seeds: int) -> dict[str, Any]:
    return {"split": "test", "n_images": n_images, "n_seeds": n_seeds}


def _draw(stage: Path, predictions: Sequence[Prediction], scores: pd.DataFrame, min_area: int) -> None:
    """All micrographs, and the best, median and worst, with the better instances that the model has."""
    method = list(predictions[0].predicted)[-1]
    shown = [replace(p, predicted=p.predicted[method]) for p in predictions]
    _save(overlays(shown, min_area=min_area), stage / "overlays.png")
    if not scores.empty:
        own = scores[scores["instances"] == method]
        scored = [p for p in shown if p.true is not None]
        _save(gallery(scored, own, min_area=min_area), stage / "gallery.png")


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100)
