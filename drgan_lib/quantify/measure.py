"""From a user's images to tables of particles: what `drgan measure` does."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tifffile
from scipy.ndimage import binary_dilation

from drgan_lib.config import ELONGATED
from drgan_lib.data.overlays import TABLE, covered, write_overlays
from drgan_lib.errors import DrganError
from drgan_lib.files import LOCK, atomic_path, read_json, require_free_space, sole_use, write_json
from drgan_lib.quantify.distributions import Counting
from drgan_lib.quantify.handover import outlines, write_geojson, write_labels, write_rois
from drgan_lib.quantify.images import open_images
from drgan_lib.quantify.measurement import Measurement, combine, read_table, write_table
from drgan_lib.quantify.particles import measure_particles
from drgan_lib.quantify.plots import plot_distribution, plot_particles, plot_thickness
from drgan_lib.quantify.thickness import try_local_thickness
from drgan_lib.samples import Sample, SampleSet

if TYPE_CHECKING:
    from drgan_lib.segmentation import Segmenter

DISK_PER_PX = 12  # bytes of the results, uncompressed
DETAIL_PX = 1024
WHITE_PERCENT = 0.1
FAST_PNG = {"compress_level": 1}  # a third larger, and done in a fifth of the time
RECORD, WORK = "measurement.json", ".work"
POOLED = (
    *("particles.csv", "particles.parquet", "particles.json", "distribution.csv", "distribution.png", "report.html"),
    TABLE,
)


class MeasureError(DrganError, ValueError):
    """A measurement that cannot be made or found; the message says what to do."""


def measure_images(
    places: str | Path | Sequence[str | Path],
    model: Segmenter,
    out: str | Path,
    *,
    counting: Counting | None = None,
    pixel_size_nm: float | Mapping[str, float] | None = None,
    sample_rows: int | None = None,
    thickness: bool | None = None,
    log: Callable[[str], None] = print,
) -> Measurement:
    """Segments the images at `places` (files, folders) with `model`, and writes what was measured to the folder `out`.

    For each image, in `out/<name>/`: `labels.tif` (instances), their outlines `rois.zip` (for ImageJ) and
    `outlines.geojson`, `particles` as .csv, .parquet and .json, `overlay.png` (of large ones also
    `overlay_middle.png`), and with `thickness` (None: for rods and wires) `thickness.tif` (px, float32), `.png` and
    `.csv` (its histogram). For all of them: `particles`, `distribution.csv`, `distribution.png`, and `overlays.tsv`,
    the rectangles left out, to be corrected and put beside the images. Sizes are in px and, if a pixel size is known,
    in nm. `counting` says which particles count (None: off the border, as large as in chapter 05); the tables hold all.
    On `pixel_size_nm` and `sample_rows` see `open_images`.

    `model` is what `drgan_lib.segmentation.load_model` returns: beside `segment` it has `pixel_size_nm`, `shape` and
    `min_area_px` of what it was trained on, and `describe()`, which tells it from other models.

    All images are checked before the first is segmented. Interrupted, the same call goes on with the first image that
    is not complete; an `out` that holds anything else raises `MeasureError`, an image that cannot be measured
    `DataError`.
    """
    out, counting = Path(out), counting or Counting(min_area_px=model.min_area_px)
    thickness = model.shape in ELONGATED if thickness is None else thickness
    images = open_images(
        places, sample_rows=sample_rows, pixel_size_nm=pixel_size_nm, trained_nm=model.pixel_size_nm, log=log
    )
    table = images.table().set_index("name")
    request = {
        "images": json.loads(table.to_json(orient="index", double_precision=15)),
        "sample_rows": sample_rows,
        "model": model.describe(),
        "counting": asdict(counting),
        "thickness": thickness,
    }
    _require_usable(out, request["images"])
    with sole_use(out):
        _open(out, json.loads(json.dumps(request, default=str)))
        write_overlays(out / TABLE, {Path(row.file).name: row.overlays for row in table.itertuples()})
        return _measure_all(images, table, model, out, counting, thickness, request["model"], log)


def _measure_all(
    images: SampleSet,
    table: pd.DataFrame,
    model: Segmenter,
    out: Path,
    counting: Counting,
    thickness: bool,
    about_model: Mapping[str, Any],
    log: Callable[[str], None],
) -> Measurement:
    """Measures the images of which `out` holds nothing, and all of them together."""
    pending = [k for k, name in enumerate(table.index) if not (out / name).is_dir()]
    if len(pending) < len(images):
        log(f"{len(images) - len(pending)} of {len(images)} images were measured before and are kept")
    n_px = int((table["height"] * table["width"]).iloc[pending].sum())
    require_free_space(out, DISK_PER_PX * n_px, "measuring the images")
    began, done_px = time.perf_counter(), 0
    for k in pending:
        sample = images[k]
        left = (time.perf_counter() - began) / done_px * (n_px - done_px) if done_px else None
        done_px += sample.image.size
        log(
            f"segmenting {sample.name}, {sample.image.size / 1e6:.1f} megapixels"
            + (f"; {left:.0f} s left" if left is not None else "")
        )
        labels = model.segment(sample.image)
        with _complete(out / sample.name) as folder:
            n = _measure(sample, labels, folder, counting, thickness, log, model=about_model)
        log(f"{sample.name}: {f'{n} particles' if n else 'no particle found'}")
    sizes_nm = table["pixel_size_nm"].to_dict() if table["pixel_size_nm"].notna().all() else dict.fromkeys(table.index)
    found = combine({name: read_table(out / name / "particles")[0] for name in table.index}, sizes_nm, counting)
    if not (out / "distribution.csv").is_file():
        found.write(out / "particles", pixel_sizes_nm=sizes_nm)
        name = f"{len(images)} images" if len(images) > 1 else table.index[0]
        with atomic_path(out / "distribution.png") as temporary:
            plot_distribution({name: found.distributions["equivalent_diameter"]}).savefig(temporary, dpi=120)
        with atomic_path(out / "distribution.csv") as temporary:
            pd.concat({d.column: d.table() for d in found.distributions.values()}, names=["size"]).to_csv(temporary)
    return found


def _require_usable(out: Path, names: Iterable[str]) -> None:
    """Raises `MeasureError` for a place that holds something else, and for names that results of all images have."""
    if reserved := sorted(name for name in names if name.casefold() in (*POOLED, RECORD, WORK, LOCK)):
        raise MeasureError(f"{reserved[0]}: a result of all images has this name; rename the image")
    held = out.exists() and (not out.is_dir() or any(path.name != LOCK for path in out.iterdir()))
    if held and not (out / RECORD).is_file():
        raise MeasureError(f"{out} exists and holds no measurement; choose a new folder for the results")


def _open(out: Path, request: Mapping[str, Any]) -> None:
    """Makes `out` the folder of the measurement `request`, or finds that it is; else raises `MeasureError`.

    A measurement that holds no result yet may change.
    """
    if (out / RECORD).is_file():
        held = read_json(out / RECORD)
        changed = sorted(key for key in request.keys() | held.keys() if request.get(key) != held.get(key))
        if changed and any((out / name).is_dir() for name in held["images"]):
            raise MeasureError(
                f"{out} holds another measurement, with other {', '.join(changed)}; nothing is overwritten: choose "
                "another folder for the results, or move this one away"
            )
    write_json(out / RECORD, request)


@contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """A folder that becomes `path` when all its files are written; what a killed process left of one is removed."""
    work = path.parent / WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
        os.replace(work, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _measure(
    sample: Sample,
    labels: np.ndarray,
    folder: Path,
    counting: Counting,
    thickness: bool,
    log: Callable[[str], None],
    **more: object,
) -> int:
    """Writes the results of one image, and returns the number of its particles."""
    size_nm = sample.pixel_size_nm
    hidden = covered(sample.provenance.get("overlays", ()), labels.shape)
    labels = np.where(hidden, 0, labels)
    table = measure_particles(labels, size_nm)
    cut = table["id"].isin(np.unique(labels[binary_dilation(hidden)]))  # by burnt-in text, as by the border
    table.loc[cut, ["touches_border", "edge_weight"]] = True, 0.0
    write_labels(labels, folder / "labels.tif", pixel_size_nm=size_nm)
    found = outlines(labels)
    write_rois(found, folder / "rois.zip")
    write_geojson(found, table, folder / "outlines.geojson")
    more |= {"image": sample.provenance["file"]}
    write_table(table, folder / "particles", pixel_size_nm=size_nm, counting=counting, **more)
    image, column = _stretched(sample.image), f"equivalent_diameter_{'px' if size_nm is None else 'nm'}"
    plot_particles(image, labels, table, column, counting).savefig(folder / "overlay.png", dpi=150, pil_kwargs=FAST_PNG)
    if max(image.shape) > 2 * DETAIL_PX:  # particles are too small to judge on the whole
        rows, columns = (slice(max(0, (n - DETAIL_PX) // 2), min(n, (n + DETAIL_PX) // 2)) for n in image.shape)
        part = table[table["id"].isin(np.unique(labels[rows, columns]))]
        part = part.assign(row_px=part["row_px"] - rows.start, column_px=part["column_px"] - columns.start)
        middle = plot_particles(image[rows, columns], labels[rows, columns], part, column, counting)
        middle.savefig(folder / "overlay_middle.png", dpi=150, pil_kwargs=FAST_PNG)
    found = try_local_thickness(labels, size_nm, name=sample.name, log=log) if thickness else None
    if found is not None:
        tifffile.imwrite(folder / "thickness.tif", found.diameter_px, compression="zlib")
        plot_thickness(image, found).savefig(folder / "thickness.png", dpi=120)
        shares, edges = found.histogram()
        columns = {f"from_{found.unit}": edges[:-1], f"to_{found.unit}": edges[1:], "share_of_pixels": shares}
        pd.DataFrame(columns).to_csv(folder / "thickness.csv", index=False)
    return len(table)


def _stretched(image: np.ndarray) -> np.ndarray:
    """`image` with its darkest and brightest 0.1 % at 0 and 1: 12 bits in a file of 16 would be black."""
    step = max(1, math.isqrt(image.size // 1_000_000))
    low, high = np.percentile(image[::step, ::step], (WHITE_PERCENT, 100 - WHITE_PERCENT))
    return ((image - np.float32(low)) / np.float32(max(high - low, 1e-6))).clip(0, 1)
