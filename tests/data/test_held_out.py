import numpy as np
import pytest
import tifffile

from drgan_lib.config import load_experiment
from drgan_lib.data import DataError, held_out_sources, prepare, read_held_out

OVERRIDES = {"patches.size_px": 96, "patches.stride_px": 24, "scene.size_px": 96, "dataset.sample_rows": None}


@pytest.fixture
def experiment(tmp_path):
    return load_experiment("tio2_sem", "demo", OVERRIDES, runs=tmp_path / "runs")


def _cut(path):
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, r"sample_4\.tif: cannot be read"),
        (lambda path: tifffile.imwrite(path, np.zeros((90, 200), np.uint8)), r"sample_4\.tif: .* 90 x 200 px"),
        (lambda path: tifffile.imwrite(path, np.zeros((200, 240), np.uint16)), r"sample_4\.tif: .*got 16-bit"),
    ],
)
def test_a_bad_test_image_is_found_by_the_data_stage(experiment, user_folder, spoil, message):
    spoil(user_folder / "sample_4.tif")
    with pytest.raises(DataError, match=message):
        prepare(experiment, user_folder)


def test_a_mask_of_another_shape_is_found_by_the_data_stage(experiment, user_folder):
    (user_folder / "masks").mkdir()
    tifffile.imwrite(user_folder / "masks" / "sample_4.tif", np.zeros((200, 200), np.uint8))
    with pytest.raises(
        DataError, match=r"expected a mask of the shape \(200, 240\) of sample_4\.tif, got \(200, 200\)"
    ):
        prepare(experiment, user_folder)


def test_test_images_have_the_gray_scale_of_the_training_images(experiment, user_folder):
    for path in user_folder.glob("*.tif"):
        factor = 2 if path.stem == "sample_4" else 15  # alone, the test image would pass for a 10-bit one
        tifffile.imwrite(path, factor * tifffile.imread(path).astype(np.uint16))
    prepare(experiment, user_folder)
    (source,) = held_out_sources(experiment, user_folder)
    stored = tifffile.imread(source.image)
    np.testing.assert_allclose(read_held_out(experiment, source).image, stored / 4095, rtol=1e-6)


def test_the_dataset_may_move(experiment, user_folder):
    prepare(experiment, user_folder)
    moved = user_folder.rename(user_folder.with_name("elsewhere"))
    (source,) = held_out_sources(experiment, moved)
    assert source.image == moved / "sample_4.tif"
    assert read_held_out(experiment, source).image.shape == (200, 240)


def test_a_micrograph_that_was_trained_on_is_no_test_image(experiment, user_folder):
    with pytest.raises(DataError, match="run the data stage"):
        held_out_sources(experiment, user_folder)
    prepare(experiment, user_folder)
    (user_folder / "sample_0.tif").unlink()
    with pytest.raises(DataError, match=r"sample_5\.tif is for testing, but the data stage trained on it"):
        held_out_sources(experiment, user_folder)
