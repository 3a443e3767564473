import numpy as np
import pytest
import tifffile
from PIL import Image

from drgan_lib.data import DataError, GrayLevels, read_mask, read_micrograph


def zeiss_palette() -> np.ndarray:
    """Gray ramp whose every ninth entry is an overlay colour (the last one is white), uint16 [3, 256]."""
    ramp = np.repeat(np.arange(256)[None], 3, axis=0)
    ramp[:, 9:243:9] = np.array([[255], [0], [0]])
    ramp[:, 243] = 255
    return (ramp * 257).astype(np.uint16)


def test_palette_is_read_as_gray_levels(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="palette", colormap=zeiss_palette())
    micrograph = read_micrograph(tmp_path / "a.tif")
    assert micrograph.image.dtype == np.float32
    np.testing.assert_array_equal(np.rint(micrograph.image * 255), levels)


def test_colour_palette_is_refused(tmp_path):
    colours = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), np.uint8), photometric="palette", colormap=colours)
    with pytest.raises(DataError, match=r"a\.tif: expected a gray palette"):
        read_micrograph(tmp_path / "a.tif")


@pytest.mark.parametrize("scaled", [False, True])
def test_16_bit_keeps_all_levels_and_does_not_clip(tmp_path, scaled):
    levels = np.linspace(0, 65535 if scaled else 4095, 400).astype(np.uint16).reshape(20, 20)
    tifffile.imwrite(tmp_path / "a.tif", levels)
    image = read_micrograph(tmp_path / "a.tif").image
    assert (image.min(), image.max()) == (0, 1)
    assert len(np.unique(image)) == 400


def test_a_given_gray_scale_is_used_or_the_image_refused(tmp_path):
    tifffile.imwrite(tmp_path / "dark.tif", np.full((8, 8), 100, np.uint16))
    tifffile.imwrite(tmp_path / "bright.tif", np.full((8, 8), 5000, np.uint16))
    tifffile.imwrite(tmp_path / "shallow.tif", np.full((8, 8), 100, np.uint8))
    levels = GrayLevels("16-bit", 4095.0)
    dark = read_micrograph(tmp_path / "dark.tif", levels=levels)
    assert dark.image.max() == np.float32(100 / 4095)
    with pytest.raises(
        DataError, match=r"bright\.tif: expected 16-bit gray levels up to 4095, .*got 16-bit up to 16383"
    ):
        read_micrograph(tmp_path / "bright.tif", levels=levels)
    with pytest.raises(DataError, match=r"shallow\.tif: expected 16-bit .*got 8-bit up to 255"):
        read_micrograph(tmp_path / "shallow.tif", levels=levels)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_equal_channels_are_gray_and_colour_is_refused(tmp_path, suffix):
    gray = np.random.default_rng(0).integers(0, 255, (9, 7), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.repeat(gray[..., None], 3, 2)).save(path)
    np.testing.assert_allclose(read_micrograph(path).image, gray / 255, rtol=1e-6)
    colour = np.stack([gray, gray, 255 - gray], axis=2)
    Image.fromarray(colour).save(path)
    with pytest.raises(DataError, match=r"expected a gray image, got colour of shape \(9, 7, 3\)"):
        read_micrograph(path)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_refused(tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="alpha channel"):
        read_micrograph(tmp_path / "a.png")


def test_stack_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 16, 20), np.uint8), photometric="minisblack")
    with pytest.raises(DataError, match="stack"):
        read_micrograph(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.01, 0.0])
