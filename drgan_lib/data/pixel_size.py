"""The pixel size that a microscope wrote into the tags of its TIFF files."""

from __future__ import annotations

import tifffile

UNITS_NM = {"pm": 1e-3, "nm": 1.0, "µm": 1e3, "μm": 1e3, "um": 1e3, "micron": 1e3, "mm": 1e6, "m": 1e9}


def stored_pixel_size_nm(tiff: tifffile.TiffFile) -> float | None:
    """In nm, from Zeiss, FEI or ImageJ tags, else None; dots per inch are no pixel size of a micrograph."""
    zeiss = tiff.sem_metadata or {}
    for key in ("ap_pixel_size", "ap_image_pixel_size"):
        entry = zeiss.get(key, ())
        if len(entry) == 3 and entry[2] in UNITS_NM and entry[1] > 0:
            return float(entry[1]) * UNITS_NM[entry[2]]
    if len(zeiss.get("", ())) > 3 and zeiss[""][3] > 0:  # the nameless first block holds SI units
        return float(zeiss[""][3]) * 1e9
    fei = (tiff.fei_metadata or {}).get("Scan", {}).get("PixelWidth")
    if fei:
        return float(fei) * 1e9
    unit = (tiff.imagej_metadata or {}).get("unit", "").replace("\\u00B5", "µ")
    resolution = tiff.pages[0].tags.get("XResolution")
    if unit in UNITS_NM and resolution is not None and resolution.value[0] > 0:
        return resolution.value[1] / resolution.value[0] * UNITS_NM[unit]
    return None
