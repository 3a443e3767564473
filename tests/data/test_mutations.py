"""Damaged files: refused by name, or read as the image that is in them; never another error."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from drgan_lib.data import DataError, read_mask, read_micrograph
from tests.data.test_metadata import FEI

GRAY = np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8)


def tiff(**settings) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, settings.pop("image", GRAY), **{"photometric": "minisblack"} | settings)
    return file.getvalue()


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="png")
    return file.getvalue()


def palette() -> Image.Image:
    image = Image.fromarray(GRAY, "P")
    image.putpalette(np.repeat(np.arange(256, dtype=np.uint8)[::-1], 3).tobytes())
    return image


ZEISS = "\r\n0\r\n0\r\n0\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 7.344 nm\r\n"
FORMATS = {
    "fei.tif": tiff(extratags=[(34682, 2, None, FEI.format(size="7.344e-009", bar=0), True)]),
    "zeiss.tif": tiff(extratags=[(34118, 2, None, ZEISS, True)]),
    "imagej.tif": tiff(imagej=True, resolution=(0.136, 0.136), metadata={"unit": "nm"}),
    "packed.tif": tiff(image=GRAY.astype(np.uint16) * 16, compression="zlib", predictor=True),
    "palette.tif": tiff(photometric="palette", colormap=np.repeat(257 * np.arange(256, dtype=np.uint16)[None], 3, 0)),
    "gray.png": png(Image.fromarray(GRAY)),
    "deep.png": png(Image.fromarray(GRAY.astype(np.uint16) * 16)),
    "palette.png": png(palette()),
}


def mutated(content: bytes, draw: random.Random) -> bytes:
    """`content` with bytes flipped, cut off, or two entries of the directory of a TIFF exchanged."""
    kind, changed = draw.choice(("flip", "flip", "cut", "swap")), bytearray(content)
    if kind == "cut":
        return content[: draw.randrange(len(content))]
    if kind == "swap" and content[:2] == b"II":
        (start,) = struct.unpack_from("<I", content, 4)
        (n,) = struct.unpack_from("<H", content, start)
        a, b = (start + 2 + 12 * k for k in draw.sample(range(n), 2))
        changed[a : a + 12], changed[b : b + 12] = content[b : b + 12], content[a : a + 12]
        return bytes(changed)
    for _ in range(draw.choice((1, 1, 4, 16))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def read_or_refused(read: Callable, path: Path):
    """What `read` gives; None for a refusal that names the file. Any other error fails the test."""
    try:
        return read(path)
    except DataError as error:
        return None if str(path) in str(error) else pytest.fail(f"{error} does not name {path}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_200_damaged_files_of_each_kind(tmp_path, name):
    path, draw, refused = tmp_path / name, random.Random(name), 0
    path.write_bytes(FORMATS[name])
    whole = read_micrograph(path)
    for _ in range(200):
        path.write_bytes(mutated(FORMATS[name], draw))
        read_or_refused(read_mask, path)
        found = read_or_refused(read_micrograph, path)
        if found is None:
            refused += 1
            continue
        assert found.image.dtype == np.float32
        assert 0 <= found.image.min() <= found.image.max() <= 1
        assert found.pixel_size_nm is None or found.pixel_size_nm > 0
        if name.endswith("png"):  # each part of which has a checksum
            np.testing.assert_array_equal(found.image, whole.image)
    assert refused
