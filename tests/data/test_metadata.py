"""The size of a pixel as microscopes and programs write it, also where the file is no longer what they wrote."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from drgan_lib.data import DataError, read_mask, read_micrograph
from drgan_lib.data.metadata import length_nm

FEI = """[User]
Date=01/02/2020
[Scan]
PixelWidth={size}
PixelHeight={size}
[Image]
ResolutionX=400
ResolutionY=300
[PrivateFei]
DatabarHeight={bar}
"""


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width), dtype=np.uint8)


def fei(path, height: int, width: int, *, size: str = "7.344e-009", bar: int = 0):
    tags = [(34682, 2, None, FEI.format(size=size, bar=bar), True)]
    tifffile.imwrite(path, noise(height, width), extratags=tags, photometric="minisblack")
    return path


def zeiss(path, height: int, width: int, text: str):
    stored = f"\r\n0\r\n0\r\n0\r\n{text}".encode("cp1252") + b"\0"
    tags = [(34118, "s", len(stored), stored, True)]
    tifffile.imwrite(path, noise(height, width), extratags=tags, photometric="minisblack")
    return path


def imagej(path, unit: str, per: float, *, yunit: str = "", per_down: float | None = None):
    """An image with `per` pixels a unit, as ImageJ writes it."""
    text = f"ImageJ=1.54f\nunit={unit}\n" + (f"yunit={yunit}\n" if yunit else "")
    resolution = (per, per if per_down is None else per_down)
    tifffile.imwrite(path, noise(20, 30), description=text, resolution=resolution, metadata=None)
    return path


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (7.344, "nm", 7.344),
        ("7,344", "nm", 7.344),
        (0.007344, "µm", 7.344),
        (0.007344, "μm", 7.344),
        (0.007344, "\\u00B5m", 7.344),
        (0.007344, "um", 7.344),
        (0.007344, "micron", 7.344),
        (0.007344, "Microns", 7.344),
        (0.007344, "micrometers", 7.344),
        (73.44, "Å", 7.344),
        (73.44, "\\u00C5", 7.344),
        (73.44, "\u212b", 7.344),
        (73.44, "angstrom", 7.344),
        (73.44, "Angstrom", 7.344),
        (73.44, "A", 7.344),
        (7344, "pm", 7.344),
        ("7,344e-09", "m", 7.344),
        (1, "pixel", None),
        (1, "furlongs per fortnight", None),
        (0, "nm", None),
        (-1, "nm", None),
        ("nan", "nm", None),
        ("seven", "nm", None),
        (1, "", None),
    ],
)
def test_lengths_in_any_spelling(value, unit, expected):
    found = length_nm(value, unit)
    assert found is None if expected is None else found == pytest.approx(expected)


@pytest.mark.parametrize("size", ["7.344e-009", "7,344e-009", "7.344E-09"])
def test_fei_tells_the_size_of_a_pixel_with_point_or_comma(tmp_path, size):
    assert read_micrograph(fei(tmp_path / "a.tif", 300, 400, size=size)).pixel_size_nm == pytest.approx(7.344)


@pytest.mark.parametrize(("height", "width"), [(150, 200), (100, 133), (299, 399)])
def test_a_file_that_was_cropped_or_resampled_is_refused_with_both_sizes(tmp_path, height, width):
    path = fei(tmp_path / "a.tif", height, width)
    with pytest.raises(DataError, match=rf"400 x 300 px.*7.344 nm if it was cropped, {7.344 * 400 / width:.4g} nm if"):
        read_micrograph(path)
    assert read_micrograph(path, pixel_size_nm=5.0).pixel_size_nm == 5.0


def test_a_bar_that_is_in_the_file_is_part_of_its_proportions(tmp_path):
    with pytest.raises(DataError, match=r"14\.69 nm if it was resampled"):
        read_micrograph(fei(tmp_path / "a.tif", 170, 200, bar=40))


def test_a_crop_of_other_proportions_keeps_the_size_and_says_so(tmp_path):
    found = read_micrograph(fei(tmp_path / "a.tif", 120, 130))
    assert found.pixel_size_nm == pytest.approx(7.344)
    assert "taken as a crop" in found.provenance["note"]
    assert read_micrograph(fei(tmp_path / "b.tif", 260, 400)).provenance.get("note") is None, "rows were cut off"


def test_an_enlarged_file_has_smaller_pixels(tmp_path):
    assert read_micrograph(fei(tmp_path / "a.tif", 600, 800)).pixel_size_nm == pytest.approx(3.672)
    with pytest.raises(DataError, match="no part of it"):
        read_micrograph(fei(tmp_path / "b.tif", 500, 800))


def test_a_bar_that_the_tags_name_is_cut_off(tmp_path):
    path = fei(tmp_path / "a.tif", 340, 400, bar=40)
    found = read_micrograph(path)
    assert found.image.shape == (300, 400)
    assert found.provenance["bar_rows"] == 40
    assert read_micrograph(path, sample_rows=320).image.shape == (320, 400), "the user knows better"
    assert read_micrograph(fei(tmp_path / "b.tif", 300, 400, bar=40)).image.shape == (300, 400), "it is gone already"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 7.344 nm\r\n", 7.344),
        ("AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 7,344 nm\r\n", 7.344),
        ("AP_PIXEL_SIZE\r\nPixel Size = 7,344 nm\r\nDP_IMAGE_STORE\r\nStore resolution = 2048 * 1536\r\n", 3.672),
        ("AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 0.007344 µm\r\n", 7.344),
    ],
)
def test_zeiss_tells_the_size_of_a_pixel(tmp_path, text, expected):
    height, width = (1536, 2048) if "STORE" in text else (60, 80)
    assert read_micrograph(zeiss(tmp_path / "a.tif", height, width, text)).pixel_size_nm == pytest.approx(expected)


def test_zeiss_says_which_size_was_stored(tmp_path):
    text = "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 7.344 nm\r\nDP_IMAGE_STORE\r\nStore resolution = 1024 * 768\r\n"
    with pytest.raises(DataError, match=r"1024 x 768 px.*14\.69 nm if it was resampled"):
        read_micrograph(zeiss(tmp_path / "a.tif", 384, 512, text))
    assert read_micrograph(zeiss(tmp_path / "b.tif", 700, 1024, text)).pixel_size_nm == pytest.approx(7.344)


@pytest.mark.parametrize(
    ("unit", "per"),
    [("nm", 1 / 7.344), ("microns", 1000 / 7.344), ("\\u00B5m", 1000 / 7.344), ("\\u00C5", 1 / 73.44)],
)
def test_imagej_tells_the_size_of_a_pixel(tmp_path, unit, per):
    assert read_micrograph(imagej(tmp_path / "a.tif", unit, per)).pixel_size_nm == pytest.approx(7.344, rel=1e-5)


def test_imagej_has_a_unit_for_each_direction(tmp_path):
    path = imagej(tmp_path / "a.tif", "nm", 1 / 7.344, yunit="\\u00B5m", per_down=1000 / 7.344)
    assert read_micrograph(path).pixel_size_nm == pytest.approx(7.344, rel=1e-5)


@pytest.mark.parametrize("unit", ["pixel", "inch", "cm", "", "frogs"])
def test_the_resolution_of_a_printed_page_is_no_size(tmp_path, unit):
    assert read_micrograph(imagej(tmp_path / "a.tif", unit, 96)).pixel_size_nm is None


def test_ome_tells_the_size_of_a_pixel(tmp_path):
    sizes = {"PhysicalSizeX": 7.344, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.007344, "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", noise(20, 30), ome=True, metadata={"axes": "YX", **sizes})
    assert read_micrograph(tmp_path / "a.ome.tif").pixel_size_nm == pytest.approx(7.344)


JEOL = "$CM_FORMAT JEOL/EO\n$CM_MAG 20000\n$CM_FULL_SIZE 400 300\n$$SM_MICRON_BAR 80\n$$SM_MICRON_MARKER {}\n"
HITACHI = "[SemImageFile]\r\nImageName=a.tif\r\nDataSize=400x300\r\nPixelSize={}\r\n"


def with_side_file(path, height: int, text: str):
    array = noise(height, 400)
    Image.fromarray(array).save(path) if path.suffix == ".png" else tifffile.imwrite(path, array)
    path.with_suffix(".txt").write_bytes(text.encode("latin-1"))
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (JEOL.format("200nm"), 2.5),
        (JEOL.format("1um"), 12.5),
        (JEOL.format("0,1\xb5m"), 1.25),
        (HITACHI.format("2.480469"), 2.480469),
    ],
)
def test_jeol_and_hitachi_tell_in_a_file_beside_the_image(tmp_path, name, text, expected):
    assert read_micrograph(with_side_file(tmp_path / name, 300, text)).pixel_size_nm == pytest.approx(expected)
    below = read_micrograph(with_side_file(tmp_path / f"bar_{name}", 330, text))
    assert (below.pixel_size_nm, below.image.shape) == (pytest.approx(expected), (300, 400)), "the data bar is cut off"
    twice = with_side_file(tmp_path / f"scan_{name}", 300, text.replace("400", "800").replace("300", "600"))
    with pytest.raises(DataError, match=f"{expected:.4g} nm if it was cropped, {2 * expected:.4g} nm"):
        read_micrograph(twice)
    assert read_micrograph(twice, pixel_size_nm=3.0).pixel_size_nm == 3.0


@pytest.mark.parametrize("text", ["", "PixelSize unknown", JEOL.format("tall"), "PixelSize=-3\nDataSize=ax0", "\0"])
def test_other_text_beside_an_image_says_nothing(tmp_path, text):
    read = read_micrograph(with_side_file(tmp_path / "a.tif", 300, text))
    assert (read.pixel_size_nm, read.image.shape) == (None, (300, 400))


@pytest.mark.parametrize("text", ["[Scan]\nPixelWidth=\nPixelHeight=x\n", "[Scan\nPixelWidth", "\xff\xfe[Scan]=="])
def test_broken_metadata_never_breaks_reading(tmp_path, text):
    stored = text.encode("latin-1") + b"\0"
    tags = [(34682, "s", len(stored), stored, True)]
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 30), extratags=tags, photometric="minisblack")
    assert read_micrograph(tmp_path / "a.tif").pixel_size_nm is None
    assert read_micrograph(tmp_path / "a.tif", pixel_size_nm=2.0).pixel_size_nm == 2.0


def test_a_mask_follows_the_bar_of_its_image(tmp_path):
    from drgan_lib.config import DatasetSettings
    from drgan_lib.data import open_micrographs

    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in "ab":
        fei(tmp_path / "images" / f"{name}.tif", 340, 400, bar=40)
        tifffile.imwrite(tmp_path / "masks" / f"{name}.tif", np.tri(340, 400, dtype=np.uint8))
    (sample,) = open_micrographs(DatasetSettings(path=tmp_path), tmp_path, masks=True)
    assert sample.instances.shape == sample.image.shape == (300, 400)
    assert read_mask(tmp_path / "masks" / "a.tif").shape == (340, 400)
