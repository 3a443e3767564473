"""Sizes from the predictions of a run beside those from the masks: what chapter 06 computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from drgan_lib.config import Experiment
from drgan_lib.data import held_out_sources, read_held_out
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.quantify.distribution import DEFINITIONS, Counting, distribution
from drgan_lib.quantify.figures import plot_distribution, plot_particles, plot_thickness
from drgan_lib.quantify.particles import measure, pool
from drgan_lib.quantify.tables import write_table
from drgan_lib.quantify.thickness import Thickness, local_thickness

if TYPE_CHECKING:
    from drgan_lib.segmentation import Prediction

TRUE, METHODS = "true", ("border_core", "plain")
SIZES = ("equivalent_diameter", "feret_max", "feret_min")
PERCENTILES = ("d10", "d50", "d90")


def quantify(
    predictions: Sequence[Prediction],
    pixel_sizes_nm: Mapping[str, float | None],
    folder: str | Path,
    *,
    counting: Counting,
    thickness: bool = False,
    log: Callable[[str], None] = print,
) -> dict[str, dict[str, Any]]:
    """Measures the test micrographs' particles, from the masks and from each instance method; returns the figures.

    `pixel_sizes_nm` are by the name of the image; unless all are known, sizes are in px. Written to `folder` are
    particles_{true,border_core,plain} (.csv, .parquet, .json), distribution.csv (see `compare_sources`) and .png,
    particles.png (the first image), with `thickness` thickness.csv and .png, and figures.json, of the form of the
    segmentation's. Only images with a mask are compared with it; without any mask, all are measured, the columns of the
    truth are NaN and there are no figures of error. Raises `ValueError` without a prediction.
    """
    if not predictions:
        raise ValueError("expected at least one predicted image, got none; run the segmentation stage first")
    folder, shown = Path(folder), [p for p in predictions if p.true is not None] or list(predictions)
    sizes_nm = {p.name: pixel_sizes_nm.get(p.name) for p in shown}
    unit = "px" if None in sizes_nm.values() else "nm"
    if unit == "px":
        sizes_nm = dict.fromkeys(sizes_nm)
    sources = {} if shown[0].true is None else {TRUE: {p.name: p.true for p in shown}}
    methods = [method for method in METHODS if method in shown[0].predicted]
    sources |= {method: {p.name: p.predicted[method] for p in shown} for method in methods}
    tables = {
        source: pool({name: measure(labels, sizes_nm[name]) for name, labels in images.items()})
        for source, images in sources.items()
    }
    common = next(iter(sizes_nm.values())) if len(set(sizes_nm.values())) == 1 else None
    for source, table in tables.items():
        write_table(table, folder / f"particles_{source}", pixel_size_nm=common, counting=counting, source=source)
    rows = compare_sources(tables, unit, counting)
    with atomic_path(folder / "distribution.csv") as temporary:
        rows.to_csv(temporary)
    _draw(shown[0], tables, sizes_nm, unit, counting, folder)
    figures = _figures(rows, unit, len(shown), counting)
    if thickness:
        figures |= _thickness(shown, sources, sizes_nm, unit, folder, log)
    write_json(folder / "figures.json", figures)
    log(_line(figures, unit))
    return figures


def pixel_sizes_of_tests(exp: Experiment, folder: str | Path) -> dict[str, float | None]:
    """Pixel sizes in nm of the test micrographs of the dataset in `folder`, by name; None where nothing tells.

    That of the material's settings counts first, then the file's, then that of the training micrographs.
    """
    common = read_json(exp.stage_dir("data") / "dataset.json")["pixel_size_nm"]
    return {
        source.image.stem: exp.material.dataset.pixel_size_nm or read_held_out(exp, source).pixel_size_nm or common
        for source in held_out_sources(exp, folder)
    }


def compare_sources(tables: Mapping[str, pd.DataFrame], unit: str, counting: Counting) -> pd.DataFrame:
    """Distributions of pooled `tables`, which are named "true" (may be missing) or after an instance method.

    One row per size, source and figure, which are the index; columns `value`, `low`, `high` (95 % bootstrap interval),
    `n_needed` for 5 %, `true` and `error_percent` of it, NaN where there is no truth or none is defined.
    """
    rows = []
    for size in (f"{name}_{unit}" for name in SIZES):
        found = {source: distribution(table, size, counting).table() for source, table in tables.items()}
        true = found[TRUE]["value"] if TRUE in found else pd.Series(dtype=float)
        for source, table in found.items():
            table = table.drop(columns=["definition", "relative_half_width"])
            table["true"] = true.reindex(table.index)
            table["error_percent"] = 100 * (table["value"] / table["true"].replace(0, math.nan) - 1)
            rows.append(table.assign(size=size, source=source).reset_index())
    return pd.concat(rows).set_index(["size", "source", "figure"])


def _figures(rows: pd.DataFrame, unit: str, n_images: int, counting: Counting) -> dict[str, dict[str, Any]]:
    common = {"split": "test", "n_images": n_images, "min_area_px": counting.min_area_px}
    diameters, figures = rows.loc[f"{SIZES[0]}_{unit}"], {}
    for source in diameters.index.unique("source"):
        of, suffix = _words(source), "" if source == METHODS[0] else f"_{source}"
        for name in PERCENTILES:
            row = diameters.loc[(source, name)]
            figures[f"{name}_{unit}{suffix}"] = {
                "value": _number(row["value"]),
                "interval": [_number(row["low"]), _number(row["high"])],
                "definition": f"equivalent diameter in {unit}, {of}: {DEFINITIONS[name]}",
                **common,
            }
        error = diameters.loc[(source, "d50"), "error_percent"] / 100
        if source != TRUE and not math.isnan(error):
            figures[f"median_diameter_error{suffix}"] = {
                "value": float(error),
                "definition": f"D50 of the equivalent diameter {of}, divided by that from the masks, minus 1; all test "
                "images together",
                **common,
            }
        if unit == "nm":
            row = rows.loc[("feret_min_nm", source, "nano_fraction")]
            figures[f"nano_fraction{suffix}"] = {
                "value": _number(row["value"]),
                "interval": [_number(row["low"]), _number(row["high"])],
                "definition": f"{DEFINITIONS['nano_fraction']}; {of}",
                **common,
            }
    return figures


def _thickness(
    shown: Sequence[Prediction],
    sources: Mapping[str, Mapping[str, np.ndarray]],
    sizes_nm: Mapping[str, float | None],
    unit: str,
    folder: Path,
    log: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Local thickness of each source: a table of medians by image, a map of the first image, figures of all pixels."""
    rows, figures, by_image = [], {}, {}
    for source in sources:
        found = {name: _local_thickness(labels, sizes_nm[name], name, log) for name, labels in sources[source].items()}
        rows += [
            {"source": source, "image": name, f"median_{unit}": t.median, "n_px": t.values.size}
            for name, t in found.items()
        ]
        by_image[source] = {name: t.values for name, t in found.items() if t.values.size}
        figures[f"thickness_{unit}" + ("" if source == METHODS[0] else f"_{source}")] = {
            "value": _number(_median(by_image[source].values())),
            "definition": f"median of the local thickness over all particle pixels, {_words(source)}",
            "split": "test",
            "n_images": len(by_image[source]),
        }
        if source == _best(shown[0]):
            with atomic_path(folder / "thickness.png") as temporary:
                plot_thickness(shown[0].image, found[shown[0].name]).savefig(temporary, dpi=110)
    if both := sorted(by_image.get(TRUE, {}).keys() & by_image.get(METHODS[0], {}).keys()):
        found, true = (_median(by_image[source][name] for name in both) for source in (METHODS[0], TRUE))
        figures["thickness_error"] = {
            "value": _number(found / true - 1),
            "definition": "median local thickness from the predictions, divided by that from the masks, minus 1, over "
            "the images that have both",
            "split": "test",
            "n_images": len(both),
        }
    with atomic_path(folder / "thickness.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    return figures


def _median(values: Iterable[np.ndarray]) -> float:
    """Median of all values [n] of several images; NaN if there are none."""
    pooled = np.concatenate([*values, np.zeros(0)])
    return float(np.median(pooled)) if pooled.size else math.nan


def _local_thickness(labels: np.ndarray, size_nm: float | None, name: str, log: Callable[[str], None]) -> Thickness:
    """That of `labels`; of what has none, without value: a poor prediction must not end the chapter."""
    try:
        return local_thickness(labels, size_nm)
    except ValueError as reason:
        log(f"{name}: no local thickness: {reason}")
        return Thickness(np.zeros(labels.shape, np.float32), size_nm)


def _draw(
    first: Prediction,
    tables: Mapping[str, pd.DataFrame],
    sizes_nm: Mapping[str, float | None],
    unit: str,
    counting: Counting,
    folder: Path,
) -> None:
    column = f"{SIZES[0]}_{unit}"
    named = {_words(source).removeprefix("from the "): table for source, table in tables.items()}
    with atomic_path(folder / "distribution.png") as temporary:
        plot_distribution(named, column, counting).savefig(temporary, dpi=110)
    labels = first.predicted[_best(first)]
    table = measure(labels, sizes_nm[first.name])
    with atomic_path(folder / "particles.png") as temporary:
        plot_particles(first.image, labels, table, column, counting).savefig(temporary, dpi=110)


def _best(prediction: Prediction) -> str:
    return next(method for method in METHODS if method in prediction.predicted)


def _words(source: str) -> str:
    return "from the masks" if source == TRUE else f"from the predictions, {source}"


def _number(value: float) -> float | None:
    """None where a figure is not defined, which JSON can say."""
    return None if math.isnan(value) else float(value)


def _line(figures: Mapping[str, Mapping[str, Any]], unit: str) -> str:
    said = [
        f"{figures[name]['value'] or math.nan:.4g} {unit} {words}"
        for name, words in (
            (f"d50_{unit}_true", "from the masks"),
            (f"d50_{unit}", "from border_core"),
            (f"d50_{unit}_plain", "from plain"),
        )
        if name in figures
    ]
    return f"test: D50 {', '.join(said)}"
