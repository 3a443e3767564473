"""From a user's images to tables of particles: what `drgan measure` does."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tifffile
from scipy.ndimage import binary_dilation

from drgan_lib.config import ELONGATED
from drgan_lib.data.overlays import TABLE, Box, covered, write_overlays
from drgan_lib.errors import DrganError
from drgan_lib.executors import outcomes
from drgan_lib.files import (
    LOCK,
    atomic_folder,
    atomic_path,
    read_json,
    remove_abandoned,
    require_free_space,
    sole_use,
    write_json,
)
from drgan_lib.quantify.distributions import Counting
from drgan_lib.quantify.handover import outlines, write_geojson, write_labels, write_rois
from drgan_lib.quantify.images import check_images, given_sizes, read_image
from drgan_lib.quantify.measurement import Measurement, combine, read_table, write_table
from drgan_lib.quantify.overlay import draw_particles
from drgan_lib.quantify.particles import measure_particles
from drgan_lib.quantify.plots import plot_distribution, plot_thickness
from drgan_lib.quantify.thickness import try_local_thickness
from drgan_lib.samples import Sample
from drgan_lib.shared import Shared

if TYPE_CHECKING:
    from drgan_lib.segmentation import Segmenter

DISK_PER_PX = 12  # bytes of the results, uncompressed
DETAIL_PX = 1024
WHITE_PERCENT = 0.1
FAST_PNG = {"compress_level": 1}  # a third larger, and done in a fifth of the time
RECORD = "measurement.json"
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
    executor: Executor | None = None,
    log: Callable[[str], None] = print,
) -> Measurement:
    """Segments the images at `places` (files, folders) with `model`, and writes what was measured to the folder `out`.

    For each image, in `out/<name>/`: `labels.tif` (instances), their outlines `rois.zip` (for ImageJ) and
    `outlines.geojson`, `particles` as .csv, .parquet and .json, `overlay.png` (of large ones also
    `overlay_middle.png`), and with `thickness` (None: for rods and wires) `thickness.tif` (px, float32), `.png` and
    `.csv` (its histogram). For all of them: `particles`, `distribution.csv`, `distribution.png`, and `overlays.tsv`,
    the rectangles left out, to be corrected and put beside the images. Sizes are in px and, if a pixel size is known,
    in nm. `counting` says which particles count (None: off the border, as large as in chapter 05); the tables hold all.
    On `pixel_size_nm` and `sample_rows` see `check_images`.

    `model` is what `drgan_lib.segmentation.load_model` returns: beside `segment` it has `pixel_size_nm`, `shape` and
    `min_area_px` of what it was trained on, and `describe()`, which tells it from other models.

    All images are checked before the first is segmented. One that cannot be measured is left out, with a line to `log`,
    and the others go on; `Measurement.left_out` says why. With an `executor` (see `drgan_lib.executors`) its workers
    check, segment and measure. Interrupted, the same call goes on with the images that are not complete; so it does
    when those left out were mended. An `out` that holds anything else raises `MeasureError`; if no image can be
    measured, `DataError`.
    """
    out, counting = Path(out), counting or Counting(min_area_px=model.min_area_px)
    thickness = model.shape in ELONGATED if thickness is None else thickness
    how = {"sample_rows": sample_rows, "pixel_size_nm": pixel_size_nm}
    images, unusable = check_images(places, **how, trained_nm=model.pixel_size_nm, executor=executor, log=log)
    table = images.table().set_index("name")
    request = {
        "images": json.loads(table.to_json(orient="index", double_precision=15)),
        "sample_rows": sample_rows,
        "model": model.describe(),
        "counting": asdict(counting),
        "thickness": thickness,
        "left_out": {str(path): str(error) for path, error in unusable.items()},
    }
    _require_usable(out, request["images"])
    with sole_use(out):
        remove_abandoned(out)
        _open(out, json.loads(json.dumps(request, default=str)))
        write_overlays(out / TABLE, {Path(row.file).name: row.overlays for row in table.itertuples()})
        for error in unusable.values():
            log(f"left out: {error}")
        task = _Task(model, out.absolute(), counting, thickness, request["model"], sample_rows)
        return _measure_all(task, table, pixel_size_nm, executor, dict(request["left_out"]), log)


@dataclass(frozen=True)
class _Task:
    """What the measurement of every image needs."""

    model: Segmenter
    out: Path
    counting: Counting
    thickness: bool
    about_model: Mapping[str, Any]
    sample_rows: int | None


def _measure_all(
    task: _Task,
    table: pd.DataFrame,
    pixel_size_nm: float | Mapping[str, float] | None,
    executor: Executor | None,
    left_out: dict[str, str],
    log: Callable[[str], None],
) -> Measurement:
    """Measures the images in `table` of which `out` holds nothing, and all of them together."""
    out, counting = task.out, task.counting
    pending = table[[not (out / name).is_dir() for name in table.index]]
    if len(pending) < len(table):
        log(f"{len(table) - len(pending)} of {len(table)} images were measured before and are kept")
    n_px, done_px = int((pending["height"] * pending["width"]).sum()), 0
    require_free_space(out, DISK_PER_PX * n_px, "measuring the images")
    if len(pending):
        (out / "distribution.csv").unlink(missing_ok=True)  # of those measured before
    given = given_sizes(pixel_size_nm, map(Path, table["file"]))
    rows = pending[["file", "overlays"]].itertuples()
    items = ((name, Path(file), given.get(Path(file).name), boxes) for name, file, boxes in rows)
    began = said = time.perf_counter()
    with Shared(task, out) as shared:
        for (name, path, *_), future in outcomes(partial(_measure_image, shared), items, executor):
            done_px += int(table.at[name, "height"] * table.at[name, "width"])
            try:
                n, notes = future.result()
                for note in (*notes, f"{name}: {f'{n} particles' if n else 'no particle found'}"):
                    log(note)
            except DrganError as error:
                left_out[str(path)] = str(error)
                log(f"left out: {path.name}: {error}")
            if (now := time.perf_counter()) - said > 30:
                said = now
                left_s = (now - began) * (n_px / done_px - 1)
                log(f"{done_px / n_px:.0%} of the pixels are measured; {left_s:.0f} s left")
    table = table[[(out / name).is_dir() for name in table.index]]
    if table.empty:
        raise MeasureError(f"no image could be measured, the first for this reason: {next(iter(left_out.values()))}")
    sizes_nm = table["pixel_size_nm"].to_dict() if table["pixel_size_nm"].notna().all() else dict.fromkeys(table.index)
    tables = {name: read_table(out / name / "particles")[0] for name in table.index}
    found = replace(combine(tables, sizes_nm, counting), left_out=left_out)
    if not (out / "distribution.csv").is_file():
        found.write(out / "particles", pixel_sizes_nm=sizes_nm)
        name = f"{len(table)} images" if len(table) > 1 else table.index[0]
        with atomic_path(out / "distribution.png") as temporary:
            plot_distribution({name: found.distributions["equivalent_diameter"]}).savefig(temporary, dpi=120)
        with atomic_path(out / "distribution.csv") as temporary:
            pd.concat({d.column: d.table() for d in found.distributions.values()}, names=["size"]).to_csv(temporary)
    return found


def _measure_image(shared: Shared, item: tuple[str, Path, float | None, Sequence[Box]]) -> tuple[int, list[str]]:
    """Segments and measures one image; the number of its particles, and what is to be said of it."""
    task, (name, path, size_nm, boxes) = shared.value, item
    sample, notes = read_image(path, task.sample_rows, size_nm, boxes), []
    labels = task.model.segment(sample.image)
    with atomic_folder(task.out / name) as folder:
        n = _write(sample, labels, folder, task.counting, task.thickness, notes.append, model=task.about_model)
    return n, notes


def _require_usable(out: Path, names: Iterable[str]) -> None:
    """Raises `MeasureError` for a place that holds something else, and for names that results of all images have."""
    if reserved := sorted(name for name in names if name.casefold() in (*POOLED, RECORD, LOCK)):
        raise MeasureError(f"{reserved[0]}: a result of all images has this name; rename the image")
    held = out.exists() and (not out.is_dir() or any(path.name != LOCK for path in out.iterdir()))
    if held and not (out / RECORD).is_file():
        raise MeasureError(f"{out} exists and holds no measurement; choose a new folder for the results")


def _open(out: Path, request: Mapping[str, Any]) -> None:
    """Makes `out` the folder of the measurement `request`, or finds that it is; else raises `MeasureError`.

    A measurement that holds no result yet may change, and images that were left out may be added.
    """
    if (out / RECORD).is_file():
        held = read_json(out / RECORD)
        left_out = held.setdefault("left_out", {})
        added = {name for name, about in request["images"].items() if about["file"] in left_out}
        known = {name: about for name, about in request["images"].items() if name not in added - held["images"].keys()}
        asked = {**request, "images": known, "left_out": left_out}
        changed = sorted(key for key in asked.keys() | held.keys() if asked.get(key) != held.get(key))
        if changed and any((out / name).is_dir() for name in held["images"]):
            raise MeasureError(
                f"{out} holds another measurement, with other {', '.join(changed)}; nothing is overwritten: choose "
                "another folder for the results, or move this one away"
            )
    write_json(out / RECORD, request)


def _write(
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
    draw_particles(image, labels, table, column, counting).save(folder / "overlay.png", **FAST_PNG)
    if max(image.shape) > 2 * DETAIL_PX:  # particles are too small to judge on the whole
        rows, columns = (slice(max(0, (n - DETAIL_PX) // 2), min(n, (n + DETAIL_PX) // 2)) for n in image.shape)
        part = table[table["id"].isin(np.unique(labels[rows, columns]))]
        part = part.assign(row_px=part["row_px"] - rows.start, column_px=part["column_px"] - columns.start)
        middle = draw_particles(image[rows, columns], labels[rows, columns], part, column, counting)
        middle.save(folder / "overlay_middle.png", **FAST_PNG)
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
