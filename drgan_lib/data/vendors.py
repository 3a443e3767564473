"""Formats of electron microscopes, read by RosettaSciIO, which the extra `formats` installs."""

from importlib import import_module
from pathlib import Path

import numpy as np

from drgan_lib.data.metadata import length_nm
from drgan_lib.errors import DataError

READERS = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".emd": "emd",
    ".ser": "tia",
    ".sur": "digitalsurf",
}


def read_vendor(path: Path) -> tuple[np.ndarray, tuple[float, float] | None]:
    """The image [h, w] of a file whose suffix is among `READERS`, and width and height of a pixel in nm, if it tells.

    Raises `DataError` where RosettaSciIO is not installed, and for files that do not hold one gray image.
    """
    try:
        reader = import_module(f"rsciio.{READERS[path.suffix.lower()]}").file_reader
    except ImportError:
        raise DataError(
            f'{path}: RosettaSciIO reads such files and is not installed; run pip install "drgan[formats]", or export '
            "the image as TIFF"
        ) from None
    found = [one for one in reader(str(path)) if np.ndim(one["data"]) == 2]
    if len(found) != 1:
        raise DataError(f"{path}: expected one gray image, got {len(found)} of two dimensions; export one as TIFF")
    axes = sorted(found[0]["axes"], key=lambda axis: axis.get("index_in_array", 0))
    down, across = (length_nm(axis.get("scale"), axis.get("units")) for axis in axes)
    return np.asarray(found[0]["data"]), (across, down) if across and down else None
