"""Micrographs and masks from files: gray levels in [0, 1], pixel sizes in nm, instance labels.

Gray levels of 8-bit images are divided by 255, those of deeper ones by the smallest of the usual detector depths (8,
10, 12, 14, 16 bit) that holds their brightest pixel: nothing clips, zero stays zero, and a 12-bit image stored in 16
bits is not nearly black. Images of a dataset get one scale, and so must all be 8-bit, all deeper, or all floats.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from drgan_lib.data.pixels import DataError, read_pixels
from drgan_lib.samples import Sample

DEPTHS = (8, 10, 12, 14, 16)
SQUARE = 0.01  # width and height of a pixel may differ by this share
SAME_SIZE = 1.01  # largest factor between the pixel sizes of one dataset
FEW_VALUES, MANY_PARTS = 8, 8  # so few values of a mask that fall into so many parts each are no ids


@dataclass(frozen=True)
class GrayLevels:
    """How a file stores gray: `kind` ("8-bit", "16-bit", ...), and `full_scale`, the stored level that becomes 1."""

    kind: str
    full_scale: float


def read_micrograph(
    path: str | Path,
    *,
    sample_rows: int | None = None,
    pixel_size_nm: float | None = None,
    levels: GrayLevels | None = None,
) -> Sample:
    """Micrograph of a TIFF (8 or 16 bit, palette, Zeiss and FEI tags) or PNG file.

    `sample_rows` keeps the rows above a burnt-in data bar; `pixel_size_nm` overrides what the file says; `levels` is
    the gray scale to use, that of the images which this one goes with (None: its own). `provenance` holds the path
    "file" and the "gray_levels" used. Colour, alpha channels, stacks, missing or damaged files, pixels that are not
    square, and gray levels that `levels` cannot hold raise `DataError`.
    """
    path = Path(path)
    pixels, stored_nm = read_pixels(path)
    if pixel_size_nm is None and stored_nm is not None:
        pixel_size_nm, height = stored_nm
        if abs(pixel_size_nm / height - 1) > SQUARE:
            raise DataError(
                f"{path}: expected square pixels, got {pixel_size_nm:g} nm x {height:g} nm; resample the image, or "
                "give the pixel size if these tags are wrong"
            )
    pixels = _crop(pixels, sample_rows, path)
    own = _gray_levels(pixels, path)
    if levels is not None and (own.kind != levels.kind or own.full_scale > levels.full_scale):
        raise DataError(
            f"{path}: expected {levels.kind} gray levels up to {levels.full_scale:g}, as in the training images, got "
            f"{own.kind} up to {float(pixels.max()):g}; export all images of a dataset with one depth"
        )
    used = levels or own
    image = np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(used.full_scale)
    return Sample(path.stem, image, pixel_size_nm, provenance={"file": str(path), "gray_levels": asdict(used)})


def common_pixel_size(micrographs: Iterable[Sample]) -> float | None:
    """Pixel size in nm of micrographs that must share it within 1 %; None if no file tells."""
    known = (m for m in micrographs if m.pixel_size_nm is not None)
    sizes = sorted((m.pixel_size_nm, m.provenance.get("file", m.name)) for m in known)
    if not sizes:
        return None
    (least, small), (most, large) = sizes[0], sizes[-1]
    if most > SAME_SIZE * least:
        raise DataError(
            f"the micrographs differ in pixel size: {least:g} nm in {small}, {most:g} nm in {large}; use one "
            "magnification at a time, or set dataset.pixel_size_nm after resampling them"
        )
    return float(np.median([size for size, _ in sizes]))


def read_mask(path: str | Path, *, sample_rows: int | None = None) -> np.ndarray:
    """Instance labels int32 [h, w], 0 background: ids are kept, binary masks labelled with 4-connectivity.

    Two values count as binary, except in a 16-bit map, which is taken as one instance (unless the value is 65535). A
    few values that each fall into many parts are no ids but gray levels, and refused.
    """
    path = Path(path)
    pixels = _crop(read_pixels(path, palette=False)[0], sample_rows, path)
    if not np.issubdtype(pixels.dtype, np.integer) and pixels.dtype != bool:
        raise DataError(f"{path}: expected a mask of integers, got {pixels.dtype}; save it as 8- or 16-bit TIFF or PNG")
    foreground = np.unique(pixels[pixels != 0])
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


def _crop(pixels: np.ndarray, sample_rows: int | None, path: Path) -> np.ndarray:
    if sample_rows is not None and sample_rows > pixels.shape[0]:
        raise DataError(
            f"{path}: dataset.sample_rows is {sample_rows}, but the image has only {pixels.shape[0]} rows; "
            "set it to the rows above the data bar, or to null"
        )
    return pixels[:sample_rows]


def _gray_levels(pixels: np.ndarray, path: Path) -> GrayLevels:
    if pixels.dtype == bool:
        return GrayLevels("1-bit", 1.0)
    if pixels.dtype == np.uint8:
        return GrayLevels("8-bit", 255.0)
    low, high = float(pixels.min()), float(pixels.max())
    if np.issubdtype(pixels.dtype, np.floating):
        if not (low >= 0 and high <= 1):
            raise DataError(f"{path}: expected a floating-point image in [0, 1], got {low:g} to {high:g}; rescale it")
        return GrayLevels("floating-point", 1.0)
    if low < 0 or high > 65535:
        raise DataError(f"{path}: expected gray levels of 0 to 65535, got {low:g} to {high:g}; export it as 16 bit")
    return GrayLevels("16-bit", float(next(2**depth - 1 for depth in DEPTHS if high < 2**depth)))
