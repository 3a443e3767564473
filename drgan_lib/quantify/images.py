"""The images that a user wants measured: found, checked before anything is computed, read one at a time."""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import tifffile

from drgan_lib.data import DataError, few_levels, particles_look_dark, read_micrograph, rows_above_bar
from drgan_lib.data.burnt_in import find_burnt_in
from drgan_lib.data.overlays import TABLE, Box, read_overlays
from drgan_lib.data.pixels import MANY, SUFFIXES
from drgan_lib.digest import file_digest
from drgan_lib.executors import outcomes
from drgan_lib.samples import Sample, SampleSet

LARGEST_PX = 150_000_000
MOST_THREADS = 4  # that check images: each has a reader of text of its own
OTHER_SCALE = 1.5  # a pixel size that differs from the training images' by more than this factor is warned of
PNG_RGB, PNG_SIGNATURE = 2, b"\x89PNG\r\n\x1a\n"


def open_images(places: str | Path | Sequence[str | Path], **how: Any) -> SampleSet:
    """The images at `places` as `check_images` finds them; raises `DataError` if one of them cannot be used."""
    samples, unusable = check_images(places, **how)
    for error in unusable.values():
        raise error
    return samples


def check_images(
    places: str | Path | Sequence[str | Path],
    *,
    sample_rows: int | None = None,
    pixel_size_nm: float | Mapping[str, float] | None = None,
    trained_nm: float | None = None,
    executor: Executor | None = None,
    log: Callable[[str], None] = print,
) -> tuple[SampleSet, dict[Path, DataError]]:
    """The images at `places`, which are files, and folders of .tif, .tiff and .png files, and those that are unusable.

    Each is read, by workers of an `executor` if there is one. Unusable is what `read_micrograph` refuses, and what has
    more than 150 megapixels or a single gray level.

    `sample_rows` keeps the rows above a burnt-in data bar, `pixel_size_nm` overrides what the files say, for all of
    them or by the name of a file (see `read_pixel_sizes`). Where text is burnt into the images may be said in
    `overlays.tsv` beside them (see `read_overlays`), else it is looked for. The table of the set has the columns
    `file`, `digest`, `overlays` (rectangles of text) and `scale_bar_nm` (the size of a pixel by the scale bar in it),
    too.

    Raises `DataError` for what is not there, for folders without images, for two images of one name, for what
    `read_overlays` refuses, for images with pixel size beside ones without, and if no image can be used. `log` hears of
    colour files that hold gray, of data bars and text, of pixel sizes that are not certain or contradict a scale bar,
    of lost gray levels, and of pixel sizes that differ from those of the training images, `trained_nm`, by more than a
    factor of 1.5.
    """
    if sample_rows is not None and sample_rows < 1:
        raise DataError(f"sample_rows: expected at least 1, got {sample_rows}; leave it out to measure all rows")
    paths = _find(places)
    boxes: dict[Path, tuple[Box, ...]] = {}
    for folder in {path.parent for path in paths}:
        boxes |= read_overlays(folder / TABLE, [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES])
    given = given_sizes(pixel_size_nm, paths)
    if unknown := sorted(given.keys() - {path.name for path in paths}):
        raise DataError(f"pixel_size_nm: names {unknown[0]}, which is none of the images; correct the name")
    for name, size in given.items():
        if size is not None and not (math.isfinite(size) and size > 0):
            raise DataError(f"pixel_size_nm: expected more than 0 for {name}, got {size}; leave it out if unknown")
    items = [(path, given.get(path.name), boxes.get(path)) for path in paths]
    found: dict[Path, tuple[dict[str, object], list[str]]] = {}
    unusable: dict[Path, DataError] = {}
    # Imported late, with torch, which takes seconds; bad names are refused before.
    from drgan_lib.hardware import usable_cores

    with ThreadPoolExecutor(min(MOST_THREADS, usable_cores())) as threads:
        for (path, *_), future in outcomes(partial(_check, sample_rows), items, executor or threads):
            try:
                found[path] = future.result()
            except DataError as error:
                unusable[path] = error
    usable = [path for path in paths if path in found]
    if not usable:
        raise min(unusable.items())[1]
    for path in usable:
        for message in found[path][1]:
            log(message)
    table = pd.DataFrame([found[path][0] for path in usable]).astype(
        {"pixel_size_nm": float, "scale_bar_nm": float, "n_particles": "Int64"}
    )
    known = table["pixel_size_nm"].notna()
    if known.any() and not known.all():
        raise DataError(
            f"{table['file'][known].iloc[0]} tells its pixel size and {table['file'][~known].iloc[0]} does not; give "
            "pixel_size_nm for all of them, or measure them apart"
        )
    if not known.any():
        log("no pixel size is known: sizes are in px; give pixel_size_nm for nm")
    for row in table[known].itertuples() if trained_nm is not None else ():
        factor = row.pixel_size_nm / trained_nm
        if max(factor, 1 / factor) > OTHER_SCALE:
            log(
                f"warning: {row.file} has pixels of {row.pixel_size_nm:g} nm, but the network was trained at "
                f"{trained_nm:g} nm: particles look {1 / factor:.2g} times as large to it as those that it knows. Look "
                "at the overlay, or resample the image"
            )

    def load(k: int) -> Sample:
        return read_image(usable[k], sample_rows, given.get(usable[k].name), table["overlays"][k])

    return SampleSet(len(usable), load, table=lambda: table), unusable


