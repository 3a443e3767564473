"""The pipeline, on tiny notebooks in place of the chapters."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from drgan_lib.config import MATERIALS, ConfigError
from drgan_lib.data import DataError
from drgan_lib.files import read_json, write_json
from drgan_lib.runs import pipeline
from drgan_lib.runs.execute import NotebookFailed
from drgan_lib.runs.keys import STAGES
from drgan_lib.scene.meshes import MeshError

from .conftest import BODY, HEADER


def test_a_run_gathers_the_metrics_and_is_not_repeated(go, tmp_path, capsys, times_run):
    results, _ = go(["gan.epochs=3"], seed=7)
    assert results["metrics"]["gan"]["value"] == 7
    assert list(results["stages"]) == [stage.name for stage in STAGES]
    assert (results["device"], results["seed"]) == ("a test", 7)
    assert "gan is running" in capsys.readouterr().out

    folder = tmp_path / "runs/twin/demo"
    interpreter, place, overrides = read_json(folder / "gan/seen.json")
    assert Path(interpreter).resolve() == Path(sys.executable).resolve()
    assert (place, overrides) == (os.getcwd(), {"gan.epochs": 3})
    record = read_json(folder / "gan/stage.json")
    assert record["parameters"]["seed"] == 7
    assert {"torch", "mitsuba", "nnunetv2", "commit"} <= record["versions"].keys()
    assert record["seconds"] > 0
    assert record["peak_memory_mb"] > 10
    page = nbformat.read(folder / "notebooks/03_gan_training.ipynb", as_version=4)
    assert "How this page was made" in page.cells[-1].source
    assert "'gan.epochs': 3" in page.cells[-1].source
    assert "papermill" not in page.metadata

    again, messages = go(["gan.epochs=3"], seed=7)
    assert again == results
    assert all(message.endswith("up to date") for message in messages)
    assert times_run("gan") == 1


def test_a_changed_setting_reruns_what_depends_on_it_and_finds_its_results_again(go, tmp_path, times_run):
    go(only=["data", "scene", "gan"])
    first = (tmp_path / "runs/twin/demo/gan").resolve()
    _, messages = go({"gan.lr_generator": 1e-3}, only=["data", "scene", "gan"])
    assert "[1/3] data: up to date" in messages
    assert "[2/3] scene: up to date" in messages
    assert any("settings: profile.gan" in message for message in messages), "it says why"
    assert (tmp_path / "runs/twin/demo/gan").resolve() != first
    assert (first / "ran_0").is_file(), "earlier results stay where they are"
    _, messages = go(only=["data", "scene", "gan"])
    assert (tmp_path / "runs/twin/demo/gan").resolve() == first
    assert not any("data_prep" in message or "scene_design" in message for message in messages)


def test_changed_prose_renews_the_page_only(go, write_notebook, times_run):
    before, _ = go(only=["scene"])
    write_notebook("scene", header=HEADER.replace("A chapter", "The same chapter"))
    assert go(only=["scene"])[0] == before, "the time is that of the results, not of the page"
    assert times_run("scene") == 2
    write_notebook("scene", BODY + "\nx = 1\n")
    go(only=["scene"])
    assert times_run("scene") == 1, "other code has results of its own"


def test_a_failing_notebook_leaves_nothing_half_made_and_the_next_run_resumes(go, tmp_path, write_notebook, times_run):
    fail = BODY + "\nif not Path(runs, 'mended').exists():\n    raise ValueError('the reason')\n"
    write_notebook("scene", fail)
    with pytest.raises(NotebookFailed, match="ValueError: the reason") as caught:
        go(only=["data", "scene"])
    pages = tmp_path / "runs/twin/demo/notebooks"
    assert caught.value.copy == pages / "02_scene_design.failed.ipynb"
    assert "the reason" in caught.value.copy.read_text()
    assert sorted(path.name for path in pages.iterdir()) == ["01_data_preparation.ipynb", caught.value.copy.name]
    assert list(read_json(tmp_path / "runs/twin/demo/results.json")["metrics"]) == ["data"]
    record = read_json(tmp_path / "runs/twin/demo/scene/stage.json")
    assert record["state"] == "running"

    (tmp_path / "runs/mended").touch()
    results, _ = go(only=["data", "scene"])
    assert list(results["stages"]) == ["data", "scene"]
    assert times_run("data") == 1
    assert times_run("scene") == 2, "interrupted work under the same key stays for the stage to resume"
    assert results["stages"]["scene"] > record["seconds"] > 0, "the time before the interruption counts"
    assert not caught.value.copy.exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('\n# %% tags=["raises-exception"]\n1 / 0\n', "ZeroDivisionError"),
        ("\n# %%\nimport os\nos._exit(9)\n", "ran out of memory"),
    ],
    ids=["an error that a cell was allowed to raise", "a dead kernel"],
)
def test_what_goes_wrong_in_a_notebook_is_a_failure(go, write_notebook, body, message):
    write_notebook("scene", body)
    with pytest.raises(NotebookFailed, match=message):
        go(only=["scene"])


def test_results_that_were_edited_do_not_count(go, tmp_path, times_run):
    go(only=["scene"])
    write_json(tmp_path / "runs/twin/demo/scene/metrics.json", {"scene": {"value": 99}})
    results, messages = go(only=["scene"])
    assert any("edited" in message for message in messages)
    assert results["metrics"]["scene"]["value"] == 0


def test_a_folder_of_an_earlier_version_is_not_touched(go, tmp_path):
    (tmp_path / "runs/twin/demo/scene").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="move it away"):
        go(only=["scene"])


@pytest.mark.parametrize(("old", "new"), [("seed = 0", "seeds = 0"), ("runs = ", "extra = 1\nruns = ")])
def test_parameter_names_must_match(go, write_notebook, tmp_path, old, new):
    write_notebook("segmentation", header=HEADER.replace(old, new))
    with pytest.raises(ValueError, match="cell tagged 'parameters'"):
        go()
    assert not (tmp_path / "runs/twin/demo").exists(), "refused before the first stage"


def test_a_pair_that_is_missing_or_not_synchronised_is_refused(go, notebooks, tmp_path):
    source = notebooks / "02_scene_design.py"
    source.write_text(source.read_text() + "\n# %%\nx = 1\n")
    with pytest.raises(ValueError, match=r"02_scene_design\.ipynb.*make notebooks"):
        go()
    (notebooks / "02_scene_design.ipynb").unlink()
    with pytest.raises(FileNotFoundError, match="make notebooks"):
        go()
    assert not (tmp_path / "runs/twin/demo").exists(), "refused before the first stage"


def test_a_stage_alone_needs_the_ones_before_it(go):
    with pytest.raises(ConfigError, match="needs 'data'"):
        go(only=["gan"])
    with pytest.raises(ConfigError, match="unknown stage 'gna'"):
        go(only=["gna"])


def test_the_place_of_the_data_is_checked_first(go, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="expected a folder of images"):
        go({"dataset.path": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match=r"expected one of emps, tio2_sem, got 'absent'"):
        go({"dataset.registry": "absent"})
    monkeypatch.setenv("DRGAN_MIRROR", str(tmp_path))
    with pytest.raises(DataError, match="DRGAN_MIRROR"):
        pipeline.run("tio2_sem", runs=tmp_path / "runs")


def test_the_users_meshes_and_table_are_read_first(go, tmp_path):
    meshes, table = tmp_path / "meshes", tmp_path / "sizes.csv"
    meshes.mkdir()
    with pytest.raises(ConfigError, match=r"meshes\.path: .* is empty"):
        go({"meshes.path": str(meshes)})
    (meshes / "notes.txt").write_text("no mesh")
    with pytest.raises(MeshError, match=r"no mesh files.*correct meshes\.path"):
        go({"meshes.path": str(meshes)})
    (meshes / "a.ply").write_text("no mesh")
    with pytest.raises(MeshError, match=r"a\.ply"):
        go({"meshes.path": str(meshes)})
    table.write_text("diameter_um\n0.15\n")
    with pytest.raises(ConfigError, match="multiply it by 1000"):
        go({"layout.sizes.law": "empirical", "layout.sizes.table": str(table)})
    assert not (tmp_path / "runs/twin/demo").exists()


def test_the_meshes_of_anothers_twin_are_read_first(go, tmp_path):
    tree = yaml.safe_load((MATERIALS / "twin.yaml").read_text())
    other, meshes = tmp_path / "other.yaml", tmp_path / "meshes"
    meshes.mkdir()
    other.write_text(yaml.safe_dump(tree | {"name": "other", "meshes": {"shape": "cube", "path": str(meshes)}}))
    with pytest.raises(ConfigError, match=r"meshes\.path: .* is empty"):
        go({"dataset.twin_of": str(other)})


def test_a_full_disk_is_found_first(go, monkeypatch):
    monkeypatch.setattr(pipeline, "expected_bytes", lambda exp: 10**18)
    with pytest.raises(OSError, match="free some space"):
        go()