def test_truncated_file_is_named(tmp_path, suffix, kept):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 70), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=rf"a\.{suffix}.*fetch it again"):
        read_micrograph(path)


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.tif: no such file"):
        read_micrograph(tmp_path / "gone.tif")
    (tmp_path / "text.tif").write_text("not an image")
    with pytest.raises(DataError, match=r"text\.tif: cannot be read"):
        read_micrograph(tmp_path / "text.tif")
    (tmp_path / "image.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"expected a file ending in \.tif"):
        read_micrograph(tmp_path / "image.jpg")


def test_sample_rows_crop_image_and_mask_alike(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.eye(20, 10, dtype=np.uint8))
    assert read_micrograph(tmp_path / "a.tif", sample_rows=15).image.shape == (15, 10)
    assert read_mask(tmp_path / "a.tif", sample_rows=15).shape == (15, 10)
    with pytest.raises(DataError, match="only 20 rows"):
        read_micrograph(tmp_path / "a.tif", sample_rows=21)


def test_pixel_size_of_imagej_and_override(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((8, 8), np.uint8),
        imagej=True,
        resolution=(0.5, 0.5),
        metadata={"unit": "nm"},
    )
    assert read_micrograph(tmp_path / "a.tif").pixel_size_nm == pytest.approx(2.0)
    assert read_micrograph(tmp_path / "a.tif", pixel_size_nm=3.5).pixel_size_nm == 3.5
    Image.new("L", (8, 8)).save(tmp_path / "a.png", dpi=(300, 300))
    assert read_micrograph(tmp_path / "a.png").pixel_size_nm is None


def test_pixels_that_are_not_square_are_refused_unless_their_size_is_given(tmp_path):
    image, about = np.zeros((8, 8), np.uint8), {"imagej": True, "metadata": {"unit": "nm"}}
    tifffile.imwrite(tmp_path / "a.tif", image, resolution=(0.5, 0.25), **about)
    with pytest.raises(DataError, match="square pixels, got 2 nm x 4 nm; resample"):
        read_micrograph(tmp_path / "a.tif")
    assert read_micrograph(tmp_path / "a.tif", pixel_size_nm=3.0).pixel_size_nm == 3.0
    tifffile.imwrite(tmp_path / "b.tif", image, resolution=(0.5, 0.5001), **about)
    assert read_micrograph(tmp_path / "b.tif").pixel_size_nm == pytest.approx(2.0)


def test_zeiss_micrograph(datasets):
    micrograph = read_micrograph(datasets / "tio2_sem" / "images" / "1908248.tif", sample_rows=712)
    assert micrograph.pixel_size_nm == pytest.approx(7.344)
    assert micrograph.image.shape == (712, 1024)
    stored = tifffile.imread(micrograph.provenance["file"])[:712]
    np.testing.assert_array_equal(np.rint(micrograph.image * 255), stored)  # overlay entries are not colour


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("AP_PIXEL_SIZE\r\nPixel Size = 4.0 nm\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 2.0 nm\r\n", 2.0),
        ("AP_PIXEL_SIZE\r\nPixel Size = 4.0 nm\r\n", 2.0),
        ("AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 550.0 pm\r\n", 0.55),
        ("\r\n".join(["0", "0", "0", "4e-09", "50000", "6", "AP_MAG", "Mag = 5.00 K X", ""]), 2.0),
    ],
)
def test_zeiss_tells_the_pixels_of_its_screen_and_of_the_image(tmp_path, tags, expected):
    """The screen has 1024 columns; an image of 2048 columns has pixels of half the size."""
    text = tags.encode() + b"\0"
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 2048), np.uint8), extratags=[(34118, "s", len(text), text, True)])
    assert read_micrograph(tmp_path / "a.tif").pixel_size_nm == pytest.approx(expected)


def test_binary_mask_is_labelled_with_4_connectivity(tmp_path):
    mask = np.zeros((6, 6), np.uint8)
    mask[1, 1] = mask[2, 2] = mask[4, 3:6] = 255  # the first two touch at a corner only
    tifffile.imwrite(tmp_path / "m.tif", mask)
    assert read_mask(tmp_path / "m.tif").max() == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_instance_ids_are_kept(tmp_path, dtype):
    mask = np.zeros((6, 6), dtype)
    mask[0, :2], mask[0, 2:4], mask[5, 5] = 7, 9, 9
    Image.fromarray(mask).save(tmp_path / "m.png")
    labels = read_mask(tmp_path / "m.png")
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, mask)


def test_emps_maps_are_instances(datasets):
    labels = read_mask(datasets / "emps" / "segmaps" / "0a55e7c93f.png")
    assert len(np.unique(labels)) == 25
    assert read_micrograph(datasets / "emps" / "images" / "0a55e7c93f.png").image.shape == labels.shape


def test_gray_levels_are_no_ids(tmp_path):
    """A binary mask with smoothed edges would else hold two or three particles in all."""
    rng = np.random.default_rng(0)
    mask = np.zeros((120, 120), np.uint8)
    for row, column in rng.permutation(np.stack(np.meshgrid(*[np.arange(4, 112, 12)] * 2), -1).reshape(-1, 2))[:60]:
        mask[row : row + 6, column : column + 6] = 128
        mask[row + 1 : row + 5, column + 1 : column + 5] = 255
    Image.fromarray(mask).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="the values 0, 128, 255 in 120 separate parts, as of a mask that was resized"):
        read_mask(tmp_path / "a.png")
    ids = np.zeros((40, 40), np.uint8)
    ids[2:5, 2:5], ids[10:12, 2:30], ids[14:16, 2:30] = 1, 2, 2  # a particle that another one hides in the middle
    Image.fromarray(ids).save(tmp_path / "b.png")
    assert (read_mask(tmp_path / "b.png") == ids).all()
