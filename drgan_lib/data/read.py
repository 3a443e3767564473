"""Micrographs and masks from files: gray levels in [0, 1], pixel sizes in nm, instance labels.

Gray levels of up to 8 bits are divided by the largest that the file can hold, those of deeper ones by the smallest of
the usual detector depths (8, 10, 12, 14, 16 bit) that holds 99.9 % of their pixels, saturated ones left out: a hot
pixel or burnt-in text does not set the scale, zero stays zero, and a 12-bit image stored in 16 bits is not nearly
black. What is brighter becomes 1. Images of a dataset get one scale, and so must all have one depth.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.measure import label

from drgan_lib.data.metadata import Metadata
from drgan_lib.data.pixels import Pixels, read_pixels
from drgan_lib.errors import DataError
from drgan_lib.samples import Sample

DEPTHS = (8, 10, 12, 14, 16)
ROBUST_PERCENT = 99.9
FEW_LEVELS = 64  # below, gray values were lost somewhere
SQUARE = 0.01  # width and height of a pixel may differ by this share
SAME_SIZE = 1.01  # largest factor between the pixel sizes of one dataset
MANY_PARTS = 3  # ids that fall into more separate parts than this, on average, are no ids
MOST = 0.5  # share of the image above which an id among others is the background


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
    """Micrograph of a TIFF (up to 16 bit, palette, Zeiss, FEI, OME and ImageJ tags) or PNG file.

    `sample_rows` keeps the rows above a burnt-in data bar (None: a bar that the tags name is cut off); `pixel_size_nm`
    overrides what the file says; `levels` is the gray scale to use, that of the images which this one goes with (None:
    its own). `provenance` holds the path "file", the "gray_levels" used, "bar_rows" if a bar was cut off, and "note"
    where the pixel size is not certain. Raises `DataError` for colour, alpha channels, stacks, missing or damaged
    files, pixels that are not square, a pixel size of which the file gives two, and gray levels beyond `levels`.
    """
    path = Path(path)
    stored = read_pixels(path)
    if pixel_size_nm is None:
        pixel_size_nm = _pixel_size(stored.metadata, path)
    bar_rows = stored.metadata.bar_rows if sample_rows is None else 0
    if bar_rows:
        sample_rows = stored.values.shape[0] - bar_rows
    pixels = _crop(stored.values, sample_rows, path)
    own = _gray_levels(pixels, stored.bits, path)
    if levels is not None and (own.kind != levels.kind or own.full_scale > levels.full_scale):
        raise DataError(
            f"{path}: expected {levels.kind} gray levels up to {levels.full_scale:g}, as in the training images, got "
            f"{own.kind} up to {own.full_scale:g}; export all images of a dataset with one depth"
        )
    used = levels or own
    image = np.minimum(np.asarray(pixels, dtype=np.float32) / np.float32(used.full_scale), 1)
    about = {"file": str(path), "gray_levels": asdict(used)}
    about |= {name: value for name, value in (("note", stored.metadata.note), ("bar_rows", bar_rows)) if value}
    return Sample(path.stem, 1 - image if stored.white_is_zero else image, pixel_size_nm, provenance=about)


def few_levels(image: np.ndarray) -> str:
    """A sentence if `image` [h, w] has fewer than 64 different gray values, else nothing."""
    n = np.unique(image).size
    return f"only {n} different gray values; gray levels were lost where it was exported" if n < FEW_LEVELS else ""


def _pixel_size(metadata: Metadata, path: Path) -> float | None:
    if metadata.readings:
        raise DataError(f"{path}: the pixel size is not certain: {metadata.readings}; give the pixel size")
    if metadata.pixel_nm is None:
        return None
    width, height = metadata.pixel_nm
    if abs(width / height - 1) > SQUARE:
        raise DataError(
            f"{path}: expected square pixels, got {width:g} nm x {height:g} nm; resample the image, or give the pixel "
            "size if these tags are wrong"
        )
    return width


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

    A mask with one value beside 0 is binary, of whatever type; -1 for background becomes 0. Refused, with what was
    seen, is what only looks like ids: masks without background, ignored pixels, gray values of a mask that was resized
    or compressed, classes, and an id that is most of the image.
    """
    path = Path(path)
    stored = read_pixels(path, palette=False)
    pixels = _crop(_not_inverted(stored), sample_rows, path)
    if not np.issubdtype(pixels.dtype, np.integer) and pixels.dtype != bool:
        raise DataError(f"{path}: expected a mask of integers, got {pixels.dtype}; save it as 8- or 16-bit TIFF or PNG")
    values, counts = np.unique(pixels, return_counts=True)
    if values[0] == -1 and 0 not in values:
        pixels, values = np.where(pixels == -1, 0, pixels), np.where(values == -1, 0, values)
    found = f"the values {', '.join(map(str, values[:6].tolist()))}{', ...' if len(values) > 6 else ''}"
    expected = f"{path}: expected a binary mask or one id per particle, and 0 for background, got {found}"
    if values[0] < 0:
        raise DataError(f"{expected}; set pixels to be ignored to 0, and the ids to numbers from 1 on")
    if values[0] > 0:
        raise DataError(f"{expected}, but no pixel is 0; set the background to 0")
    if len(values) <= 2:
        return ndimage.label(pixels)[0].astype(np.int32)
    parts = int(label(pixels, background=0, connectivity=2).max())
    if parts > MANY_PARTS * (len(values) - 1):
        raise DataError(
            f"{expected} in {parts} separate parts, as of a mask that was resized or saved as JPEG, or of classes; "
            "threshold the original mask, or number its particles"
        )
    if counts[1:].max() > MOST * pixels.size:
        raise DataError(
            f"{expected}, of which {values[1 + counts[1:].argmax()]} is {counts[1:].max() / pixels.size:.0%} of the "
            "image; set the background to 0"
        )
    if values[-1] > np.iinfo(np.int32).max:
        raise DataError(f"{expected}; number the particles from 1 on")
    return pixels.astype(np.int32)


def _not_inverted(stored: Pixels) -> np.ndarray:
    """Values of which 0 is background.

    An inverting table of ImageJ only changes how a mask looks, and single bits are often stored so; others mean it.
    """
    if not stored.white_is_zero or stored.from_imagej or stored.bits == 1:
        return stored.values
    return 2**stored.bits - 1 - stored.values


def _crop(pixels: np.ndarray, sample_rows: int | None, path: Path) -> np.ndarray:
    if sample_rows is not None and sample_rows > pixels.shape[0]:
        raise DataError(
            f"{path}: dataset.sample_rows is {sample_rows}, but the image has only {pixels.shape[0]} rows; "
            "set it to the rows above the data bar, or to null"
        )
    return pixels[:sample_rows]


def _gray_levels(pixels: np.ndarray, bits: int, path: Path) -> GrayLevels:
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite((low, high)).all() and low >= 0):
        raise DataError(f"{path}: expected gray levels from 0 on, got {low:g} to {high:g}; rescale it")
    floating = np.issubdtype(pixels.dtype, np.floating)
    if floating or high > 65535:
        kind, most = "floating-point" if floating else "32-bit", float(np.percentile(pixels, ROBUST_PERCENT))
        return GrayLevels(kind, 1.0 if high <= 1 else most)
    if bits <= 8:
        return GrayLevels(f"{bits}-bit", 2.0**bits - 1)
    whole = pixels[pixels < 65535]
    high = float(np.percentile(whole, ROBUST_PERCENT, method="higher")) if whole.size else high
    return GrayLevels("16-bit", float(next(2**depth - 1 for depth in DEPTHS if high < 2**depth)))
