import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from drgan_lib.config import load_experiment
from drgan_lib.data import DataError, load_patches, prepare

OVERRIDES = {
    "patches.size_px": 96,
    "patches.stride_px": 24,
    "scene.size_px": 96,
    "dataset.sample_rows": None,
}


@pytest.fixture
def experiment(tmp_path):
    return load_experiment("tio2_sem", "demo", OVERRIDES, runs=tmp_path / "runs")


def test_stage_writes_what_the_next_ones_read(experiment, user_folder):
    stage = prepare(experiment, user_folder)
    patches, table = load_patches(experiment), pd.read_csv(stage / "patches.csv")
    assert patches.train.dtype == np.float32
    assert patches.train.shape[1:] == patches.background.shape[1:] == (96, 96)
    assert patches.pixel_size_nm is None
    assert 0 <= patches.train.min() < patches.train.max() <= 1
    assert (table["kind"] == "train").sum() == len(patches.train) > 0
    record = json.loads((stage / "dataset.json").read_text())
    assert record["test"] == [{"name": "sample_4", "image": "sample_4.tif", "mask": None}]
    assert str(user_folder) not in (stage / "dataset.json").read_text()
    assert record["gray_levels"] == {"kind": "8-bit", "full_scale": 255.0}
    assert "sample_4" not in set(table["micrograph"])
    figures = json.loads((stage / "figures.json").read_text())
    assert figures["train_patches"]["value"] == len(patches.train)
    for name in ("selection.png", "patches.png"):
        assert np.asarray(Image.open(stage / name)).std() > 0
    assert not [p for p in stage.iterdir() if p.name.startswith(".")]


def test_stored_patches_are_the_pixels_of_the_files(experiment, user_folder):
    stage = prepare(experiment, user_folder)
    first = pd.read_csv(stage / "patches.csv").iloc[0]
    pixels = tifffile.imread(user_folder / f"{first.micrograph}.tif")
    expected = pixels[first.row : first.row + 96, first.column : first.column + 96] / 255
    np.testing.assert_allclose(load_patches(experiment).train[0], expected, atol=1e-6)


def test_a_users_table_of_burnt_in_text_is_kept_to(experiment, user_folder):
    (user_folder / "overlays.tsv").write_text("path\ttop\tleft\tbottom\tright\nsample_0.tif\t0\t0\t200\t240\n")
    stage = prepare(experiment, user_folder)
    assert json.loads((stage / "dataset.json").read_text())["counts"]["refused_for_overlays"] > 0
    assert set(pd.read_csv(stage / "patches.csv")["micrograph"]) == {f"sample_{k}" for k in (1, 2, 3, 5)}


def test_patches_before_the_stage_ran(experiment):
    with pytest.raises(DataError, match="run the data stage"):
        load_patches(experiment)


def test_folder_without_particles(experiment, tmp_path, paint):
    for k in range(3):
        tifffile.imwrite(tmp_path / f"empty_{k}.tif", paint([], seed=k))
    with pytest.raises(DataError, match="0 particles were found in 2 micrographs"):
        prepare(experiment, tmp_path)


def test_different_magnifications_are_refused(experiment, user_folder):
    pixels = tifffile.imread(user_folder / "sample_0.tif")
    for k, size in ((0, 2.0), (1, 4.0)):
        resolution = (1 / size, 1 / size)
        path = user_folder / f"sample_{k}.tif"
        tifffile.imwrite(path, pixels, imagej=True, resolution=resolution, metadata={"unit": "nm"})
    with pytest.raises(DataError, match=r"2 nm in sample_0\.tif, 4 nm in sample_1\.tif"):
        prepare(experiment, user_folder)
