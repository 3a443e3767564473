"""Scores the predictions on the test micrographs and draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from skimage.io import imread
from skimage.segmentation import find_boundaries

from drgan_lib.config import Experiment
from drgan_lib.data import held_out_sources, read_mask
from drgan_lib.files import atomic_path, write_json
from drgan_lib.segmentation.checks import SegmentationError
from drgan_lib.segmentation.instances import plain
from drgan_lib.segmentation.metrics import DEFINITIONS, coco_ap50, match, remove_small, score

MEANS = ("dsc", "ap50", "pq_semantic", "pq", "sq", "rq")
PIXELS = ("dsc", "pq_semantic")
CROP_PX = 512
GREEN, RED, BLUE = (0.1, 0.85, 0.2), (0.95, 0.15, 0.15), (0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Prediction:
    """One test micrograph, all [h, w]: image and P(class 1) in [0, 1], instances (`true`: None without mask)."""

    name: str
    image: np.ndarray
    true: np.ndarray | None
    predicted: np.ndarray
    probability: np.ndarray


def load_predictions(
    exp: Experiment, folder: str | Path, *, instances: Callable[[np.ndarray], np.ndarray] = plain
) -> list[Prediction]:
    """The test micrographs of the dataset in `folder` with truth and prediction, in the order of the dataset.

    `instances` turns class labels into instance labels. Raises `SegmentationError` if a prediction is missing
    or of another shape than its mask.
    """
    stage, predictions = exp.stage_dir("segmentation"), []
    for source in held_out_sources(exp, folder):
        name = source.image.stem
        path = stage / "predictions" / f"{name}.png"
        if not path.is_file():
            raise SegmentationError(f"expected the prediction {path}, found none; run segment(exp, folder) first")
        classes = imread(path)
        true = read_mask(source.mask, sample_rows=exp.material.dataset.sample_rows) if source.mask else None
        if true is not None and true.shape != classes.shape:
            raise SegmentationError(
                f"{name}: expected a mask of the image's shape {classes.shape}, got {true.shape}; "
                "give the mask of this image"
            )
        predictions.append(
            Prediction(
                name,
                imread(stage / "images" / path.name) / 65535,
                true,
                instances(classes),
                imread(path.with_name(f"{path.stem}_probability.png")) / 65535,
            )
        )
    return predictions


def evaluate(exp: Experiment, folder: str | Path, *, log: Callable[[str], None] = print) -> dict[str, dict[str, Any]]:
    """Scores the predictions of `segment` against the masks in the dataset's `folder`; returns the figures.

    Each figure is `{"value", "std", "definition", "split", "n_images"}`, with `min_area_px` where one
    applies; `value` is the mean over the test micrographs, `std` its standard deviation over them
    (`coco_ap50` is one figure of the whole set, without `std`). Written below the stage folder are `figures.json`,
    `scores.csv` (one row per micrograph) and `overlays.png`. Micrographs without mask are drawn but not scored; if
    none has one, the figures are empty.
    """
    stage, predictions = exp.stage_dir("segmentation"), load_predictions(exp, folder)
    scored = [p for p in predictions if p.true is not None]
    min_area = exp.material.min_area_px
    with atomic_path(stage / "overlays.png") as temporary:
        overlays(predictions, min_area=min_area).savefig(temporary, dpi=100)
    table = pd.DataFrame(
        [{"name": p.name, **score(p.true, p.predicted, min_area=min_area)} for p in scored],
    )
    with atomic_path(stage / "scores.csv") as temporary:
        table.to_csv(temporary, index=False)
    figures = summarise(table, coco=_coco(scored, min_area), min_area=min_area) if scored else {}
    write_json(stage / "figures.json", figures)
    if scored:
        log("test: " + ", ".join(f"{name} {figure['value']:.3f}" for name, figure in figures.items()))
    if unscored := len(predictions) - len(scored):
        log(f"{unscored} of {len(predictions)} test micrographs have no mask: segmented, but not scored")
    return figures


def summarise(table: pd.DataFrame, *, coco: float, min_area: int) -> dict[str, dict[str, Any]]:
    """Figures of a table with one row per test micrograph, as `evaluate` returns them."""
    common = {"split": "test", "n_images": len(table)}
    figures = {}
    for name in MEANS:
        figures[name] = {
            "value": float(table[name].mean()),
            "std": float(table[name].std(ddof=0)),
            "definition": f"{DEFINITIONS[name]}; mean over the test images",
            **common,
            **({} if name in PIXELS else {"min_area_px": min_area}),
        }
    figures["coco_ap50"] = {
        "value": coco,
        "definition": DEFINITIONS["coco_ap50"],
        **common,
        "min_area_px": min_area,
    }
    return figures


def overlays(predictions: Sequence[Prediction], *, min_area: int, n_max: int = 8) -> Figure:
    """Gallery of up to `n_max` micrographs: image, truth, prediction.

    Shown are at most the central 512 x 512 pixels of each. Outlines of the prediction are green where an instance
    is matched (IoU > 0.5) and red where not; true instances that nothing matched are blue.
    """
    shown = predictions[:n_max]
    figure = Figure(figsize=(12, 4.2 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 3, squeeze=False)
    for row, p in zip(axes, shown, strict=True):
        window = tuple(slice((n - min(n, CROP_PX)) // 2, (n + min(n, CROP_PX)) // 2) for n in p.image.shape)
        truth = np.zeros_like(p.predicted) if p.true is None else p.true
        panels = (
            (p.name, np.repeat(p.image[..., None], 3, axis=2)),
            (
                "truth" if p.true is not None else "no mask given",
                _outlined(p.image, [(truth > 0, truth, GREEN)]),
            ),
            ("prediction: found green, wrong red, missed blue", _judged(p, truth, min_area)),
        )
        for axis, (title, panel) in zip(row, panels, strict=True):
            axis.imshow(panel[window], interpolation="nearest")
            axis.set_title(title, fontsize=10)
            axis.set_axis_off()
    return figure


def _judged(p: Prediction, truth: np.ndarray, min_area: int) -> np.ndarray:
    truth, predicted = remove_small(truth, min_area), remove_small(p.predicted, min_area)
    if p.true is None:
        return _outlined(p.image, [(predicted > 0, predicted, GREEN)])
    matching = match(truth, predicted)
    hit = np.isin(predicted, matching.predicted_ids)
    missed = (truth > 0) & ~np.isin(truth, matching.true_ids)
    return _outlined(
        p.image, [(missed, truth, BLUE), ((predicted > 0) & ~hit, predicted, RED), (hit, predicted, GREEN)]
    )


def _outlined(image: np.ndarray, layers: Sequence[tuple[np.ndarray, np.ndarray, tuple[float, ...]]]) -> np.ndarray:
    """RGB [h, w, 3] with the inner outlines of the instances `labels[where]` in a colour each."""
    picture = np.repeat(image[..., None], 3, axis=2)
    for where, labels, colour in layers:
        picture[find_boundaries(np.where(where, labels, 0), mode="inner")] = colour
    return picture


def _coco(scored: Sequence[Prediction], min_area: int) -> float:
    return coco_ap50(
        [p.true for p in scored],
        [p.predicted for p in scored],
        [p.probability for p in scored],
        min_area=min_area,
    )
