"""What TIFF and PNG files store: the gray values of the one full image in them, as they are."""

import math
import re
import struct
import zlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage

from drgan_lib.data.metadata import Metadata, read_metadata, read_side_file
from drgan_lib.data.vendors import READERS, read_vendor
from drgan_lib.errors import DataError

SUFFIXES = (".tif", ".tiff", ".png", *READERS)
NOTHING_KNOWN = Metadata()
REDUCED, MASK = 1, 4  # bits of the tag NewSubfileType: a thumbnail, a transparency mask
LARGEST_PX = 10**9
MANY = 16  # pages to look at: the chain of a damaged file may be a circle
MOST_PACKED = 2000  # no compression of TIFF packs more into a byte
TURNED = 5  # from this Orientation on rows and columns are exchanged
_CUT = (struct.error, zlib.error, EOFError, IndexError)
_DAMAGE = re.compile("truncated|broken|corrupt|bytes|header=b''")


@dataclass(frozen=True)
class Pixels:
    """Values [h, w] of a file with up to `bits` each; with `white_is_zero` the largest is black. And its metadata."""

    values: np.ndarray
    bits: int
    white_is_zero: bool = False
    from_imagej: bool = False
    metadata: Metadata = NOTHING_KNOWN


def read_pixels(path: Path, *, palette: bool = True) -> Pixels:
    """The stored image of a file, turned as its Orientation says.

    Thumbnails are passed over. Gray palettes are resolved unless `palette` is False; three equal channels are one.
    Raises `DataError` for all that is not one whole gray image.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path, or fetch the dataset again")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: expected a file ending in {', '.join(SUFFIXES)}; convert it to TIFF or PNG")
    try:
        if path.suffix.lower() in READERS:
            values, pixel_nm = read_vendor(path)
            return Pixels(values, 8 * values.dtype.itemsize, metadata=Metadata(pixel_nm))
        return (_read_png if path.suffix.lower() == ".png" else _read_tiff)(path, palette)
    except DataError:
        raise
    except Exception as error:  # whatever a decoder stumbles over in a damaged file
        cut = isinstance(error, _CUT) or _DAMAGE.search(str(error))
        why = "it seems truncated or damaged; delete it and fetch it again, or export it again"
        raise DataError(
            f"{path}: cannot be read as an image ({' '.join(str(error).split()):.200}); "
            f"{why if cut else 'expected a plain 8- or 16-bit gray TIFF or PNG; export it as one'}"
        ) from error


def _read_png(path: Path, palette: bool) -> Pixels:
    with Image.open(path) as image:
        if "A" in image.getbands() or "transparency" in image.info:
            raise DataError(f"{path}: expected a gray image, got an alpha channel; remove the transparency")
        if getattr(image, "n_frames", 1) > 1:
            raise DataError(f"{path}: expected one image, got an animation of {image.n_frames}; save one of them")
        values = np.asarray(image)
        if image.mode == "P" and palette:
            values = _resolve_palette(values, np.reshape(image.getpalette("RGB"), (-1, 3)).T, path)
        values = _single_channel(values, path)
        known = read_side_file(path, *values.shape[::-1])
        return Pixels(values, 1 if values.dtype == bool else 8 * values.dtype.itemsize, metadata=known)


def _read_tiff(path: Path, palette: bool) -> Pixels:
    with tifffile.TiffFile(path) as tiff:
        page = _full_page(tiff, path)
        _require_whole(page, path)
        values, inverted = page.asarray(), page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        if page.extrasamples:
            raise DataError(f"{path}: expected a gray image, got an alpha channel; remove the transparency")
        if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
            raise DataError(f"{path}: expected a gray image, got the inks of a print (CMYK); save it in gray")
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and palette:
            values = _resolve_palette(values, page.colormap.astype(np.int64) // 257, path)
        if inverted and np.issubdtype(values.dtype, np.floating):
            raise DataError(f"{path}: floating-point values of which 0 is white are not read; save it as 16 bit")
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and values.ndim == 3:
            values = np.moveaxis(values, 0, -1)
        values, metadata = _single_channel(values, path), read_metadata(tiff, page)
        turn = int(page.tags.valueof("Orientation", 1))
        if turn >= TURNED:
            values, metadata = values.T, metadata.turned()
        if turn in (2, 3, 6, 7):
            values = values[:, ::-1]
        if turn in (3, 4, 7, 8):
            values = values[::-1]
        return Pixels(values, page.bitspersample, inverted, tiff.is_imagej, metadata)


def _full_page(tiff: tifffile.TiffFile, path: Path) -> tifffile.TiffPage:
    """The only image of a file that is no thumbnail."""
    pages = [
        page for page in islice(tiff.pages, MANY) if not int(page.tags.valueof("NewSubfileType", 0)) & (REDUCED | MASK)
    ]
    named = tiff.imagej_metadata or {}
    n_images = max(len(pages), *(int(named.get(key, 1)) for key in ("images", "channels", "slices", "frames")))
    planes = pages[0].shape[0] if pages and len(pages[0].shape) == 3 and pages[0].samplesperpixel == 1 else 1
    if len(pages) != 1 or n_images * planes > 1:
        sizes = " and ".join(sorted({" x ".join(map(str, page.shape)) for page in pages})[:3]) or "no size"
        got = f"a stack or several of them ({n_images * planes} of {sizes})"
        raise DataError(f"{path}: expected one image, got {got}; save the one to use")
    return pages[0]


def _require_whole(page: tifffile.TiffPage, path: Path) -> None:
    """Raises for a page that is cut off, which tifffile would fill up with zeros, and for one beyond all measure."""
    n_bytes = path.stat().st_size
    ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True))
    packed = page.compression != tifffile.COMPRESSION.NONE
    n_px = math.prod(page.shape)
    n_stored = n_px * page.bitspersample // 8
    expected = max(0, *ends, n_stored // (MOST_PACKED if packed else 1))
    if expected > n_bytes:
        raise EOFError(f"expected at least {expected} bytes, got {n_bytes}")
    if n_px > LARGEST_PX:
        raise DataError(
            f"{path}: expected at most {LARGEST_PX / 1e6:.0f} megapixels, got {n_px / 1e6:.0f}; cut the image up"
        )


def _resolve_palette(pixels: np.ndarray, colours: np.ndarray, path: Path) -> np.ndarray:
    """Gray levels of a palette image; `colours` [3, n] in 0..255.

    A palette without colours is a table. Microscopes reserve some entries of a gray ramp for overlays (Zeiss: every
    ninth is a colour, the last of them white). The image avoids them, but a pixel that holds one gets the level that
    its neighbours on the ramp imply. Colours in a palette that is no ramp are refused where the image uses them.
    """
    index = np.arange(n := colours.shape[1])
    gray = (colours == colours[0]).all(axis=0)
    if gray.all():
        return colours[0].astype(np.uint8)[pixels]
    levels, on_ramp = colours[0].astype(float), index[gray]
    smooth = ndimage.median_filter(levels[on_ramp], 5, mode="nearest")
    kept = np.abs(levels[on_ramp] - smooth) <= 4
    steps = np.diff(levels[on_ramp[kept]])
    if gray.sum() < 0.75 * n or not ((steps >= 0).all() or (steps <= 0).all()):
        if gray[np.unique(pixels)].all():
            return colours[0].astype(np.uint8)[pixels]
        got = f"{n - gray.sum()} coloured entries of {n}"
        raise DataError(f"{path}: expected a gray palette, got one with {got}; save it in gray")
    return np.rint(np.interp(index, on_ramp[kept], levels[on_ramp[kept]])).astype(np.uint8)[pixels]


def _single_channel(pixels: np.ndarray, path: Path) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    got, channels = f"shape {pixels.shape}", pixels.shape[2] if pixels.ndim == 3 else 0
    if channels == 3:
        if (pixels == pixels[..., :1]).all():
            return pixels[..., 0]
        got = f"colour of {got}; micrographs have one channel: export without overlays or false colour"
    elif channels in (2, 4):
        got += " with an alpha channel; remove it"
    raise DataError(f"{path}: expected a gray image, got {got}")
