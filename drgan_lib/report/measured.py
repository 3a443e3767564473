"""The report of a measurement: a user's own images, on one page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from skimage.exposure import rescale_intensity

from drgan_lib.data import DataError, read_micrograph
from drgan_lib.data.overlays import covered
from drgan_lib.files import read_json
from drgan_lib.quantify import Counting, Measurement, counted, read_table
from drgan_lib.quantify.measure import RECORD, WHITE_PERCENT
from drgan_lib.quantify.measurement import SIZES
from drgan_lib.report import lights
from drgan_lib.report.page import write_page
from drgan_lib.report.pictures import evenly, view
from drgan_lib.segmentation.plots import BLUE, GREEN, RED

N_SHOWN, VIEW_BYTES = 6, 3_500_000  # of all views together
MOST_LISTED = 200  # images whose tables have a link


def report_measurement(out: str | Path, found: Measurement) -> Path:
    """Writes `report.html` into `out`, the folder to which `measure_images` wrote `found`; returns its path.

    Pictures are of the images where they were; of one that is no longer there the outlines alone are drawn. Raises
    `FileNotFoundError` for a folder without a measurement.
    """
    out = Path(out)
    if not (out / RECORD).is_file():
        raise FileNotFoundError(f"expected the folder of a measurement, got {out}; measure images first")
    request = read_json(out / RECORD)
    model, images = request["model"], request["images"]
    sizes_nm = {name: about["pixel_size_nm"] for name, about in images.items()}
    versions = read_json(out / "particles.json")["versions"]
    d = found.distributions[SIZES[0]]
    return write_page(
        out,
        {"": found},
        {f"{name}, {d.column}": metric for d in found.distributions.values() for name, metric in d.metrics.items()},
        {name: value for name, value in request.items() if name != "images"} | {"pixel_size_nm": sizes_nm},
        ("*.csv", "*.tsv", *["*/*.csv"] * (len(images) <= MOST_LISTED)),
        title=f"{len(images)} images" if len(images) > 1 else next(iter(images)),
        subtitle=", ".join(f"{name} {model[name]}" for name in ("arm", "seed") if name in model),
        views=list(_views(out, request, list(found.pixel_sizes_nm))),
        legend="Outlined are particles that count (green, solid), and those on the border or too small (blue, dashed). "
        "Burnt-in text that was left out is red and hatched.",
        pairs={},
        lights=[
            lights.same_scale(list(sizes_nm.values()), model.get("pixel_size_nm")),
            lights.scale_bars(list(sizes_nm.values()), [about["scale_bar_nm"] for about in images.values()]),
            lights.specks(d.n_small, d.n + d.n_border),
            lights.counts(None),
        ],
        stages=[],
        machines=[", ".join(f"{name} {number}" for name, number in versions.items())],
        licence="",
    )


def _views(out: Path, request: Mapping[str, Any], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    chosen = [names[k] for k in evenly(N_SHOWN, len(names))]
    for name in chosen:
        about, table = request["images"][name], read_table(out / name / "particles")[0]
        labels = tifffile.imread(out / name / "labels.tif").astype(np.int32)
        keep, _ = counted(table, Counting(**request["counting"]))
        count = np.isin(labels, table["id"][keep])
        text, image = f"{keep.sum()} particles count, {(~keep).sum()} do not", np.zeros(labels.shape)
        try:
            known = {"sample_rows": request["sample_rows"], "pixel_size_nm": about["pixel_size_nm"]}
            read = read_micrograph(about["file"], **known).image
            low, high = np.percentile(read, (WHITE_PERCENT, 100 - WHITE_PERCENT))
            if read.shape == labels.shape:
                image = rescale_intensity(read, (low, max(high, low + 1e-6)), (0.0, 1.0))
        except DataError:
            text += "; the image is no longer where it was"
        hidden = covered(about["overlays"], labels.shape).astype(int)
        layers = [(hidden, RED, "hatched"), (labels * ~count, BLUE, "dashed"), (labels * count, GREEN, "solid")]
        yield view(name, text, image, layers, about["pixel_size_nm"], VIEW_BYTES // len(chosen))
