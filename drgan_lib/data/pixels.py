"""What TIFF and PNG files store: pixels of one channel, and the pixel size that a microscope wrote into its tags."""

import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage

from drgan_lib.errors import DrganError

SUFFIXES = (".tif", ".tiff", ".png")
UNITS_NM = {"pm": 1e-3, "nm": 1.0, "µm": 1e3, "μm": 1e3, "um": 1e3, "micron": 1e3, "mm": 1e6, "m": 1e9}
ZEISS_DISPLAY_PX = 1024  # columns of the screen that Zeiss gives the pixel size of, but for that of the image
_BROKEN = (OSError, ValueError, KeyError, IndexError, struct.error, zlib.error, SyntaxError, RuntimeError)


class DataError(DrganError, ValueError):
    """Images that cannot be used; the message names the file, what was expected, and what to do."""


def read_pixels(path: Path, *, palette: bool = True) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Stored pixels [h, w] of a file, and the width and height of one in nm, if it tells.

    Palettes that are a gray ramp are resolved unless `palette` is False; three equal channels are one. Raises
    `DataError` for all that is not one whole gray image.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path, or fetch the dataset again")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: expected a file ending in {', '.join(SUFFIXES)}; convert it to TIFF or PNG")
    try:
        pixels, size_nm = (_read_png if path.suffix.lower() == ".png" else _read_tiff)(path, palette)
        return _single_channel(pixels, path), size_nm
    except DataError:
        raise
    except _BROKEN as error:
        raise DataError(
            f"{path}: cannot be read as an image, it seems truncated or damaged ({error}); delete it and "
            "fetch it again, or export it again"
        ) from error


def _read_png(path: Path, palette: bool) -> tuple[np.ndarray, None]:
    with Image.open(path) as image:
        if "A" in image.getbands() or "transparency" in image.info:
            raise DataError(f"{path}: expected a gray image, got an alpha channel; remove the transparency")
        pixels = np.asarray(image)
        if image.mode == "P" and palette:
            colours = np.reshape(image.getpalette("RGB"), (-1, 3))
            pixels = _resolve_palette(pixels, colours.T, path)
    return pixels, None


def _read_tiff(path: Path, palette: bool) -> tuple[np.ndarray, tuple[float, float] | None]:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        if len(tiff.series[0].shape) > 2 and len(tiff.series[0].pages) > 1:
            raise DataError(
                f"{path}: expected one image, got a stack of shape {tiff.series[0].shape}; save its images one by one"
            )
        ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True))
        if (expected := max(ends, default=0)) > (n_bytes := path.stat().st_size):  # tifffile would fill up with zeros
            raise ValueError(f"expected at least {expected} bytes, got {n_bytes}")
        pixels = page.asarray()
        if page.extrasamples:
            raise DataError(f"{path}: expected a gray image, got an alpha channel; remove the transparency")
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and palette:
            pixels = _resolve_palette(pixels, page.colormap.astype(np.int64) // 257, path)
        elif page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = np.iinfo(pixels.dtype).max - pixels if pixels.dtype != bool else ~pixels
        return pixels, _pixel_size_nm(tiff)


def _pixel_size_nm(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """Width and height of a pixel in nm, from Zeiss (one size for both), FEI or ImageJ tags, else None."""
    zeiss, of_display = tiff.sem_metadata or {}, ZEISS_DISPLAY_PX / tiff.pages[0].imagewidth
    for key, factor in (("ap_image_pixel_size", 1.0), ("ap_pixel_size", of_display)):
        entry = zeiss.get(key, ())
        if len(entry) == 3 and entry[2] in UNITS_NM and entry[1] > 0:
            return (float(entry[1]) * UNITS_NM[entry[2]] * factor,) * 2
    if len(zeiss.get("", ())) > 3 and zeiss[""][3] > 0:  # the nameless first block holds SI units
        return (float(zeiss[""][3]) * 1e9 * of_display,) * 2
    fei = (tiff.fei_metadata or {}).get("Scan", {})
    if width := fei.get("PixelWidth"):
        return float(width) * 1e9, float(fei.get("PixelHeight") or width) * 1e9
    unit = (tiff.imagej_metadata or {}).get("unit", "").replace("\\u00B5", "µ")
    along, down = (tiff.pages[0].tags.get(name) for name in ("XResolution", "YResolution"))
    if unit in UNITS_NM and along is not None and along.value[0] > 0:
        down = along if down is None or not down.value[0] else down
        return tuple(tag.value[1] / tag.value[0] * UNITS_NM[unit] for tag in (along, down))
    return None


def _resolve_palette(pixels: np.ndarray, colours: np.ndarray, path: Path) -> np.ndarray:
    """Gray levels of a palette image; `colours` [3, n] in 0..255.

    Microscopes reserve some entries of a gray ramp for overlays (Zeiss: every ninth is a colour, the last of them
    white). The image avoids them, but a pixel that holds one gets the level that its neighbours on the ramp imply.
    """
    index = np.arange(n := colours.shape[1])
    on_ramp = (colours == colours[0]).all(axis=0)
    if on_ramp.sum() < 0.75 * n:
        got = f"{n - on_ramp.sum()} coloured entries of {n}"
        raise DataError(f"{path}: expected a gray palette, got one with {got}; save it in gray")
    levels = colours[0].astype(float)
    gray, smooth = index[on_ramp], ndimage.median_filter(levels[on_ramp], 5, mode="nearest")
    kept = np.abs(levels[gray] - smooth) <= 4
    return np.rint(np.interp(index, gray[kept], levels[gray[kept]])).astype(np.uint8)[pixels]


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
