"""The report of a run: what its stages left, on one page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from drgan_lib.files import read_json
from drgan_lib.metric import Metric
from drgan_lib.quantify import Counting, Measurement, distribution, read_table
from drgan_lib.quantify.compare import MAIN
from drgan_lib.quantify.measurement import SIZES
from drgan_lib.report import lights
from drgan_lib.report.page import WORDS, write_page
from drgan_lib.report.pictures import evenly, jpeg, view
from drgan_lib.runs.chapter import read_record
from drgan_lib.runs.keys import STAGES
from drgan_lib.runs.results import load_results
from drgan_lib.samples import SampleSet, open_samples
from drgan_lib.segmentation import list_models, load_predictions
from drgan_lib.segmentation.plots import BLUE, GREEN, RED, judged

FILES = ("*/*.csv", "notebooks/[0-9]*.ipynb")
N_SHOWN, VIEW_BYTES, PATCH_BYTES = 6, 3_000_000, 50_000  # of all views together; of one patch
STYLES = {GREEN: "solid", RED: "hatched", BLUE: "dashed"}


def report_run(run: str | Path) -> Path:
    """Writes `report.html` into the run folder `run`, from the results of its finished stages; returns its path.

    Raises `FileNotFoundError` for a folder without results.
    """
    run = Path(run)
    results = load_results(run)
    folders = {stage.name: run / stage.folder for stage in STAGES if stage.name in results["stages"]}
    records = {name: read_record(folder) for name, folder in folders.items()}
    settings: dict[str, Any] = {}
    for record in records.values():
        settings |= record["parts"]["settings"]
    shown = {name: value for name, value in settings.items() if not name.startswith("material.")}
    truth = open_samples(folders["segmentation"] / "truth") if "segmentation" in folders else SampleSet.of([])
    masked = truth.table()["n_particles"].notna().any()
    arm = list_models(folders["segmentation"])[0][0] if len(truth) else ""
    missed = "; wrong ones (red, hatched); missed ones (blue, dashed)" if masked else "; there are no masks to judge by"
    return write_page(
        run,
        _found(folders["quantification"]) if "quantification" in folders else {},
        results["metrics"],
        {name: value for name, value in read_json(run / "run.json").items() if name != "runs"} | shown,
        FILES,
        title=f"{run.parent.name}, profile {run.name}",
        subtitle=f"seed {results['seed']}, {results['device']}",
        views=list(_views(truth, folders["segmentation"], settings["material.min_area_px"])) if len(truth) else [],
        legend=f"Outlined are particles that the model {arm} found (green, solid){missed}.",
        pairs=_pairs(folders),
        lights=_lights(folders, truth, results["metrics"], settings),
        stages=[
            (name, f"{results['stages'][name]:.0f} s", f"{of['peak_memory_mb']} MiB", of["versions"]["commit"])
            for name, of in records.items()
        ],
        machines=dict.fromkeys(_machine(record) for record in records.values()),
        licence=read_json(folders["data"] / "dataset.json")["licence"] if "data" in folders else "",
    )


def _found(folder: Path) -> dict[str, Measurement]:
    """The measurements that the stage quantification left, by source."""
    found = {}
    for source in WORDS:
        if (folder / f"particles_{source}.parquet").is_file():
            table, record = read_table(folder / f"particles_{source}")
            counting = Counting(record["min_area_px"], record["border"])
            unit = "nm" if f"{SIZES[0]}_nm" in table else "px"
            sizes = {name: distribution(table, f"{name}_{unit}", counting) for name in SIZES}
            found[source] = Measurement(table, sizes, unit, {})
    return found


def _views(truth: SampleSet, folder: Path, min_area_px: int) -> Iterator[dict[str, Any]]:
    predictions = load_predictions(folder)
    predicted, chosen = predictions.get(MAIN) or predictions["plain"], evenly(N_SHOWN, len(truth))
    for k in chosen:
        of = truth[k]
        layers = [(labels, colour, STYLES[colour]) for labels, colour in judged(of, predicted[k], min_area_px)]
        n = {colour: len(np.unique(labels[labels > 0])) for labels, colour, _ in layers}
        text = f"{n[GREEN]} particles found" + (f", {n[RED]} wrong, {n[BLUE]} missed" if RED in n else "")
        yield view(of.name, text, of.image, layers, of.pixel_size_nm, VIEW_BYTES // len(chosen))


def _pairs(folders: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Training patches and synthetic images, as they are: on the gray scale that the micrographs have."""
    if not {"data", "synthesis"} <= folders.keys():
        return {}
    sets = {"Training patches": folders["data"] / "train", "Synthetic images": folders["synthesis"] / "samples"}
    opened = {kind: open_samples(folder) for kind, folder in sets.items()}
    return {
        kind: {sample.name: jpeg(sample.image, PATCH_BYTES) for sample in samples[evenly(N_SHOWN, len(samples))]}
        for kind, samples in opened.items()
    }


def _lights(
    folders: Mapping[str, Path], truth: SampleSet, metrics: Mapping[str, Metric], settings: Mapping[str, Any]
) -> list[lights.Light]:
    learned = None
    if "gan" in folders:
        learned = pd.read_csv(folders["gan"] / "learned.csv")
        learned = learned[learned["epoch"] == read_json(folders["gan"] / "selected.json")["epoch"]]
    trained_nm = read_json(folders["data"] / "dataset.json")["pixel_size_nm"] if "data" in folders else None
    sizes_nm = [None if np.isnan(size) else size for size in truth.table()["pixel_size_nm"].unique()]
    known = {name: metric for name, metric in metrics.items() if metric.value is not None}
    return [
        lights.acceptance(known.get("acceptance_rate")),
        lights.at_bounds(learned, settings.get("material.bounds", {})),
        lights.same_scale(sizes_nm, trained_nm),
        lights.counts(known.get(f"{MAIN}_count_error", known.get("count_error"))),
    ]


def _machine(record: Mapping[str, Any]) -> str:
    numbers = ", ".join(f"{name} {number}" for name, number in record["versions"].items() if name != "commit")
    return f"{record['device']} ({record['variant']}): {numbers}"
