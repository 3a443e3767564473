"""What a microscope or a program wrote into an image file or beside it: the size of a pixel, the rows of the data bar.

A vendor's tag is about a scan of a stated size. A file of another size was cropped, which keeps the size of a pixel, or
resampled, which changes it; where the proportions do not tell which, both readings are given, and none is chosen. What
cannot be understood of the metadata counts as not there: it never keeps an image from being read.
"""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import tifffile

ZEISS_DISPLAY_PX = 1024  # columns of the screen that Zeiss gives the pixel size of, but for that of the image
LARGEST_NM = 1e5  # a pixel of 0.1 mm is one of a printed page
SAME_SHAPE_PX = 1.5  # by which a side may differ after resampling, from rounding
LONGEST_TEXT = 100_000  # bytes of a file beside an image
HIGHEST_BAR = 0.25  # of the rows of a scan: more below it is no data bar
SPELLINGS = {"å": "angstrom", "a": "angstrom", "micron": "micrometer", "microns": "micrometer", "µ": "micrometer"}


@dataclass(frozen=True)
class Metadata:
    """What a file tells.

    `pixel_nm` are width and height of a pixel, None if unknown; `readings` the two of which the file does not say which
    holds, in words; `bar_rows` rows of a data bar at the bottom; `note` what a reader should know of the pixel size.
    """

    pixel_nm: tuple[float, float] | None = None
    readings: str = ""
    bar_rows: int = 0
    note: str = ""

    def turned(self) -> "Metadata":
        """That of the image with rows and columns exchanged."""
        return replace(self, pixel_nm=self.pixel_nm and self.pixel_nm[::-1], bar_rows=0)


@dataclass(frozen=True)
class _Tag:
    """Width and height of a pixel in nm, and the columns and rows of the scan that they are about, if it says."""

    pixel_nm: tuple[float, float]
    scan: tuple[int, int] | None = None
    bar_rows: int = 0


