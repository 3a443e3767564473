"""Micrographs and masks from files: gray levels in [0, 1], pixel sizes in nm, instance labels.

How gray levels are scaled: 8-bit images by 255. Deeper images by the smallest of the usual detector depths
(8, 10, 12, 14, 16 bit) that holds their brightest pixel, so that nothing clips, zero stays zero, and a 12-bit
image stored in 16 bits is not nearly black. Images of one dataset get one common scale (`read_micrographs`), and so
must be stored in one way: all in 8 bit, all deeper, or all in floating point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from drgan_lib.data.pixels import DataError, read_pixels

DEPTHS = (8, 10, 12, 14, 16)
SQUARE = 0.01  # width and height of a pixel may differ by this share
FEW_VALUES, MANY_PARTS = 8, 8  # so few values of a mask that fall into so many parts each are no ids


@dataclass(frozen=True)
class GrayLevels:
    """How a file stores gray: `kind` ("8-bit", "16-bit", ...), and `full_scale`, the stored level that becomes 1."""

    kind: str = "8-bit"
    full_scale: float = 255.0


@dataclass(frozen=True)
class Micrograph:
    """One gray image: `image` float32 [h, w] in [0, 1] above the data bar, `pixel_size_nm` (None: unknown).

    `overlays` are the rectangles (top, left, bottom, right, ends excluded) of burnt-in text, which is no sample.
    """

    name: str
    image: np.ndarray
    pixel_size_nm: float | None
    path: Path
    levels: GrayLevels = GrayLevels()
    overlays: tuple[tuple[int, int, int, int], ...] = ()


def read_micrograph(
    path: str | Path,
    *,
    sample_rows: int | None = None,
    pixel_size_nm: float | None = None,
    levels: GrayLevels | None = None,
) -> Micrograph:
    """Micrograph of a TIFF (8 or 16 bit, palette, Zeiss and FEI tags) or PNG file.

    `sample_rows` keeps the rows above a burnt-in data bar; `pixel_size_nm` overrides what the file says; `levels` is
    the gray scale to use, that of the images which this one goes with (None: its own). Colour, alpha channels,
    stacks, missing or damaged files, pixels that are not square, and gray levels that `levels` cannot hold raise
    `DataError`.
    """
    path = Path(path)
    pixels, stored_nm = read_pixels(path)
    pixel_size_nm = pixel_size_nm or _square(stored_nm, path)
    pixels = _crop(pixels, sample_rows, path)
    own = GrayLevels(_kind(pixels), _full_scale(pixels, path))
    if levels is not None and (own.kind != levels.kind or own.full_scale > levels.full_scale):
        raise DataError(
            f"{path}: expected {levels.kind} gray levels up to {levels.full_scale:g}, as in the training images, got "
            f"{own.kind} up to {float(pixels.max()):g}; export all images of a dataset with one depth"
        )
    levels = levels or own
    image = np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(levels.full_scale)
    return Micrograph(path.stem, image, pixel_size_nm, path, levels)


def read_micrographs(
    paths: Sequence[str | Path], *, sample_rows: int | None = None, pixel_size_nm: float | None = None
) -> list[Micrograph]:
    """Micrographs of one dataset, on one common gray scale (see the module's first lines).

    Raises `DataError` for what `read_micrograph` refuses, and for images that are not stored alike.
    """
    read = [read_micrograph(p, sample_rows=sample_rows, pixel_size_nm=pixel_size_nm) for p in paths]
    for m in read:
        if m.levels.kind != read[0].levels.kind:
            raise DataError(
                f"{read[0].path} has {read[0].levels.kind} gray levels, {m.path} {m.levels.kind}; gray levels of "
                "different depth cannot be compared: export all images of a dataset with one depth"
            )
    common = max((m.levels for m in read), key=lambda levels: levels.full_scale, default=GrayLevels())
    factors = [np.float32(m.levels.full_scale / common.full_scale) for m in read]
    return [replace(m, image=m.image * factor, levels=common) for m, factor in zip(read, factors, strict=True)]


def read_mask(path: str | Path, *, sample_rows: int | None = None) -> np.ndarray:
    """Instance labels int32 [h, w], 0 background: ids are kept, binary masks labelled with 4-connectivity.

    Two values count as binary, except in a 16-bit map, which is taken as one instance (unless the value is
    65535). A few values that each fall into many parts are no ids but gray levels, and refused.
    """
    path = Path(path)
    pixels = _crop(read_pixels(path, palette=False)[0], sample_rows, path)
    if not np.issubdtype(pixels.dtype, np.integer) and pixels.dtype != bool:
        raise DataError(f"{path}: expected a mask of integers, got {pixels.dtype}; save it as 8- or 16-bit TIFF or PNG")
    values = np.unique(pixels)
    foreground = values[values != 0]
    instance_map = pixels.dtype.itemsize > 1 and foreground.size == 1 and foreground[0] != 65535
    if foreground.size <= 1 and not instance_map:
        return ndimage.label(pixels)[0].astype(np.int32)
    if 1 < foreground.size <= FEW_VALUES:
        parts = sum(ndimage.label(pixels == value, np.ones((3, 3)))[1] for value in foreground)
        if parts > MANY_PARTS * foreground.size:
            raise DataError(
                f"{path}: expected a binary mask or one id per particle, got the values {foreground.tolist()} in "
                f"{parts} separate parts; threshold the mask, or number its particles"
            )
    return pixels.astype(np.int32)


def _square(stored_nm: tuple[float, float] | None, path: Path) -> float | None:
    """The size in nm of pixels that are square, which all lengths and areas take them for."""
    if stored_nm is None:
        return None
    width, height = stored_nm
    if abs(width / height - 1) > SQUARE:
        raise DataError(
            f"{path}: expected square pixels, got {width:g} nm x {height:g} nm; resample the image, or give the pixel "
            "size if these tags are wrong"
        )
    return width


def _crop(pixels: np.ndarray, sample_rows: int | None, path: Path) -> np.ndarray:
    if sample_rows is not None and sample_rows > pixels.shape[0]:
        raise DataError(
            f"{path}: dataset.sample_rows is {sample_rows}, but the image has only {pixels.shape[0]} rows; "
            "set it to the rows above the data bar, or to null"
        )
    return pixels[:sample_rows]


def _kind(pixels: np.ndarray) -> str:
    if np.issubdtype(pixels.dtype, np.floating):
        return "floating-point"
    if pixels.dtype == bool:
        return "1-bit"
    return "8-bit" if pixels.dtype == np.uint8 else "16-bit"


def _full_scale(pixels: np.ndarray, path: Path) -> float:
    if pixels.dtype == bool:
        return 1.0
    if pixels.dtype == np.uint8:
        return 255.0
    low, high = float(pixels.min()), float(pixels.max())
    if np.issubdtype(pixels.dtype, np.floating):
        if not (low >= 0 and high <= 1):
            raise DataError(f"{path}: expected a floating-point image in [0, 1], got {low:g} to {high:g}; rescale it")
        return 1.0
    if low < 0 or high > 65535:
        raise DataError(f"{path}: expected gray levels of 0 to 65535, got {low:g} to {high:g}; export it as 16 bit")
    return float(next(2**depth - 1 for depth in DEPTHS if high < 2**depth))
