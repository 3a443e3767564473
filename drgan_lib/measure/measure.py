"""From a user's images to tables of particles: what `drgan measure` does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from matplotlib.figure import Figure

from drgan_lib.config import ELONGATED
from drgan_lib.files import require_free_space
from drgan_lib.measure.folder import NNUNET_LOG, complete_folder, describe, open_folder, work_folder
from drgan_lib.measure.read import Input, check_inputs, find_images
from drgan_lib.measure.summary import Measurement, summarise
from drgan_lib.measure.tiles import (
    NETWORK_OVERLAP_PX,
    Window,
    apply_windows,
    label_windows,
    read_windows,
    windows,
    write_windows,
)
from drgan_lib.quantify import (
    Counting,
    Thickness,
    local_thickness,
    measure,
    plot_particles,
    plot_thickness,
    read_table,
    write_table,
)
from drgan_lib.segmentation.instances import border_core
from drgan_lib.segmentation.model import Model, predict

BATCH_PX = 16_000_000  # of images predicted by one process, which takes ten seconds to start; lost if interrupted
DISK_PER_PX = 12  # bytes: image and class map, uncompressed and with overlaps, and the results
THICKEST_PX = 512
DETAIL_PX = 1024
WHITE_PERCENT = 0.1

Predictor = Callable[..., None]  # (model, folder of images, folder of predictions, nnU-Net's log, log=)


def default_out(places: Path | str | Sequence[Path | str]) -> Path:
    """`<name>_measured` in the current folder, after the first image or folder to be measured."""
    first = Path(places if isinstance(places, (str, Path)) else places[0])
    return Path(f"{first.expanduser().resolve().stem}_measured")


def measure_images(
    places: Path | str | Sequence[Path | str],
    model: Model,
    *,
    out: str | Path,
    pixel_size_nm: float | None = None,
    sample_rows: int | None = None,
    counting: Counting | None = None,
    thickness: bool | None = None,
    log: Callable[[str], None] = print,
    predictor: Predictor = predict,
) -> Measurement:
    """Segments the images at `places` (files, folders) with `model`, and writes what was measured to the folder `out`.

    For each image, in `out/<name>/`: `labels.tif` (instances), `particles` as .csv, .parquet and .json, `overlay.png`
    (of large ones also `overlay_middle.png`), and with `thickness` (None: for rods and wires) `thickness.tif` (px,
    float32), `.png` and `.csv` (its histogram). For all of them: `particles`, `distribution.csv`, `distribution.png`.
    Sizes are in px and, if a pixel size is known, in nm. `counting` says which particles count (None: off the border,
    as large as in chapter 05); the tables hold all.
    All images are checked before the network starts. Interrupted, the same call goes on with the first image that is
    not complete (images are segmented some 16 megapixels at a time, and only then measured); an `out` that holds
    anything else raises `MeasureError`, an image that cannot be measured `DataError`, nnU-Net's failure
    `SegmentationError`.

    nnU-Net brings each image to the same contrast, all windows of a large one alike: in an image without any particle
    it may find some in the noise.
    """
    out, counting = Path(out), counting or Counting(min_area_px=model.min_area_px)
    thickness = model.shape in ELONGATED if thickness is None else thickness
    inputs = check_inputs(
        find_images(places),
        sample_rows=sample_rows,
        pixel_size_nm=pixel_size_nm,
        trained_nm=model.pixel_size_nm,
        log=log,
    )
    open_folder(out, describe(inputs, model, counting=counting, thickness=thickness))
    pending = [item for item in inputs if not (out / item.name).is_dir()]
    if len(pending) < len(inputs):
        log(f"{len(inputs) - len(pending)} of {len(inputs)} images were measured before and are kept")
    for batch in _batches(pending):
        with work_folder(out) as work:
            parts = _predict(batch, model, work, predictor, log)
            for item in batch:
                labels = _label(item, work / "predictions", parts[item.name], model)
                with complete_folder(out / item.name, work) as folder:
                    table = _measure(item, labels, model, folder, counting, thickness, log)
                log(f"{item.name}: {f'{len(table)} particles' if len(table) else 'no particle found'}")
    tables = {item.name: read_table(out / item.name / "particles")[0] for item in inputs}
    return summarise(out, tables, {item.name: item.pixel_size_nm for item in inputs}, counting)


def _batches(inputs: Sequence[Input]) -> Iterator[list[Input]]:
    batch: list[Input] = []
    for item in inputs:
        if batch and sum(i.n_px for i in batch) + item.n_px > BATCH_PX:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _predict(
    batch: Sequence[Input], model: Model, work: Path, predictor: Predictor, log: Callable[[str], None]
) -> dict[str, tuple[list[str], list[Window]]]:
    """Predictions for the windows of the images in `work/predictions`: their names and places, by image."""
    images, predictions, parts = work / "images", work / "predictions", {}
    require_free_space(work, DISK_PER_PX * sum(item.n_px for item in batch), "segmenting the images")
    for folder in (images, predictions):
        folder.mkdir()
    for k, item in enumerate(batch):
        found = windows(item.shape, overlap_px=max(NETWORK_OVERLAP_PX, model.patch_px))
        names = [f"{k:06d}-{i:04d}" for i in range(len(found))]  # those of images might end in _particle
        write_windows(item.image(), images, names, found, patch_px=model.patch_px)
        parts[item.name] = names, found
    n, n_px = sum(len(names) for names, _ in parts.values()), sum(item.n_px for item in batch)
    what = f"{len(batch)} images" if len(batch) > 1 else batch[0].name
    log(f"segmenting {what}, {n_px / 1e6:.1f} megapixels" + (f" in {n} parts" if n > len(batch) else ""))
    predictor(model, images, predictions, work.parent / NNUNET_LOG, log=log)
    return parts


def _label(item: Input, predictions: Path, parts: tuple[list[str], list[Window]], model: Model) -> np.ndarray:
    """Instances [h, w]. The class map, twice as large, is gone when this returns."""
    class_map = read_windows(predictions, *parts, item.shape)
    return label_windows(class_map, partial(border_core, settings=model.border_core))


def _measure(
    item: Input,
    labels: np.ndarray,
    model: Model,
    folder: Path,
    counting: Counting,
    thickness: bool,
    log: Callable[[str], None],
) -> pd.DataFrame:
    kind = np.uint16 if labels.max() <= np.iinfo(np.uint16).max else np.uint32
    tifffile.imwrite(folder / "labels.tif", labels.astype(kind), compression="zlib")
    table = measure(labels, item.pixel_size_nm)
    write_table(
        table,
        folder / "particles",
        pixel_size_nm=item.pixel_size_nm,
        counting=counting,
        image=str(item.path.absolute()),
        arm=model.arm,
        seed=model.seed,
    )
    image = _stretched(item.image())
    unit = "px" if item.pixel_size_nm is None else "nm"
    column = f"equivalent_diameter_{unit}"
    plot_particles(image, labels, table, column, counting).savefig(folder / "overlay.png", dpi=150)
    if max(image.shape) > 2 * DETAIL_PX:
        _draw_middle(image, labels, table, column, counting).savefig(folder / "overlay_middle.png", dpi=150)
    if thickness:
        _thickness(image, labels > 0, item, folder, log)
    return table


def _draw_middle(image: np.ndarray, labels: np.ndarray, table: pd.DataFrame, column: str, counting: Counting) -> Figure:
    """The overlay of the middle of a large image, whose particles are too small to judge on the whole."""
    rows, columns = (slice(max(0, (n - DETAIL_PX) // 2), min(n, (n + DETAIL_PX) // 2)) for n in image.shape)
    part = table[table["id"].isin(np.unique(labels[rows, columns]))]
    part = part.assign(row_px=part["row_px"] - rows.start, column_px=part["column_px"] - columns.start)
    return plot_particles(image[rows, columns], labels[rows, columns], part, column, counting)


def _thickness(image: np.ndarray, mask: np.ndarray, item: Input, folder: Path, log: Callable[[str], None]) -> None:
    try:
        diameter = apply_windows(mask, lambda part: local_thickness(part).diameter_px, overlap_px=2 * THICKEST_PX)
    except ValueError as reason:
        log(f"{item.name}: no local thickness, of the image or of a window of it: {reason}")
        return
    tifffile.imwrite(folder / "thickness.tif", diameter, compression="zlib")
    found = Thickness(diameter, item.pixel_size_nm)
    plot_thickness(image, found).savefig(folder / "thickness.png", dpi=120)
    shares, edges = found.histogram()
    columns = {f"from_{found.unit}": edges[:-1], f"to_{found.unit}": edges[1:], "share_of_pixels": shares}
    pd.DataFrame(columns).to_csv(folder / "thickness.csv", index=False)


def _stretched(image: np.ndarray) -> np.ndarray:
    """`image`, changed to have its darkest and brightest 0.1 % at 0 and 1: 12 bits in a file of 16 would be black."""
    step = max(1, math.isqrt(image.size // 1_000_000))
    low, high = np.percentile(image[::step, ::step], (WHITE_PERCENT, 100 - WHITE_PERCENT)).tolist()
    image -= low
    image /= max(high - low, 1e-6)
    return image.clip(0, 1, out=image)