def read_metadata(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Metadata:
    """The metadata of `page`, the image of a file; of several sources the microscope's own comes first."""
    broken: list[str] = []
    for name, source in (("Zeiss", _zeiss), ("FEI", _fei), ("OME", _ome), ("ImageJ", _imagej)):
        tag = _attempt(source, tiff, name, broken)
        if tag is not None and max(tag.pixel_nm) < LARGEST_NM:
            return _decide(tag, page.imagewidth, page.imagelength)
    beside = read_side_file(Path(tiff.filehandle.path), page.imagewidth, page.imagelength)
    if broken and beside.pixel_nm is None:
        return Metadata(note=f"its {' and '.join(broken)} metadata cannot be understood")
    return beside


def side_file(path: Path) -> Path | None:
    """The text file that JEOL's and Hitachi's microscopes write beside the image at `path`, if it is there."""
    found = (path.with_suffix(suffix) for suffix in (".txt", ".TXT", ".Txt"))
    return next((file for file in found if file.is_file()), None)


def read_side_file(path: Path, width: int, height: int) -> Metadata:
    """What the `side_file` of the image at `path` says of it, which has `width` x `height` px."""
    text = ""
    with suppress(OSError):
        if file := side_file(path):
            text = file.read_bytes()[:LONGEST_TEXT].decode("latin-1")
    rows = re.findall(r"^\s*\$*([\w.]+)[ =]+(.*?)\s*$", text, re.MULTILINE)
    found = {name.lower(): value for name, value in rows}
    marker = re.fullmatch(r"([\d.,]+)\s*(\S+)", found.get("sm_micron_marker", ""))
    if marker and (bar_px := number(found.get("sm_micron_bar"))):  # JEOL
        of, scan = length_nm(*marker.groups()), found.get("cm_full_size", "")
        size = of / bar_px if of else None
    else:  # Hitachi
        size, scan = length_nm(found.get("pixelsize"), "nm"), found.get("datasize", "")
    if size is None:
        return Metadata()
    sides = [int(side) for side in re.findall(r"\d+", scan)]
    columns, scanned = sides if len(sides) == 2 and all(sides) else (width, height)
    below = height - scanned if width == columns else 0
    return _decide(
        _Tag((size, size), (columns, scanned), below if 0 < below <= HIGHEST_BAR * scanned else 0), width, height
    )


def _attempt(source: Callable, tiff: tifffile.TiffFile, name: str, broken: list[str]) -> _Tag | None:
    try:
        return source(tiff)
    except Exception:  # whatever a parser stumbles over
        broken.append(name)
        return None


def _decide(tag: _Tag, width: int, height: int) -> Metadata:
    """The pixel size of a file of `width` x `height` px whose tag may be about a scan of another size."""
    if tag.scan is None:
        return Metadata(tag.pixel_nm)
    columns, rows = tag.scan
    bar = tag.bar_rows if tag.bar_rows and height == rows + tag.bar_rows else 0
    if width == columns and height <= rows + tag.bar_rows:
        return Metadata(tag.pixel_nm, bar_rows=bar)
    factor = columns / width
    stated = f"its tag is about a scan of {columns} x {rows} px, the file has {width} x {height} px"
    resampled = tuple(factor * size for size in tag.pixel_nm)
    if any(abs(height - scanned / factor) <= SAME_SHAPE_PX for scanned in {rows, rows + tag.bar_rows}):
        if factor < 1:
            return Metadata(resampled, note=f"{stated}: taken as enlarged")
        return Metadata(
            readings=f"{stated}: {tag.pixel_nm[0]:.4g} nm if it was cropped, {resampled[0]:.4g} nm if it was resampled"
        )
    if factor < 1 or height > rows + tag.bar_rows:
        return Metadata(readings=f"{stated}, which is no part of it")
    return Metadata(tag.pixel_nm, note=f"{stated}: taken as a crop")


def _zeiss(tiff: tifffile.TiffFile) -> _Tag | None:
    found = tiff.sem_metadata or {}
    stored = str((*found.get("dp_image_store", ("", "")), "")[1]).split("*")
    scan = (int(stored[0]), int(stored[1])) if len(stored) == 2 else None
    of_display = ZEISS_DISPLAY_PX / (scan[0] if scan else tiff.pages.first.imagewidth)
    for key, factor in (("ap_image_pixel_size", 1.0), ("ap_pixel_size", of_display)):
        _, *value = found.get(key, ("",))
        value = value if len(value) == 2 else str(*value).split()
        if len(value) == 2 and (size := length_nm(*value)):
            return _Tag((size * factor,) * 2, scan)
    nameless = found.get("", ())  # the first block, in SI units
    size = length_nm(nameless[3], "m") if len(nameless) > 3 else None
    return _Tag((size * of_display,) * 2, scan) if size else None


def _fei(tiff: tifffile.TiffFile) -> _Tag | None:
    found = tiff.fei_metadata or {}
    scan, image = found.get("Scan", {}), found.get("Image", {})
    width = length_nm(scan.get("PixelWidth"), "m")
    height = length_nm(scan.get("PixelHeight"), "m") or width
    if width is None:
        return None
    size = tuple(int(number(image.get(f"Resolution{axis}")) or 0) for axis in "XY")
    bar = number(found.get("PrivateFei", {}).get("DatabarHeight")) or 0
    return _Tag((width, height), size if all(size) else None, int(bar))


def _ome(tiff: tifffile.TiffFile) -> _Tag | None:
    if not tiff.is_ome:
        return None
    images = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
    pixels = (images[0] if isinstance(images, list) else images)["Pixels"]
    sizes = [length_nm(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "XY"]
    return _Tag((sizes[0], sizes[1] or sizes[0])) if sizes[0] else None


def _imagej(tiff: tifffile.TiffFile) -> _Tag | None:
    found, tags = tiff.imagej_metadata or {}, tiff.pages.first.tags
    if "unit" not in found or "XResolution" not in tags:
        return None
    across, down = (tags.get(name, tags["XResolution"]).value for name in ("XResolution", "YResolution"))
    down = down if down[0] else across
    units = found["unit"], found.get("yunit") or found["unit"]
    sizes = [length_nm(of / per, unit) if per else None for (per, of), unit in zip((across, down), units, strict=True)]
    return _Tag((sizes[0], sizes[1])) if all(sizes) else None


def number(value: Any) -> float | None:
    """The positive number that a tag holds, written with a decimal point or a decimal comma; None for anything else."""
    try:
        found = float(str(value).replace(",", "."))
    except ValueError:
        return None
    return found if math.isfinite(found) and found > 0 else None


def length_nm(value: Any, unit: Any) -> float | None:
    """A length in nm from its number and its unit in any usual spelling; None for what is no positive length."""
    found, factor = number(value), _unit_nm(str(unit))
    return None if found is None or factor is None else found * factor


@cache
def _unit_nm(text: str) -> float | None:
    """One of a unit in nm; ImageJ writes letters beyond ASCII as \\u00B5."""
    # Imported late: it takes half a second.
    import pint

    name = text.encode("latin-1", "backslashreplace").decode("unicode_escape").strip().replace("μ", "µ")
    name = name.replace("\u212b", "å")  # the sign for Angstrom
    name = SPELLINGS.get(name.lower(), name)
    for spelling in (name, name.lower()):
        try:
            return float(_registry(pint)(spelling).to("nm").magnitude)
        except Exception:  # of the parser, according to what it meets
            continue
    return None


@cache
def _registry(pint: Any) -> Any:
    return pint.UnitRegistry()
