"""A tiny run of the twin, pinned: what one change moves, all who read the numbers see.

A change that means to move them records them anew, `python -m tests.test_golden RUN` for the folder of a run made as
`tiny_run` makes it, in a commit of its own that says why.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from drgan_lib.metric import read_metrics
from drgan_lib.synthesis import load_synthetic

pytestmark = pytest.mark.xdist_group("tiny_run")
GOLDEN = Path(__file__).parent / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text()) if (GOLDEN / "expected.json").is_file() else {}


def processor() -> str:
    """Instruction set, maker and model: others round otherwise, rays at an edge hit its other side, trainings drift."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = [line.split(":") for line in cpuinfo.read_text().splitlines()] if cpuinfo.is_file() else []
    said = {line[0].strip(): line[1].strip() for line in lines if len(line) == 2}
    model = [said.get(key, "") for key in ("vendor_id", "cpu family", "model")]
    return " ".join([torch.backends.cpu.get_cpu_capability(), platform.machine(), *model])


SAME_PROCESSOR = EXPECTED.get("processor") == processor()
TABLES = {  # and the columns that name a row
    "gan/history.csv": ["epoch"],
    "synthetic/parameters.csv": ["image"],
    "segmentation/table.csv": ["arm", "instances", "metric"],
    "segmentation/pooled.csv": ["arm", "seed", "instances"],
    "quantification/models.csv": ["arm", "seed", "instances"],
    "quantification/distribution.csv": ["size", "source", "figure"],
}


def read_instances(run: Path) -> dict[str, np.ndarray]:
    """Instance maps int32 [h, w] of the twin's micrographs and of the synthetic images, by name."""
    truths = {path.stem: tifffile.imread(path) for path in sorted(micrographs(run).glob("masks/*.tif"))}
    made = {f"synthetic_{sample.name}": sample.instances for sample in load_synthetic(run / "synthetic")}
    return {name: ids.astype(np.int32) for name, ids in (truths | made).items()}


def read_images(run: Path) -> dict[str, np.ndarray]:
    """Images uint8 [h, w]: the first micrograph of the twin, and all synthetic ones."""
    first = sorted(micrographs(run).glob("images/*.tif"))[0]
    made = {
        f"synthetic_{sample.name}": np.rint(sample.image * 255).astype(np.uint8)
        for sample in load_synthetic(run / "synthetic")
    }
    return {first.stem: tifffile.imread(first)} | made


def read_numbers(run: Path) -> dict[str, float]:
    """Every number in the results and in the tables of a run, but those of times, by name."""
    found = {
        f"{name}/{key}": value
        for name, metric in json.loads((run / "results.json").read_text())["metrics"].items()
        for key, value in (metric | metric["more"] | {"n_images": metric["more"].get("n_images", metric["n"])}).items()
    }
    for name, metric in read_metrics(run / "quantification/metrics.json").items():
        values = {"value": metric.value, "n_images": metric.n, **metric.more}
        found |= {f"{name}/{key}": value for key, value in values.items()}
    for path, names in TABLES.items():
        for row in pd.read_csv(run / path).to_dict("records"):
            place = "/".join([path, *(str(row.pop(name)) for name in names)])
            found |= {f"{place}/{column}": value for column, value in row.items() if "seconds" not in column}
    for path in sorted(run.glob("quantification/particles_*.csv")):
        sums = pd.read_csv(path).sum(numeric_only=True)
        found |= {f"{path.name}/sum of {column}": float(value) for column, value in sums.items()}
    return {key: value for key, value in found.items() if isinstance(value, int | float) and not np.isnan(value)}


def micrographs(run: Path) -> Path:
    return next((run.parents[2] / "data" / "twin_of_twin").iterdir())


def digests(instances: dict[str, np.ndarray]) -> dict[str, str]:
    return {
        name: hashlib.sha256(str(ids.shape).encode() + ids.tobytes()).hexdigest() for name, ids in instances.items()
    }


@pytest.mark.skipif(not SAME_PROCESSOR, reason="recorded on a processor with other instructions")
def test_instance_maps_are_the_same_bytes(tiny_run):
    assert digests(read_instances(tiny_run)) == EXPECTED["instances"]


def test_images_are_the_same_within_one_gray_level(tiny_run):
    images = read_images(tiny_run)
    with np.load(GOLDEN / "images.npz") as expected:
        assert images.keys() == set(expected)
        for name, image in images.items():
            off = np.abs(image.astype(int) - expected[name]) > 1
            assert off.mean() <= (0 if SAME_PROCESSOR else 0.01), name


@pytest.mark.skipif(not SAME_PROCESSOR, reason="recorded on a processor with other instructions")
def test_every_number_is_the_same(tiny_run):
    found = read_numbers(tiny_run)
    assert found.keys() >= EXPECTED["numbers"].keys()
    different = {k: (v, found[k]) for k, v in EXPECTED["numbers"].items() if found[k] != pytest.approx(v, rel=1e-6)}
    assert not different


def test_every_figure_of_a_page_is_a_picture(tiny_run):
    """Matplotlib's figures show as their names where nothing has told the notebook how to draw them."""
    shown = [
        (page.stem, set(output.data))
        for page in sorted(tiny_run.glob("notebooks/[0-9]*.ipynb"))
        for cell in nbformat.read(page, as_version=4).cells
        for output in cell.get("outputs", ())
        if output.get("data", {}).get("text/plain", "").startswith("<Figure")
    ]
    assert len({name for name, _ in shown}) == 7
    assert [name for name, kinds in shown if "image/png" not in kinds] == []


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    record = {
        "processor": processor(),
        "instances": digests(read_instances(folder)),
        "numbers": read_numbers(folder),
    }
    (GOLDEN / "expected.json").write_text(json.dumps(record, indent=1) + "\n")
    np.savez_compressed(GOLDEN / "images.npz", **read_images(folder))
