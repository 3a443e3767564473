"""The images that a user wants measured: found, checked before anything is computed, read one at a time."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from drgan_lib.data import DataError, read_micrograph
from drgan_lib.data.pixels import SUFFIXES
from drgan_lib.digest import file_digest
from drgan_lib.samples import Sample

LARGEST_PX = 150_000_000
OTHER_SCALE = 1.5  # a pixel size that differs from the training images' by more than this factor is warned of
PNG_RGB, PNG_SIGNATURE = 2, b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Input:
    """An image that can be measured: its file, digest, shape (rows above the data bar, columns), pixel size if known.

    `sample_rows` are the rows to be read, None: all.
    """

    path: Path
    digest: str
    shape: tuple[int, int]
    pixel_size_nm: float | None
    sample_rows: int | None

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def n_px(self) -> int:
        return self.shape[0] * self.shape[1]

    def image(self) -> np.ndarray:
        """Gray levels float32 [h, w] in [0, 1], read again."""
        return _read(self.path, self.sample_rows, self.pixel_size_nm).image


def find_images(places: Path | str | Sequence[Path | str]) -> list[Path]:
    """Files named by `places` and, of the folders among them, all that end in .tif, .tiff or .png, in name order.

    Raises `DataError` for what is not there, for folders without such files, and for two images of one name.
    """
    found: dict[str, Path] = {}
    for place in map(Path, [places] if isinstance(places, (str, Path)) else places):
        for path in _in_folder(place.expanduser()) if place.expanduser().is_dir() else [place.expanduser()]:
            if not path.is_file():
                raise DataError(f"{path}: no such file or folder; check the path")
            if (other := found.setdefault(path.stem.casefold(), path)) is not path:  # some disks know no case
                raise DataError(f"{other} and {path} would have results of one name; rename one, or measure it apart")
    if not found:
        raise DataError("expected at least one image or folder to measure, got none")
    return list(found.values())


def check_inputs(
    paths: Iterable[Path],
    *,
    sample_rows: int | None = None,
    pixel_size_nm: float | None = None,
    trained_nm: float | None = None,
    log: Callable[[str], None] = print,
) -> list[Input]:
    """Reads every image once and keeps none; raises `DataError` for the first that cannot be measured.

    `sample_rows` keeps the rows above a burnt-in data bar, `pixel_size_nm` overrides what the files say. Refused are,
    beside what `read_micrograph` refuses, images of more than 150 megapixels, images of a single gray level, and
    images with pixel size beside ones without. `log` hears of colour files that hold gray, and of pixel sizes that
    differ from those of the training images, `trained_nm`, by more than a factor of 1.5.
    """
    if sample_rows is not None and sample_rows < 1:
        raise DataError(f"--sample-rows: expected at least 1, got {sample_rows}; leave it out to measure all rows")
    if pixel_size_nm is not None and not (math.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise DataError(f"--pixel-size-nm: expected more than 0, got {pixel_size_nm}; leave it out if it is not known")
    inputs = [_check(path, sample_rows, pixel_size_nm, log) for path in paths]
    known = [item for item in inputs if item.pixel_size_nm is not None]
    if known and len(known) < len(inputs):
        unknown = next(item for item in inputs if item.pixel_size_nm is None)
        raise DataError(
            f"{known[0].path} tells its pixel size and {unknown.path} does not; give --pixel-size-nm for all of them, "
            "or measure them apart"
        )
    if not known:
        log("no pixel size is known: sizes are in px; give --pixel-size-nm for nm")
    for item in known if trained_nm is not None else ():
        factor = item.pixel_size_nm / trained_nm
        if max(factor, 1 / factor) > OTHER_SCALE:
            log(
                f"warning: {item.path} has pixels of {item.pixel_size_nm:g} nm, but the network was trained at "
                f"{trained_nm:g} nm: particles look {1 / factor:.2g} times as large to it as those that it knows. Look "
                "at the overlay, or resample the image"
            )
    return inputs


def _in_folder(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    images = [p for p in files if p.suffix.lower() in SUFFIXES]
    if not images:
        others = sorted({p.suffix for p in files})
        found = f"got files ending in {', '.join(map(repr, others))}" if others else "got an empty folder"
        raise DataError(f"{folder}: expected images ending in {', '.join(SUFFIXES)}, {found}; convert them")
    return images


def _check(path: Path, sample_rows: int | None, pixel_size_nm: float | None, log: Callable[[str], None]) -> Input:
    header = _header(path)
    if header is not None:
        rows, columns, coloured = header
        if rows * columns > LARGEST_PX:
            raise DataError(
                f"{path}: expected at most {LARGEST_PX / 1e6:.0f} megapixels, got {rows * columns / 1e6:.0f} "
                f"({rows} x {columns}); cut the image up"
            )
        if sample_rows is not None and sample_rows > rows:
            raise DataError(f"{path}: --sample-rows is {sample_rows}, but the image has only {rows} rows; correct it")
    micrograph = _read(path, sample_rows, pixel_size_nm)
    if micrograph.image.min() == micrograph.image.max():
        raise DataError(f"{path}: expected an image, got a single gray level everywhere; check the export")
    if header is not None and coloured:
        log(f"{path.name}: a colour file whose three channels are equal, read as gray")
    return Input(path, file_digest(path), micrograph.image.shape, micrograph.pixel_size_nm, sample_rows)


def _read(path: Path, sample_rows: int | None, pixel_size_nm: float | None) -> Sample:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size has been looked at
        return read_micrograph(path, sample_rows=sample_rows, pixel_size_nm=pixel_size_nm)


def _header(path: Path) -> tuple[int, int, bool] | None:
    """Rows, columns and whether it is RGB, without decoding; None without a header, of which the reader tells."""
    try:
        if path.suffix.lower() == ".png":
            with path.open("rb") as file:
                signature, columns, rows, _, kind = struct.unpack("!8s8xIIBB", file.read(26))
            return (rows, columns, kind == PNG_RGB) if signature == PNG_SIGNATURE else None
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            return page.imagelength, page.imagewidth, page.samplesperpixel == 3
    except (OSError, ValueError, KeyError, IndexError, struct.error):
        return None
