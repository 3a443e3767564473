"""What can be measured and what cannot, said before anything is computed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from drgan_lib.data import DataError
from drgan_lib.data.overlays import covered
from drgan_lib.quantify import images, open_images, read_pixel_sizes
from drgan_lib.samples import Sample, SampleSet
from tests.data.test_burnt_in import written
from tests.quantify.conftest import disc

GRAIN = np.random.default_rng(0).integers(-35, 36, (80, 100))
IMAGE = (np.where(disc(12, centre=(40, 50), side=100)[:80], 178, 51) + GRAIN).astype(np.uint8)


@pytest.fixture
def said() -> list[str]:
    return []


def check(places, said, **more) -> SampleSet:
    return open_images(places, log=said.append, **more)


def only(place, said, **more) -> Sample:
    (sample,) = check(place, said, **more)
    return sample


def save(path, pixels, **more):
    if path.suffix == ".png":
        Image.fromarray(pixels).save(path)
    else:
        tifffile.imwrite(path, pixels, **more)
    return path


def test_without_pixel_size_it_is_said(tmp_path, said):
    found = only(save(tmp_path / "a.png", IMAGE), said)
    assert (found.name, found.image.shape, found.pixel_size_nm) == ("a", (80, 100), None)
    assert said == ["no pixel size is known: sizes are in px; give pixel_size_nm for nm"]


def test_the_table_names_files_and_tells_them_apart(tmp_path, said):
    for name in "ab":
        save(tmp_path / f"{name}.png", np.roll(IMAGE, ord(name)))
    table = check(tmp_path, said, pixel_size_nm=2.0).table()
    assert table[["name", "height", "width", "pixel_size_nm"]].values.tolist() == [[n, 80, 100, 2.0] for n in "ab"]
    assert table["file"].tolist() == [str(tmp_path / f"{name}.png") for name in "ab"]
    assert table["digest"].nunique() == 2


def test_a_screenshot_that_is_gray_is_read_and_said(tmp_path, said):
    gray = np.repeat(IMAGE[..., None], 3, axis=2)
    found = only(save(tmp_path / "a.png", gray), said, pixel_size_nm=2.0)
    assert said == ["a.png: a colour file whose three channels are equal, read as gray"]
    np.testing.assert_allclose(found.image, IMAGE / 255)
    check(save(tmp_path / "b.tif", gray, photometric="rgb"), said, pixel_size_nm=2.0)
    assert said[1].startswith("b.tif: a colour file")


def test_a_jpeg_that_is_named_png_is_read(tmp_path, said):
    Image.fromarray(IMAGE).save(tmp_path / "a.png", "jpeg")
    assert only(tmp_path / "a.png", said, pixel_size_nm=2.0).image.shape == (80, 100)


def test_names_that_differ_in_case_alone_would_meet_on_some_disks(tmp_path, said):
    save(tmp_path / "A.png", IMAGE)
    save(tmp_path / "a.tif", IMAGE)
    with pytest.raises(DataError, match="results of one name"):
        check(tmp_path, said)


def test_deep_tiffs_keep_their_depth_and_tell_their_pixel_size(tmp_path, said):
    deep = IMAGE.astype(np.uint16) * 16  # 12 bit in 16
    more = {"imagej": True, "resolution": (1 / 3.5, 1 / 3.5), "metadata": {"unit": "nm"}}
    found = only(save(tmp_path / "a.tif", deep, **more), said)
    assert found.pixel_size_nm == pytest.approx(3.5)
    np.testing.assert_allclose(found.image, deep / 4095, rtol=1e-6)
    assert not said
    found = only(tmp_path / "a.tif", said, pixel_size_nm=2.0, sample_rows=70)
    assert (found.pixel_size_nm, found.image.shape) == (2.0, (70, 100))


def test_a_gray_palette_is_resolved(tmp_path, said):
    image = Image.fromarray(IMAGE).convert("P")
    image.putpalette([level for level in range(256) for _ in range(3)])
    image.save(tmp_path / "a.png")
    np.testing.assert_allclose(only(tmp_path / "a.png", said).image, IMAGE / 255)


COLOUR = np.stack([IMAGE, IMAGE // 2, IMAGE], axis=2)
ALPHA = np.dstack([COLOUR, np.full_like(IMAGE, 255)])
REFUSED = [
    ("colour", "a.png", COLOUR, {}, {}, "export without overlays or false colour"),
    ("alpha", "a.png", ALPHA, {}, {}, "remove the transparency"),
    ("gray and alpha", "a.png", np.dstack([IMAGE, IMAGE]), {}, {}, "remove the transparency"),
    ("stack", "a.tif", np.stack([IMAGE] * 3), {"photometric": "minisblack"}, {}, "save the one to use"),
    ("flat", "a.png", np.full((60, 60), 7, np.uint8), {}, {}, "a single gray level everywhere"),
    (
        "not a number",
        "a.tif",
        np.where(IMAGE > 120, np.nan, 0.5).astype(np.float32),
        {},
        {},
        "gray levels from 0",
    ),
    ("few rows", "a.png", IMAGE, {}, {"sample_rows": 81}, "sample_rows is 81, but the image has only 80 rows"),
    ("negative rows", "a.png", IMAGE, {}, {"sample_rows": -5}, "sample_rows: expected at least 1, got -5"),
    ("no length", "a.png", IMAGE, {}, {"pixel_size_nm": 0.0}, "pixel_size_nm: expected more than 0"),
    (
        "endless",
        "a.png",
        IMAGE,
        {},
        {"pixel_size_nm": np.inf},
        r"pixel_size_nm: expected more than 0 for a\.png, got inf",
    ),
]


@pytest.mark.parametrize(
    ("name", "pixels", "storing", "asked", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_refused_with_what_to_do(tmp_path, said, name, pixels, storing, asked, message):
    path = save(tmp_path / name, pixels, **storing)
    with pytest.raises(DataError, match=message):
        check(path, said, **asked)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"II*\0\x08\0\0\0"])
def test_damaged_files_are_named(tmp_path, said, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\{suffix}: .*(damaged|expected)"):
        check(path, said)


@pytest.mark.parametrize("side", [13_000, 40_000])
def test_too_large_is_known_from_the_header(tmp_path, said, side):
    head = struct.pack("!4sIIBBBBB", b"IHDR", side, side, 8, 0, 0, 0, 0)
    crc = struct.pack("!I", zlib.crc32(head))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack("!I", 13) + head + crc)
    with pytest.raises(DataError, match=f"at most 150 megapixels, got {side**2 / 1e6:.0f} .*; cut the image up"):
        check(tmp_path / "a.png", said)


def test_the_limit_holds_for_tiffs(tmp_path, said, monkeypatch):
    monkeypatch.setattr(images, "LARGEST_PX", IMAGE.size - 1)
    with pytest.raises(DataError, match="cut the image up"):
        check(save(tmp_path / "a.tif", IMAGE), said)


@pytest.mark.parametrize(("trained", "warned"), [(None, False), (2.0, False), (1.4, False), (1.3, True), (3.1, True)])
def test_another_magnification_is_warned_of(tmp_path, said, trained, warned):
    check(save(tmp_path / "a.png", IMAGE), said, pixel_size_nm=2.0, trained_nm=trained)
    assert [line.startswith("warning") for line in said] == [True] * warned
    if trained == 3.1:
        assert "1.6 times as large" in said[0]


def test_images_with_and_without_pixel_size_are_not_mixed(tmp_path, said):
    save(tmp_path / "a.tif", IMAGE, imagej=True, resolution=(0.5, 0.5), metadata={"unit": "nm"})
    save(tmp_path / "b.png", IMAGE)
    with pytest.raises(DataError, match=r"a.tif tells its pixel size and .*b.png does not; give pixel_size_nm"):
        check(tmp_path, said)
    assert len(check(tmp_path, said, pixel_size_nm=2.0)) == 2


def test_folders_and_files_are_found_in_order(tmp_path, said):
    for name in ("b.png", "a.TIF", ".hidden.png"):
        save(tmp_path / name, IMAGE)
    (tmp_path / "notes.txt").write_text("")
    assert [sample.name for sample in check(tmp_path, said)] == ["a", "b"]
    assert [sample.name for sample in check([tmp_path / "b.png", tmp_path / "a.TIF"], said)] == ["b", "a"]
    with pytest.raises(DataError, match="results of one name"):
        check([tmp_path, tmp_path / "b.png"], said)


def test_places_without_images_are_refused(tmp_path, said):
    for place, message in ((tmp_path / "absent.png", "no such file or folder"), (tmp_path, "got an empty folder")):
        with pytest.raises(DataError, match=message):
            check(place, said)
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"got files ending in '\.jpg'; convert them"):
        check(tmp_path, said)
    with pytest.raises(DataError, match="got none"):
        check([], said)


def test_pixel_sizes_by_file_come_from_a_table(tmp_path, said):
    for name in ("a.png", "b.png"):
        save(tmp_path / name, IMAGE)
    table = tmp_path / "sizes.csv"
    table.write_text("file,pixel_size_nm\na.png,2\nb.png,3.5\n")
    found = check([tmp_path / "a.png", tmp_path / "b.png"], said, pixel_size_nm=read_pixel_sizes(table))
    assert [sample.pixel_size_nm for sample in found] == [2.0, 3.5]
    with pytest.raises(DataError, match=r"names c\.png, which is none of the images"):
        check([tmp_path / "a.png"], said, pixel_size_nm={"a.png": 2.0, "c.png": 2.0})
    for text in ("name,size\na,2\n", "file,pixel_size_nm\na.png,two\n"):
        table.write_text(text)
        with pytest.raises(DataError, match="a CSV file with the columns file and pixel_size_nm"):
            read_pixel_sizes(table)


def test_a_pixel_size_may_be_a_number(tmp_path):
    assert read_pixel_sizes("2.5") == 2.5
    with pytest.raises(DataError, match=r"two: expected a number, or a CSV file"):
        read_pixel_sizes("two")


def test_a_bar_lost_levels_and_dark_particles_are_said(tmp_path, said):
    bar = IMAGE.copy()
    bar[70:] = 0
    check(save(tmp_path / "bar.png", bar), said, pixel_size_nm=2.0)
    check(save(tmp_path / "few.png", IMAGE // 8 * 8), said, pixel_size_nm=2.0)
    check(save(tmp_path / "dark.png", 255 - IMAGE), said, pixel_size_nm=2.0)
    assert [line.split(":")[0] for line in said] == ["bar.png", "few.png", "warning"]
    assert "below row 70 there seems to be a data bar" in said[0]
    assert "different gray values" in said[1]
    assert "dark.png seems to show dark particles" in said[2]


def test_burnt_in_text_is_left_out_and_its_scale_compared(tmp_path, said):
    image, ink = written("200 nm", (330, 380), lines=[(340, 346, 419, 350)])
    save(tmp_path / "a.png", image)
    assert covered(only(tmp_path, said, pixel_size_nm=2.5).provenance["overlays"], image.shape)[ink].mean() > 0.98
    assert [line[:38] for line in said] == ["a.png: text or a scale bar seems burnt"]
    check(tmp_path, said, pixel_size_nm=5.0)
    assert said[-1].startswith("warning: a.png: its scale bar, read as 200 nm over 80 px, makes pixels of 2.5 nm, but")
    table = check(tmp_path, said).table()
    assert "makes pixels of 2.5 nm: give pixel_size_nm if that is so" in said[-2]
    assert table["scale_bar_nm"].tolist() == [pytest.approx(2.5)]


def test_text_beside_the_images_hides_its_rectangles(tmp_path, said):
    save(tmp_path / "a.png", IMAGE)
    (tmp_path / "overlays.tsv").write_text("path\ttop\tleft\tbottom\tright\na.png\t0\t0\t10\t40\n")
    assert only(tmp_path, said, pixel_size_nm=2.0).provenance["overlays"] == ((0, 0, 10, 40),)
