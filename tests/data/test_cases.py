"""Files that once gave a wrong number without a word, and relatives of theirs: read right, or refused by name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from drgan_lib.config import ROOT, DatasetSettings
from drgan_lib.data import (
    DataError,
    dataset_files,
    few_levels,
    open_micrographs,
    particles_look_dark,
    read_mask,
    read_micrograph,
    rows_above_bar,
)

CASES = ROOT.parent / "shared" / "cases.zip"
NM = 7.344


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Path:
    """Folder of the collected cases, one folder each."""
    if not CASES.is_file():
        pytest.skip(f"no collected cases at {CASES}")
    place = tmp_path_factory.mktemp("cases")
    with zipfile.ZipFile(CASES) as archive:
        archive.extractall(place)
    return place / "cases"


def picture(height: int = 60, width: int = 80, *, top: int = 255) -> np.ndarray:
    return np.random.default_rng(1).integers(0, top + 1, (height, width))


def particles() -> np.ndarray:
    """Seven discs, bool [256, 256]."""
    rows, columns = np.ogrid[:256, :256]
    centres = [(40 + 60 * (k // 3), 40 + 80 * (k % 3)) for k in range(7)]
    return sum(((rows - r) ** 2 + (columns - c) ** 2 < 180).astype(int) for r, c in centres) > 0


@pytest.mark.parametrize("case", ["ij_microns", "ij_angstrom", "ij_yunit"])
def test_case_of_units(cases, case):
    assert read_micrograph(cases / case / "a.tif").pixel_size_nm == pytest.approx(NM)


def test_case_of_decimal_commas(cases):
    for path in (cases / "zeiss_comma" / "z.tif", cases / "fei_comma" / "c.tif"):
        assert read_micrograph(path).pixel_size_nm == pytest.approx(NM)
        assert read_micrograph(path, pixel_size_nm=3.0).pixel_size_nm == 3.0


def test_case_of_a_resampled_file(cases):
    assert read_micrograph(cases / "fei_resampled" / "full.tif").pixel_size_nm == pytest.approx(NM)
    with pytest.raises(DataError, match=r"7\.344 nm if it was cropped, 14\.69 nm if it was resampled"):
        read_micrograph(cases / "fei_resampled" / "half.tif")


def test_case_of_a_data_bar(cases):
    assert read_micrograph(cases / "fei_databar" / "bar.tif").image.shape == (512, 512)


def test_case_of_a_thumbnail(cases):
    assert read_micrograph(cases / "thumb_first" / "t.tif").image.shape == (512, 512)


def test_case_of_inverted_gray(cases):
    image = read_micrograph(cases / "u16_12bit_miniswhite" / "w.tif").image
    assert image.max() - image.min() > 0.6
    assert few_levels(image) == ""
    with pytest.raises(DataError, match="floating-point values of which 0 is white"):
        read_micrograph(cases / "float_miniswhite" / "f.tif")


def test_case_of_palettes(cases):
    for path in sorted((cases / "gray_palette").glob("*.png")):
        with Image.open(path) as stored:
            expected = np.asarray(stored.convert("RGB"))[..., 0]
        np.testing.assert_array_equal(np.rint(255 * read_micrograph(path).image), expected)


def test_case_of_binary_masks(cases):
    for name in ("m", "m255", "m64"):
        assert read_mask(cases / "mask_u16_binary" / f"{name}.tif").max() == 7


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mask_ilastik/seg12.tif", "no pixel is 0"),
        ("mask_ilastik/seg20.tif", "no pixel is 0"),
        ("mask_ilastik/core_border7.tif", "classes"),
        ("mask_ilastik/core_border20.tif", "classes"),
        ("mask_jpeg/m.png", "saved as JPEG"),
        ("mask_resized/m.png", "resized"),
    ],
)
def test_case_of_a_mask_that_is_none(cases, name, reason):
    with pytest.raises(DataError, match=reason):
        read_mask(cases / name)


def test_case_of_a_negative_background(cases):
    labels = read_mask(cases / "mask_minus_one" / "m.tif")
    assert len(np.unique(labels[labels > 0])) == 24
    assert (labels == 0).mean() > 0.9


@pytest.mark.parametrize("stray", ["{}_cp_masks.tif", "{}.jpg", "mask_{}.png"])
def test_masks_that_go_with_no_image_are_named(tmp_path, stray):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in "ab":
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", picture().astype(np.uint8))
        (tmp_path / "masks" / stray.format(name)).write_bytes(b"")
    with pytest.raises(DataError, match=r"holds 2 files, of which 2 go with no image \(first: .*rename or convert"):
        dataset_files(DatasetSettings(path=tmp_path), tmp_path)
    tifffile.imwrite(tmp_path / "masks" / "a.tif", particles().astype(np.uint8))
    with pytest.warns(UserWarning, match="3 files, of which 2 go with no image"):
        assert dataset_files(DatasetSettings(path=tmp_path), tmp_path)["mask"].notna().sum() == 1


@pytest.mark.parametrize("first", [True, False])
def test_a_thumbnail_is_passed_over_wherever_it_stands(tmp_path, first):
    image = picture().astype(np.uint8)
    pages = [(image[::4, ::4], 1), (image, 0)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page, kind in pages if first else pages[::-1]:
            file.write(page, subfiletype=kind, photometric="minisblack", metadata=None)
    np.testing.assert_array_equal(np.rint(255 * read_micrograph(tmp_path / "a.tif").image), image)


def test_several_images_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for part in (picture(60, 80), picture(30, 40)):
            file.write(part.astype(np.uint8), photometric="minisblack", metadata=None)
    with pytest.raises(DataError, match="expected one image, got a stack or several of them"):
        read_micrograph(tmp_path / "a.tif")
    text = "ImageJ=1.54f\nimages=50\nslices=50\n"  # as of a stack whose other images are not there
    tifffile.imwrite(tmp_path / "b.tif", picture().astype(np.uint8), description=text, metadata=None)
    with pytest.raises(DataError, match="stack"):
        read_micrograph(tmp_path / "b.tif")
    Image.fromarray(picture().astype(np.uint8)).save(
        tmp_path / "c.png", save_all=True, append_images=[Image.new("L", (80, 60))]
    )
    with pytest.raises(DataError, match="animation"):
        read_micrograph(tmp_path / "c.png")


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_turns_the_image_as_pillow_does(tmp_path, turn):
    image = picture().astype(np.uint8)
    tags = [(274, "H", 1, turn, True)]
    tifffile.imwrite(tmp_path / "a.tif", image, extratags=tags, metadata=None)
    plain = Image.fromarray(image)
    methods = [
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
    ]
    expected = np.asarray(plain if turn == 1 else plain.transpose(methods[turn - 1]))
    np.testing.assert_array_equal(np.rint(255 * read_micrograph(tmp_path / "a.tif").image), expected)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65534), (np.uint16, 4095), (np.uint16, 1000)])
def test_where_0_is_white_gray_levels_are_mirrored_within_their_depth(tmp_path, dtype, top):
    image = picture(top=top).astype(dtype)
    image[0, :2] = 0, top
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "b.tif", image, photometric="minisblack")
    white, black = (read_micrograph(tmp_path / f"{name}.tif").image for name in "ab")
    np.testing.assert_allclose(white, 1 - black, atol=1e-6)
    assert np.ptp(white) > 0.9


@pytest.mark.parametrize("bits", [1, 4])
def test_shallow_files_use_all_of_their_scale(tmp_path, bits):
    stored = picture(top=2**bits - 1).astype(np.uint8)
    path = tmp_path / "a.tif"
    if bits == 1:
        Image.fromarray(stored.astype(bool)).save(path)
    else:
        packed = (stored[:, ::2] << 4) | stored[:, 1::2]
        tifffile.imwrite(path, packed, photometric="minisblack", metadata=None)
        with tifffile.TiffFile(path, mode="r+b") as file:
            file.pages[0].tags["BitsPerSample"].overwrite(4)
            file.pages[0].tags["ImageWidth"].overwrite(80)
    found = read_micrograph(path).image
    assert (found.min(), found.max()) == (0, 1)
    np.testing.assert_array_equal(np.rint(found * (2**bits - 1)), stored)
    assert "only" in few_levels(found)


def test_inks_of_a_print_are_refused_and_planes_are_channels(tmp_path):
    gray = picture().astype(np.uint8)
    Image.merge("CMYK", [Image.fromarray(gray)] * 4).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match="CMYK"):
        read_micrograph(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.stack([gray] * 3), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(np.rint(255 * read_micrograph(tmp_path / "b.tif").image), gray)


def test_a_shuffled_gray_palette_is_a_table(tmp_path):
    order = np.random.default_rng(0).permutation(256)
    index = picture().astype(np.uint8)
    image = Image.fromarray(index, "P")
    image.putpalette(np.repeat(order.astype(np.uint8), 3).tobytes())
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.rint(255 * read_micrograph(tmp_path / "a.png").image), order[index])
    colours = np.repeat(257 * order[None].astype(np.uint16), 3, axis=0)
    tifffile.imwrite(tmp_path / "b.tif", index, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(np.rint(255 * read_micrograph(tmp_path / "b.tif").image), order[index])


@pytest.mark.parametrize("disturbed", ["hot", "saturated", "dead"])
def test_single_pixels_do_not_set_the_gray_scale(tmp_path, disturbed):
    image = picture(200, 200, top=4000).astype(np.uint16)
    if disturbed == "saturated":  # burnt-in text, say
        image[:10, :60] = 65535
    else:
        image[5, 7] = 65000 if disturbed == "hot" else 0
    tifffile.imwrite(tmp_path / "a.tif", image)
    found = read_micrograph(tmp_path / "a.tif")
    assert found.provenance["gray_levels"]["full_scale"] == 4095
    assert found.image.max() <= 1
    assert few_levels(found.image) == ""


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int16, np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("value", [1, 255])
def test_one_value_beside_0_is_a_binary_mask_of_any_type(tmp_path, dtype, value):
    tifffile.imwrite(tmp_path / "m.tif", (particles() * value).astype(dtype))
    assert read_mask(tmp_path / "m.tif").max() == 7


def test_masks_where_0_is_white(tmp_path):
    mask = np.where(particles(), 255, 0).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", 255 - mask, photometric="miniswhite")
    assert read_mask(tmp_path / "m.tif").max() == 7
    text = "ImageJ=1.54f\n"  # an inverting table: particles are stored as 255, and look black
    tifffile.imwrite(tmp_path / "i.tif", mask, photometric="miniswhite", description=text, metadata=None)
    assert read_mask(tmp_path / "i.tif").max() == 7


def test_masks_of_gray_values_are_refused(tmp_path):
    mask = Image.fromarray(np.where(particles(), 255, 0).astype(np.uint8))
    mask.resize((200, 200), Image.Resampling.BILINEAR).save(tmp_path / "a.png")
    mask.save(tmp_path / "b.jpg", quality=80)
    Image.open(tmp_path / "b.jpg").save(tmp_path / "b.png")
    smooth = ndimage.gaussian_filter(np.where(particles(), 200.0, 0.0), 1.0)
    tifffile.imwrite(tmp_path / "c.tif", smooth.astype(np.uint16))
    for name in ("a.png", "b.png", "c.tif"):
        with pytest.raises(DataError, match="separate parts, as of a mask that was resized or saved as JPEG"):
            read_mask(tmp_path / name)


def test_ignored_pixels_and_other_backgrounds(tmp_path):
    labels = ndimage.label(particles())[0].astype(np.int32)
    tifffile.imwrite(tmp_path / "a.tif", np.where(labels == 0, -1, labels))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), labels)
    ignored = labels.copy()
    ignored[:5] = -1
    tifffile.imwrite(tmp_path / "b.tif", ignored)
    with pytest.raises(DataError, match="set pixels to be ignored to 0"):
        read_mask(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", (labels + 1).astype(np.uint8))
    with pytest.raises(DataError, match="no pixel is 0; set the background to 0"):
        read_mask(tmp_path / "c.tif")
    large = np.where(labels == 0, 99, labels)
    large[0, 0] = 0
    tifffile.imwrite(tmp_path / "d.tif", large.astype(np.uint8))
    with pytest.raises(DataError, match=r"of which 99 is 9.% of the image"):
        read_mask(tmp_path / "d.tif")


@pytest.mark.parametrize("ground", [0, 255])
def test_a_visible_data_bar_is_proposed(ground):
    image = np.clip(np.random.default_rng(0).normal(120, 30, (300, 400)), 1, 254).astype(np.uint8)
    assert rows_above_bar(image) is None
    image[260:] = ground
    image[275:285, 20:120] = 255 - ground  # a line of text
    assert rows_above_bar(image) == 260
    assert rows_above_bar(np.zeros((300, 400))) is None, "nothing is above"


def test_no_bar_is_seen_on_real_micrographs_without_one(datasets):
    for path in sorted((datasets / "tio2_sem" / "images").glob("*.tif"))[:8]:
        assert rows_above_bar(read_micrograph(path, sample_rows=712).image) is None


def test_dark_particles_on_a_bright_ground_are_told_from_bright_ones(datasets):
    settings = DatasetSettings(registry="tio2_sem", sample_rows=712)
    images = [sample.image for sample in open_micrographs(settings, datasets / "tio2_sem")[:8]]
    assert not any(map(particles_look_dark, images))
    assert all(particles_look_dark(1 - image) for image in images)
    discs = np.where(particles(), 0.8, 0.2) + np.random.default_rng(0).normal(0, 0.05, (256, 256))
    assert not particles_look_dark(discs)
    assert particles_look_dark(1 - discs)
    assert not particles_look_dark(np.zeros((40, 40)))
