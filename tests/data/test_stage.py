"""What the data stage writes, and that test files are looked at early, but not learned from."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage.io import imread

from drgan_lib.config import load_experiment
from drgan_lib.data import DataError, check_split, load_patches, open_micrographs, plot_patches, plot_selection, prepare
from drgan_lib.metric import read_metrics

OVERRIDES = {"patches.size_px": 96, "patches.stride_px": 24, "scene.size_px": 96, "dataset.sample_rows": None}


@pytest.fixture
def stage(tmp_path):
    return tmp_path / "stage"


@pytest.fixture
def run(user_folder, stage):
    """Function that runs the stage on the user's folder."""
    experiment = load_experiment("tio2_sem", "demo", OVERRIDES)
    return lambda folder=user_folder: prepare(experiment, folder, stage)


@pytest.fixture
def settings():
    return load_experiment("tio2_sem", "demo", OVERRIDES).material.dataset


def test_the_stage_writes_what_the_next_ones_read(run, user_folder, stage, settings):
    selection = run()
    train, background = load_patches(stage)
    table = pd.read_csv(stage / "patches.csv")
    pd.testing.assert_frame_equal(table, selection.table)
    assert {p.image.shape for p in (*train, *background)} == {(96, 96)}
    assert train[0].pixel_size_nm is None
    assert table["kind"].value_counts().to_dict() == {"train": len(train), "background": len(background)}
    for patch, row in zip([*train, *background], table.to_dict("records"), strict=True):
        pixels = tifffile.imread(user_folder / f"{row['micrograph']}.tif")
        expected = pixels[row["row"] : row["row"] + 96, row["column"] : row["column"] + 96] / 255
        np.testing.assert_allclose(patch.image, expected, atol=1e-6)
        assert patch.provenance.items() <= row.items()
    record = json.loads((stage / "dataset.json").read_text())
    assert record["name"] == "tio2_sem"
    assert record["test"] == [{"name": "sample_4", "image": "sample_4.tif", "mask": None}]
    assert str(user_folder) not in (stage / "dataset.json").read_text()
    assert record["gray_levels"] == {"kind": "8-bit", "full_scale": 255.0}
    assert "sample_4" not in set(table["micrograph"])
    metrics = read_metrics(stage / "metrics.json")
    assert {name: metric.value for name, metric in metrics.items()} == {
        "train_patches": len(train),
        "background_patches": len(background),
    }
    particles = pd.read_csv(stage / "particles.csv")
    assert len(particles) == record["counts"]["particles_found"]
    assert particles["diameter_px"].median() == record["median_particle_diameter_px"] == pytest.approx(17, abs=2)
    assert not [p for p in stage.iterdir() if p.name.startswith(".")]
    for figure in (plot_selection(open_micrographs(settings, user_folder), selection), plot_patches(selection)):
        figure.savefig(stage / "plot.png")
        assert imread(stage / "plot.png").std() > 0


def test_a_second_run_replaces_the_first(run, stage, user_folder):
    run()
    before = len(load_patches(stage)[0])
    (user_folder / "overlays.tsv").write_text("path\ttop\tleft\tbottom\tright\nsample_0.tif\t0\t0\t200\t240\n")
    selection = run()
    assert selection.counts["refused_for_overlays"] > 0
    assert {p.provenance["micrograph"] for p in load_patches(stage)[0]} == {f"sample_{k}" for k in (1, 2, 3, 5)}
    assert len(load_patches(stage)[0]) == len(selection.train) < before


def test_a_folder_without_particles_is_refused(run, tmp_path, paint):
    for k in range(3):
        tifffile.imwrite(tmp_path / f"empty_{k}.tif", paint([], seed=k))
    with pytest.raises(DataError, match="0 particles were found in 2 micrographs"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sample_4.tif", None, r"sample_4\.tif: cannot be read"),
        ("sample_4.tif", np.zeros((90, 200), np.uint8), r"sample_4\.tif: .* 90 x 200 px .* patch of 96 x 96 px"),
        ("sample_4.tif", np.zeros((200, 240), np.uint16), r"sample_4\.tif: .*got 16-bit"),
        ("masks/sample_4.tif", np.zeros((200, 200), np.uint8), r"mask of the shape \(200, 240\) of sample_4\.tif, got"),
    ],
)
def test_a_bad_test_file_is_found_before_any_work(run, user_folder, monkeypatch, name, content, message):
    monkeypatch.setattr("drgan_lib.data.stage.select_patches", None)
    path = user_folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(path.read_bytes()[:500]) if content is None else tifffile.imwrite(path, content)
    with pytest.raises(DataError, match=message):
        run()


def test_a_micrograph_that_was_trained_on_is_no_test_image(run, user_folder, stage, settings):
    for needs_the_stage in (lambda: check_split(stage, settings, user_folder), lambda: load_patches(stage)):
        with pytest.raises(DataError, match="run the data stage"):
            needs_the_stage()
    run()
    moved = user_folder.rename(user_folder.with_name("elsewhere"))
    check_split(stage, settings, moved)
    (moved / "sample_0.tif").unlink()
    with pytest.raises(DataError, match=r"sample_5\.tif is for testing, but the data stage trained on it"):
        check_split(stage, settings, moved)
