"""Sizes from the predictions of a run beside those from the masks: what chapter 06 computes."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from drgan_lib.files import atomic_path
from drgan_lib.metric import Metric, write_metrics
from drgan_lib.quantify.distributions import DEFINITIONS, PERCENTILES, Counting
from drgan_lib.quantify.measurement import SIZES, Measurement, combine
from drgan_lib.quantify.particles import measure_particles
from drgan_lib.quantify.thickness import try_local_thickness
from drgan_lib.samples import SampleSet

TRUE, MAIN = "true", "border_core"


def quantify(
    truth: SampleSet,
    predictions: Mapping[str, SampleSet],
    folder: str | Path,
    *,
    counting: Counting,
    thickness: bool = False,
    log: Callable[[str], None] = print,
) -> dict[str, Measurement]:
    """Measures the particles of the test micrographs by source: the masks, "true", and the rules of `predictions`.

    `truth` and each set of `predictions` hold the same images in the same order. Only images with a mask are compared
    with it; without any mask, all are measured and there is no truth. Sizes are in px unless the truth has the pixel
    size of every image. Written to `folder` are particles_{true,border_core,plain} (.csv, .parquet, .json),
    distribution.csv (value, 95 % bootstrap interval, particles needed for 5 %, truth and error), with `thickness`
    thickness.csv (medians of the local thickness), and metrics.json. Raises `ValueError` for no image, and for
    predictions of other images.
    """
    folder, samples = Path(folder), _sources(truth, predictions)
    found = {source: _measured(images, truth, counting) for source, images in samples.items()}
    for source, measured in found.items():
        measured.write(folder / f"particles_{source}", source=source)
    rows = _beside_truth(found)
    with atomic_path(folder / "distribution.csv") as temporary:
        rows.to_csv(temporary)
    metrics = _metrics(found, rows["error_percent"], counting)
    if thickness:
        metrics |= _thickness(samples, found, folder, log)
    write_metrics(folder / "metrics.json", metrics)
    medians = [f"{m.distributions[SIZES[0]].metrics['d50']} {_words(source)}" for source, m in found.items()]
    log(f"test: D50 {', '.join(medians)}")
    return found


def compare_models(
    truth: SampleSet,
    models: Iterable[tuple[str, int, Mapping[str, SampleSet]]],
    path: str | Path,
    *,
    counting: Counting,
) -> pd.DataFrame:
    """Number and equivalent diameters of the particles of all test images with a mask, by each of `models`.

    These are (arm, seed, predictions by rule). A row per model and rule; the first row, of the arm "masks", is the
    truth. Errors are in percent of that, NaN where it is 0 or not defined. Units are those of `quantify`. Written to
    `path` (.csv). Without masks the table is empty.
    """
    rows, masks, wanted = [], None, ["n", *PERCENTILES]
    for arm, seed, predictions in models:
        samples = _sources(truth, predictions)
        if TRUE not in samples:
            break
        true = samples.pop(TRUE)
        masks = masks or _measured(true, truth, counting, n_resamples=0)
        found = {rule: _measured(images, truth, counting, n_resamples=0) for rule, images in samples.items()}
        of = _beside_truth({TRUE: masks} | found).loc[f"{SIZES[0]}_{masks.unit}"]
        if not rows:
            rows.append({"arm": "masks", "unit": masks.unit} | of["value"][TRUE][wanted].to_dict())
        for rule in predictions:
            values, errors = (of[column][rule][wanted] for column in ("value", "error_percent"))
            model = {"arm": arm, "seed": seed, "instances": rule, "unit": masks.unit}
            rows.append(model | values.to_dict() | errors.add_suffix("_error").to_dict())
    numbers = [*PERCENTILES, *(f"{name}_error" for name in wanted)]
    table = pd.DataFrame(rows, columns=["arm", "seed", "instances", "unit", "n", *numbers])
    table = table.astype({"seed": "Int64", "n": "Int64"} | dict.fromkeys(numbers, float))
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    return table


def _sources(truth: SampleSet, predictions: Mapping[str, SampleSet]) -> dict[str, SampleSet]:
    """Truth and predictions of the images with a mask, or predictions of all if none has one; the main rule first."""
    table = truth.table()
    for rule, images in predictions.items():
        if (got := images.table()["name"].tolist()) != table["name"].tolist():
            raise ValueError(
                f"expected predictions by {rule} of the images {', '.join(table['name'])}, got {', '.join(got)}; "
                "segment the test micrographs again"
            )
    if table.empty or not predictions:
        raise ValueError("expected at least one predicted image, got none; run the segmentation step first")
    masked = np.flatnonzero(table["n_particles"].notna())
    samples = {TRUE: truth} if masked.size else {}
    samples |= {rule: predictions[rule] for rule in sorted(predictions, key=lambda rule: rule != MAIN)}
    return {source: images[masked] if masked.size else images for source, images in samples.items()}


def _measured(images: SampleSet, truth: SampleSet, counting: Counting, **more: int) -> Measurement:
    known = truth.table().set_index("name")["pixel_size_nm"].loc[images.table()["name"]]
    sizes_nm = known.to_dict() if known.notna().all() else dict.fromkeys(known.index)
    tables = {sample.name: measure_particles(sample.instances, sizes_nm[sample.name]) for sample in images}
    return combine(tables, sizes_nm, counting, **more)


def _beside_truth(found: Mapping[str, Measurement]) -> pd.DataFrame:
    """A row per size, source and metric; truth and error are NaN where there is none or none is defined."""
    tables = {}
    for size in SIZES:
        for source, measured in found.items():
            table = measured.distributions[size].table()[["value", "low", "high", "n_needed"]]
            true = found[TRUE].distributions[size].table()["value"] if TRUE in found else math.nan
            table = table.assign(true=true)
            table["error_percent"] = 100 * (table["value"] / table["true"].replace(0, math.nan) - 1)
            tables[f"{size}_{measured.unit}", source] = table
    return pd.concat(tables, names=["size", "source"])


def _metrics(found: Mapping[str, Measurement], errors: pd.Series, counting: Counting) -> dict[str, Metric]:
    metrics = {}
    for source, measured in found.items():
        of, suffix, unit = _words(source), _suffix(source), measured.unit
        common = {"n": len(measured.pixel_sizes_nm), "split": "test", "more": {"min_area_px": counting.min_area_px}}
        for name in PERCENTILES:
            definition = f"equivalent diameter in {unit}, {of}: {DEFINITIONS[name]}"
            size = measured.distributions[SIZES[0]].metrics[name]
            metrics[f"{name}_{unit}{suffix}"] = replace(size, definition=definition, **common)
        error = errors[f"{SIZES[0]}_{unit}", source, "d50"] / 100
        if source != TRUE and not math.isnan(error):
            definition = f"D50 of the equivalent diameter {of}, divided by that from the masks, minus 1; all test "
            metrics[f"median_diameter_error{suffix}"] = Metric(error, f"{definition}images together", **common)
        if unit == "nm":
            share = measured.distributions["feret_min"].metrics["nano_fraction"]
            definition = f"{DEFINITIONS['nano_fraction']}; {of}"
            metrics[f"nano_fraction{suffix}"] = replace(share, definition=definition, **common)
    return metrics


def _thickness(
    samples: Mapping[str, SampleSet], found: Mapping[str, Measurement], folder: Path, log: Callable[[str], None]
) -> dict[str, Metric]:
    """Metrics of the local thickness over all particle pixels; writes the medians of the images."""
    first = next(iter(found.values()))
    sizes_nm, unit = first.pixel_sizes_nm, first.unit
    values = {}
    for source, images in samples.items():
        for s in images:  # a prediction that has no thickness must not end the chapter
            map_ = try_local_thickness(s.instances, sizes_nm[s.name], name=s.name, log=log)
            values[source, s.name] = np.zeros(0) if map_ is None else map_.values
    rows = [(*key, _median([own]), own.size) for key, own in values.items()]
    with atomic_path(folder / "thickness.csv") as temporary:
        pd.DataFrame(rows, columns=["source", "image", f"median_{unit}", "n_px"]).to_csv(temporary, index=False)
    values, metrics = {key: own for key, own in values.items() if own.size}, {}
    for source in samples:
        own = [pixels for (of, _), pixels in values.items() if of == source]
        definition = f"median of the local thickness over all particle pixels, {_words(source)}"
        metrics[f"thickness_{unit}{_suffix(source)}"] = Metric(_median(own), definition, unit, n=len(own), split="test")
    if both := [name for source, name in values if source == TRUE and (MAIN, name) in values]:
        predicted, true = (_median([values[source, name] for name in both]) for source in (MAIN, TRUE))
        definition = "median local thickness from the predictions, divided by that from the masks, minus 1, over the "
        definition += "images that have both"
        metrics["thickness_error"] = Metric(predicted / true - 1, definition, n=len(both), split="test")
    return metrics


def _median(values: Iterable[np.ndarray]) -> float:
    """Median of all values [n] of several images; NaN if there are none."""
    pooled = np.concatenate([*values, np.zeros(0)])
    return float(np.median(pooled)) if pooled.size else math.nan


def _suffix(source: str) -> str:
    return "" if source == MAIN else f"_{source}"


def _words(source: str) -> str:
    return "from the masks" if source == TRUE else f"from the predictions, {source}"
