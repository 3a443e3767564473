"""The twin: complete, recorded, deterministic."""

import numpy as np
import pandas as pd
import tifffile

from drgan_lib.config import load_experiment
from drgan_lib.scene.twin import make_twin, recipe, true_parameters

TINY = ["twin.n_train=1", "twin.n_test=1", "twin.size_px=256", "twin.spp=1"]
TINY += ["twin.n_particles=[5, 9]", "twin.clusters=[1, 2]"]


def test_a_twin_is_complete_and_the_same_again(tmp_path):
    exp = load_experiment("twin", "demo", TINY)
    folders = [make_twin(exp, tmp_path / name) for name in "ab"]
    tables = [pd.read_csv(folder / "registry.tsv", sep="\t") for folder in folders]
    assert list(tables[0]["split"]) == ["train", "train", "test", "test"]
    assert list(tables[0]["sha256"]) == list(tables[1]["sha256"])
    image = tifffile.imread(folders[0] / "images" / "twin_000.tif")
    ids = tifffile.imread(folders[0] / "masks" / "twin_000.tif")
    assert image.shape == ids.shape == (256, 256)
    assert 1 <= len(np.unique(ids)) - 1 <= 9
    assert image[ids > 0].mean() > image[ids == 0].mean()


def test_a_complete_twin_is_not_rendered_again(tmp_path):
    exp = load_experiment("twin", "demo", TINY)
    folder = make_twin(exp, tmp_path)
    before = (folder / "images" / "twin_000.tif").stat().st_mtime_ns
    assert make_twin(exp, tmp_path) == folder
    assert (folder / "images" / "twin_000.tif").stat().st_mtime_ns == before


def test_other_settings_go_to_another_folder(tmp_path):
    assert make_twin(load_experiment("twin", "demo", TINY), tmp_path) != make_twin(
        load_experiment("twin", "demo", [*TINY, "twin.seed=8"]), tmp_path
    )


def test_the_bounds_belong_to_the_recipe_and_the_contour_does_not():
    twin = load_experiment("twin", "demo", TINY).material
    assert recipe(load_experiment("twin", "demo", [*TINY, "contour_px=3"]).material) == recipe(twin)
    assert recipe(load_experiment("twin", "demo", [*TINY, "bounds.roughness=[0.1, 1]"]).material) != recipe(twin)


def test_true_parameters_follow_the_recorded_law():
    material = load_experiment("twin").material
    table = true_parameters(material, 4000, seed=0)
    for name, (low, high) in material.bounds.items():
        assert table[name].between(low, high).all()
    mean, std = material.twin.truth["roughness"]
    assert abs(table["roughness"].mean() - mean) < 0.2 * std
