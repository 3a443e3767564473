"""A finished run and a measurement, drawn rather than computed: discs of known size."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from drgan_lib.config import load_experiment
from drgan_lib.files import write_json
from drgan_lib.metric import Metric, read_metrics
from drgan_lib.quantify import Counting, Measurement, measure_images, quantify
from drgan_lib.report import report_measurement, report_run
from drgan_lib.runs.keys import STAGES
from drgan_lib.samples import Sample, write_samples
from tests.quantify.test_measure import Threshold, as_image, draw

PIXEL_NM, MIN_AREA_PX = 2.0, 20
BOUNDS = {"roughness": (0.0, 1.0), "base_color": (1.0, 3.0)}
MORE = {
    "acceptance_rate": Metric(0.3, "images kept / attempts; kept are bright ones", n=20, split="synthetic"),
    "pq": Metric(0.7, "panoptic quality; instances on the border count; plain instances", n=2, split="test"),
    "border_core_pq": Metric(0.8, "panoptic quality; instances on the border count; border-core & <better>", n=2),
    "count_error": Metric(0.5, "error of the number; plain instances", n=2, split="test"),
    "border_core_count_error": Metric(0.05, "error of the number; border-core & <better>", n=2, split="test"),
}


class Trained(Threshold):
    """A model that says at which pixel size it was trained, as those of runs do."""

    def describe(self) -> dict:
        return super().describe() | {"pixel_size_nm": self.pixel_size_nm}


def grid(seed: int) -> np.ndarray:
    """Labels of 25 discs, none on the border, in an image of 150 px."""
    radii = np.random.default_rng(seed).uniform(4, 11, 25)
    places = [(15 + 30 * (k // 5), 15 + 30 * (k % 5), radius) for k, radius in enumerate(radii)]
    return draw((150, 150), places).astype(np.int32)


def sample(name: str, labels: np.ndarray | None, pixel_size_nm: float | None = PIXEL_NM) -> Sample:
    image = np.full((150, 150), 0.2) if labels is None else as_image(labels) / 255
    return Sample(name, image, pixel_size_nm, instances=labels)


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """Folder of a run whose predictions miss the first particle of the first of two images; with its report."""
    folder = tmp_path_factory.mktemp("runs") / "discs/demo"
    settings = load_experiment("twin").model_dump(mode="json")["material"]
    held = {"material": settings, "material.dataset": settings["dataset"], "material.bounds": BOUNDS}
    versions = {"python": "3.11.0", "numpy": "2.2.0", "commit": "abc1234"}
    for k, stage in enumerate(STAGES):
        record = {"seconds": 10.0 * k, "peak_memory_mb": 100 * k, "device": "a processor", "variant": "llvm"}
        record |= {"parts": {"settings": held | {"material.min_area_px": MIN_AREA_PX}}, "versions": versions}
        write_json(folder / stage.folder / "stage.json", record)
    write_json(folder / "run.json", {"material": "discs", "profile": "demo", "seed": 0, "runs": "/home/me/runs"})
    write_json(folder / "data/dataset.json", {"pixel_size_nm": 1.5, "licence": "CC BY-NC-ND 4.0"})
    write_samples(folder / "data/train", [sample(f"patch{k}", grid(k)) for k in range(8)])
    write_samples(folder / "synthetic/samples", [sample(f"{k:05d}", grid(k)) for k in range(3)])
    learned = {"epoch": [0, 0, 1, 1], "image": [0, 1, 0, 1], "roughness": [0.5, 0.5, 0.99, 1.0], "base_color": 2.0}
    pd.DataFrame(learned).to_csv(folder / "gan/learned.csv", index=False)
    write_json(folder / "gan/selected.json", {"epoch": 1})
    true, found = [grid(1), grid(2)], [np.where(grid(1) == 1, 0, grid(1)), grid(2)]
    segmented, names = folder / "segmentation", ("first", "second")
    truth = write_samples(segmented / "truth", map(sample, names, true), bits=16)
    write_json(segmented / "models.json", [["synthetic", 0]])
    place = segmented / "predictions/synthetic/seed0"
    predictions = {rule: write_samples(place / rule, map(sample, names, found)) for rule in ("plain", "border_core")}
    counting = Counting(min_area_px=MIN_AREA_PX)
    quantify(truth, predictions, folder / "quantification", counting=counting, log=lambda line: None)
    metrics = MORE | read_metrics(folder / "quantification/metrics.json")
    results = {"stages": {stage.name: 10.0 * k for k, stage in enumerate(STAGES)}, "device": "a processor", "seed": 0}
    write_json(folder / "results.json", results | {"metrics": {k: asdict(metric) for k, metric in metrics.items()}})
    report_run(folder)
    return folder


@pytest.fixture(scope="session")
def measured(tmp_path_factory) -> tuple[Path, Measurement]:
    """Folder of a measurement of two images with its report, and what was found."""
    place = tmp_path_factory.mktemp("measured")
    (place / "my images").mkdir()
    for name, seed in (("a b", 1), ("c", 2)):
        Image.fromarray(as_image(grid(seed))).save(place / "my images" / f"{name}.png")
    more = {"pixel_size_nm": 2 * PIXEL_NM, "log": lambda line: None}
    found = measure_images(place / "my images", Trained(), place / "out", **more)
    report_measurement(place / "out", found)
    return place / "out", found