def read_image(path: Path, sample_rows: int | None, pixel_size_nm: float | None, overlays: Sequence[Box]) -> Sample:
    """An image that was checked, with the rectangles of text in it."""
    sample = _read(path, sample_rows, pixel_size_nm)
    return replace(sample, provenance={**sample.provenance, "overlays": overlays})


def given_sizes(pixel_size_nm: float | Mapping[str, float] | None, paths: Iterable[Path]) -> Mapping[str, float | None]:
    """The pixel sizes that were given, by the name of a file."""
    return pixel_size_nm if isinstance(pixel_size_nm, Mapping) else {path.name: pixel_size_nm for path in paths}


def read_pixel_sizes(said: str | Path) -> float | dict[str, float]:
    """What is said of pixel sizes, nm: a number; or the path of a CSV file with the columns `file` and `pixel_size_nm`.

    Of a file, the sizes by the names of images. `DataError` if it is neither.
    """
    with suppress(ValueError):
        return float(str(said))
    try:
        table = pd.read_csv(said, dtype={"file": str})
        return dict(zip(table["file"], table["pixel_size_nm"].astype(float), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{said}: expected a number, or a CSV file with the columns file and pixel_size_nm ({error}); correct it"
        ) from None


def _find(places: str | Path | Sequence[str | Path]) -> list[Path]:
    """Files named by `places` and, of the folders among them, all images in name order."""
    found: dict[str, Path] = {}
    for place in [places] if isinstance(places, (str, Path)) else places:
        place = Path(place).expanduser().absolute()
        files = [place]
        if place.is_dir():
            inside = sorted(p for p in place.iterdir() if p.is_file() and not p.name.startswith("."))
            files = [p for p in inside if p.suffix.lower() in SUFFIXES]
            if not files:
                others = ", ".join(sorted({repr(p.suffix) for p in inside}))
                got = f"files ending in {others}" if others else "an empty folder"
                raise DataError(f"{place}: expected images ending in {', '.join(SUFFIXES)}, got {got}; convert them")
        for path in files:
            if not path.is_file():
                raise DataError(f"{path}: no such file or folder; check the path")
            if (other := found.setdefault(path.stem.casefold(), path)) is not path:  # some disks know no case
                raise DataError(f"{other} and {path} would have results of one name; rename one, or measure it apart")
    if not found:
        raise DataError("expected at least one image or folder to measure, got none")
    return list(found.values())


def _check(
    sample_rows: int | None, item: tuple[Path, float | None, Sequence[Box] | None]
) -> tuple[dict[str, object], list[str]]:
    """The row of an image in the table of the set, and what a user should know of it."""
    path, pixel_size_nm, overlays = item
    rows, columns, coloured = _header(path) or (math.inf, 0, False)
    if rows * columns > LARGEST_PX:
        raise DataError(
            f"{path}: expected at most {LARGEST_PX / 1e6:.0f} megapixels, got {rows * columns / 1e6:.0f} "
            f"({rows} x {columns}); cut the image up"
        )
    if sample_rows is not None and sample_rows > rows:
        raise DataError(f"{path}: sample_rows is {sample_rows}, but the image has only {rows} rows; correct it")
    sample = _read(path, sample_rows, pixel_size_nm)
    if sample.image.min() == sample.image.max():
        raise DataError(f"{path}: expected an image, got a single gray level everywhere; check the export")
    height, width = sample.image.shape
    name, told = path.name, []
    if coloured:
        told.append(f"{name}: a colour file whose three channels are equal, read as gray")
    if bar_rows := sample.provenance.get("bar_rows"):
        told.append(f"{name}: the {bar_rows} rows of its data bar are cut off, as its tags say")
    elif sample_rows is None and (rows := rows_above_bar(sample.image)):
        told.append(f"{name}: below row {rows} there seems to be a data bar; give sample_rows to cut it off")
    found = find_burnt_in(path)
    if overlays is None and (overlays := found.above(height)):
        told.append(f"{name}: text or a scale bar seems burnt in, and is left out: see {TABLE}, which may be corrected")
    if found.scale_bar and sample.pixel_size_nm is None:
        told.append(f"{name}: its scale bar, read as {found.scale_bar}: give pixel_size_nm if that is so")
    elif found.scale_bar and (doubt := found.scale_bar.contradicts(sample.pixel_size_nm)):
        told.append(f"warning: {name}: {doubt}")
    if particles_look_dark(sample.image):
        told.append(
            f"warning: {name} seems to show dark particles on a bright ground, but the network knows bright ones on a "
            "darker ground: if it does, invert the gray levels"
        )
    told += [f"{name}: {note}" for note in (sample.provenance.get("note"), few_levels(sample.image)) if note]
    row = {"name": sample.name, "height": height, "width": width, "pixel_size_nm": sample.pixel_size_nm}
    row |= {"n_particles": None, "file": str(path), "digest": file_digest(path)}
    row |= {"overlays": overlays, "scale_bar_nm": found.scale_bar and found.scale_bar.pixel_nm}
    return row, told


def _read(path: Path, sample_rows: int | None, pixel_size_nm: float | None) -> Sample:
    read = read_micrograph(path, sample_rows=sample_rows, pixel_size_nm=pixel_size_nm)
    about = {name: read.provenance[name] for name in ("file", "note", "bar_rows") if name in read.provenance}
    return Sample(read.name, read.image, read.pixel_size_nm, provenance=about)


def _header(path: Path) -> tuple[int, int, bool] | None:
    """Rows, columns and whether it is RGB, without decoding; None without a header, of which the reader tells."""
    try:
        if path.suffix.lower() == ".png":
            with path.open("rb") as file:
                signature, columns, rows, _, kind = struct.unpack("!8s8xIIBB", file.read(26))
            return (rows, columns, kind == PNG_RGB) if signature == PNG_SIGNATURE else None
        with tifffile.TiffFile(path) as tiff:
            # The others are thumbnails.
            page = max(islice(tiff.pages, MANY), key=lambda page: page.imagelength * page.imagewidth)
            return page.imagelength, page.imagewidth, page.samplesperpixel == 3
    except (OSError, ValueError, KeyError, IndexError, struct.error):
        return None
