"""The pixel size that a microscope wrote into the tags of its TIFF files."""

from __future__ import annotations

import tifffile

UNITS_NM = {"pm": 1e-3, "nm": 1.0, "µm": 1e3, "μm": 1e3, "um": 1e3, "micron": 1e3, "mm": 1e6, "m": 1e9}
ZEISS_DISPLAY_PX = 1024  # columns of the screen that Zeiss gives the pixel size of, but for that of the image


def stored_pixel_size_nm(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """Width and height of a pixel in nm, from Zeiss, FEI or ImageJ tags, else None.

    Zeiss tells one size for both. Dots per inch are no pixel size of a micrograph.
    """
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
