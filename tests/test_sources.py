"""Where micrographs come from, and whose twin is whose."""

from pathlib import Path

import pytest
import yaml

from drgan_lib import sources
from drgan_lib.config import MATERIALS, ConfigError, load_experiment, materials, twin_settings, twin_source
from drgan_lib.data import DataError
from drgan_lib.runs import pipeline


@pytest.fixture
def mine(tmp_path):
    """Path of a material file that is the twin under another name, with changes."""

    def write(**changes):
        tree = yaml.safe_load((MATERIALS / "twin.yaml").read_text()) | {"name": "mine"} | changes
        tree = {name: value for name, value in tree.items() if value is not None}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(tree))
        return str(path)

    return write


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What `make_twin` was asked for."""
    calls = []
    monkeypatch.setenv("DRGAN_DATA", str(tmp_path))
    monkeypatch.setattr(sources, "make_twin", lambda material, folder: calls.append((material, folder)) or folder)
    return calls


def test_a_twin_of_its_own_has_its_own_settings(asked, tmp_path):
    exp = load_experiment("twin", "demo", ["twin.seed=99"])
    assert sources.dataset_folder(exp) == tmp_path / "twin_of_twin"
    assert asked[0][0].twin.seed == 99


@pytest.mark.parametrize("name", materials())
def test_a_twin_is_the_same_whatever_detector_learns_from_it(name):
    own = {"dataset.twin_of": name}
    sources = [
        twin_source(load_experiment(name, "demo", own | other).material)
        for other in ({}, {"gan.detector": "poisson_gaussian"})
    ]
    assert sources[0] == sources[1]


def test_a_twin_of_another_material_is_as_its_file_says(asked, tmp_path, mine):
    exp = load_experiment("tio2_sem", "demo", ["dataset.twin_of=twin", "scene.spp=4", "meshes.seed=50"])
    assert sources.dataset_folder(exp) == tmp_path / "twin_of_twin"
    assert asked[0][0] == twin_source(exp.material) == load_experiment("twin").material
    exp = load_experiment("twin", "demo", {"dataset.twin_of": mine()})
    assert sources.dataset_folder(exp) == tmp_path / "twin_of_mine"


def test_a_folder_of_ones_own_comes_first(tmp_path):
    exp = load_experiment("twin", "demo", [f"dataset.path={tmp_path}"])
    assert sources.dataset_folder(exp) == tmp_path.resolve()
    with pytest.raises(DataError, match="not a folder"):
        sources.dataset_folder(load_experiment("twin", "demo", [f"dataset.path={tmp_path / 'absent'}"]))


def test_what_has_no_twin_is_refused_before_anything_runs(mine, tmp_path):
    overrides = {"dataset.twin_of": mine(twin=None, dataset={"path": "x"})}
    exp = load_experiment("twin", "demo", overrides)
    with pytest.raises(ConfigError, match=r"no section `twin`.* twin"):
        sources.dataset_folder(exp)
    for value, message in (
        (overrides["dataset.twin_of"], r"no section `twin`.* twin"),
        ("gold", r"dataset\.twin_of: unknown material 'gold'.*twin"),
    ):
        with pytest.raises(ConfigError, match=message):
            pipeline.run("twin", overrides={"dataset.twin_of": value}, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_twin_must_be_as_large_as_the_patches(mine):
    overrides = {"dataset.twin_of": mine(), "patches.size_px": 1024, "scene.size_px": 1024}
    with pytest.raises(ConfigError, match=r"512 px wide.*1024"):
        twin_source(load_experiment("twin", "demo", overrides).material)


def test_where_files_lie_is_no_setting_of_a_twin():
    material = load_experiment("twin").material
    moved = material.model_copy(update={"meshes": material.meshes.model_copy(update={"path": Path("elsewhere")})})
    assert twin_settings(moved) == twin_settings(material)
