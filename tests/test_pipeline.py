"""The pipeline, on six tiny notebooks in place of the chapters."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml

from drgan_lib import keys, pipeline, stages
from drgan_lib.config import MATERIALS, ConfigError
from drgan_lib.data import DataError
from drgan_lib.execute import NotebookFailed
from drgan_lib.files import read_json, write_json
from drgan_lib.scene.meshes import MeshError
from drgan_lib.stages import STAGES

HEADER = """\
# ---
# jupyter:
#   kernelspec: {display_name: Python 3 (ipykernel), language: python, name: python3}
# ---

# %% [markdown]
# # A chapter

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}
"""

BODY = """
# %%
import json, os, sys
from pathlib import Path
folder = Path(runs) / material / profile / "FOLDER"
count = len(list(folder.glob("ran_*")))
(folder / f"ran_{count}").touch()
figure = {"value": seed, "definition": "the seed", "split": "test"}
(folder / "figures.json").write_text(json.dumps({"NAME": figure}))
(folder / "seen.json").write_text(json.dumps([sys.executable, os.getcwd(), overrides]))
print("NAME is running", end="")
"""


def write_notebook(folder: Path, stage: stages.Stage, body: str | None = None, header: str = HEADER) -> None:
    text = header + (body or BODY).replace("FOLDER", stage.folder).replace("NAME", stage.name)
    (folder / f"{stage.notebook}.py").write_text(text)
    book = jupytext.reads(text, fmt="py:percent")
    nbformat.write(book, folder / f"{stage.notebook}.ipynb")


def find(name: str) -> stages.Stage:
    return next(stage for stage in STAGES if stage.name == name)


@pytest.fixture
def notebooks(tmp_path, monkeypatch, small_library):
    monkeypatch.setattr(stages, "device", lambda: ("a test", "scalar_rgb"))
    monkeypatch.setattr(pipeline, "_fetch", lambda exp: None)  # would render the twin
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for stage in STAGES:
        write_notebook(folder, stage)
    return folder


@pytest.fixture
def go(tmp_path, notebooks):
    def run(*args, **kwargs):
        messages = []
        kwargs = {"runs": tmp_path / "runs", "notebooks": notebooks, "echo": messages.append, **kwargs}
        results = pipeline.run("twin", "demo", *args, **kwargs)
        return read_json(results), messages

    return run


def times_run(tmp_path: Path, name: str) -> int:
    return len(list((tmp_path / "runs/twin/demo" / find(name).folder).glob("ran_*")))


def test_a_run_gathers_the_figures_and_is_not_repeated(go, tmp_path, capsys):
    results, _ = go(["gan.epochs=3"], seed=7)
    assert results["figures"]["gan"] == {"value": 7, "definition": "the seed", "split": "test"}
    assert list(results["stages"]) == [stage.name for stage in STAGES]
    assert (results["device"], results["seed"]) == ("a test", 7)
    assert "gan is running" in capsys.readouterr().out

    folder = tmp_path / "runs/twin/demo"
    assert read_json(folder / "gan/seen.json")[2] == {"gan.epochs": 3}
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
    assert times_run(tmp_path, "gan") == 1


def test_the_kernel_is_this_interpreter_in_this_folder(go, tmp_path):
    import os
    import sys

    go(only=["quickstart"])
    seen = read_json(tmp_path / "runs/twin/demo/quickstart/seen.json")
    assert Path(seen[0]).resolve() == Path(sys.executable).resolve()
    assert seen[1] == os.getcwd()


def test_a_changed_setting_reruns_what_depends_on_it_and_keeps_the_earlier_results(go, tmp_path):
    go(only=["data", "scene", "gan"])
    _, messages = go({"gan.lr_generator": 1e-3}, only=["data", "scene", "gan"])
    assert "[1/3] data: up to date" in messages
    assert "[2/3] scene: up to date" in messages
    folder = tmp_path / "runs/twin/demo"
    assert times_run(tmp_path, "gan") == 1
    assert (folder / "gan.previous/ran_0").is_file()


def test_changed_prose_renews_the_page_only(go, tmp_path, notebooks):
    before, _ = go(only=["scene"])
    stage = find("scene")
    write_notebook(notebooks, stage, header=HEADER.replace("A chapter", "The same chapter"))
    assert go(only=["scene"])[0] == before, "the time is that of the results, not of the page"
    assert times_run(tmp_path, "scene") == 2
    assert not (tmp_path / "runs/twin/demo/scene.previous").exists()
    write_notebook(notebooks, stage, BODY + "\nx = 1\n")
    go(only=["scene"])
    assert times_run(tmp_path, "scene") == 1


def test_a_failing_notebook_leaves_nothing_half_made_and_the_next_run_resumes(go, tmp_path, notebooks):
    fail = BODY + "\nif not Path(runs, 'mended').exists():\n    raise ValueError('the reason')\n"
    write_notebook(notebooks, find("scene"), fail)
    with pytest.raises(NotebookFailed, match="ValueError: the reason") as caught:
        go(only=["data", "scene"])
    pages = tmp_path / "runs/twin/demo/notebooks"
    assert caught.value.copy == pages / "02_scene_design.failed.ipynb"
    assert "the reason" in caught.value.copy.read_text()
    assert sorted(path.name for path in pages.iterdir()) == [
        "01_data_preparation.ipynb",
        caught.value.copy.name,
    ]
    record = read_json(tmp_path / "runs/twin/demo/scene/stage.json")
    assert record["state"] == "running"

    (tmp_path / "runs/mended").touch()
    results, _ = go(only=["data", "scene"])
    assert list(results["stages"]) == ["data", "scene"]
    assert times_run(tmp_path, "data") == 1
    assert times_run(tmp_path, "scene") == 2, "interrupted work under the same key stays for the stage to resume"
    assert results["stages"]["scene"] > record["seconds"] > 0, "the time before the interruption counts"
    assert not caught.value.copy.exists()


def test_an_error_that_a_cell_was_allowed_to_raise_is_still_a_failure(go, notebooks):
    write_notebook(notebooks, find("scene"), '\n# %% tags=["raises-exception"]\n1 / 0\n')
    with pytest.raises(NotebookFailed, match="ZeroDivisionError"):
        go(only=["scene"])


def test_a_dead_kernel_is_reported(go, notebooks):
    write_notebook(notebooks, find("scene"), "\n# %%\nimport os\nos._exit(9)\n")
    with pytest.raises(NotebookFailed, match="ran out of memory"):
        go(only=["scene"])


@pytest.mark.parametrize(("old", "new"), [("seed = 0", "seeds = 0"), ("runs = ", "extra = 1\nruns = ")])
def test_parameter_names_must_match(go, notebooks, tmp_path, old, new):
    write_notebook(notebooks, find("segmentation"), header=HEADER.replace(old, new))
    with pytest.raises(ValueError, match="cell tagged 'parameters'"):
        go()
    assert not (tmp_path / "runs/twin/demo/data").exists(), "refused before the first stage"


def test_a_missing_pair_is_refused(go, notebooks):
    (notebooks / "03_gan_training.ipynb").unlink()
    with pytest.raises(FileNotFoundError, match="make notebooks"):
        go()


def test_a_stage_alone_needs_the_ones_before_it(go):
    with pytest.raises(ConfigError, match="needs 'data'"):
        go(only=["gan"])
    with pytest.raises(ConfigError, match="unknown stage 'gna'"):
        go(only=["gna"])


def test_the_place_of_the_data_is_checked_first(go, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="expected a folder of images"):
        go({"dataset.path": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match=r"no data/absent/registry.tsv"):
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


def test_every_source_that_a_stage_names_exists():
    for stage in STAGES:
        assert all((keys.LIBRARY / name).exists() for name in stage.sources)


def test_an_unsynchronised_pair_is_refused(go, notebooks, tmp_path):
    source = notebooks / "02_scene_design.py"
    source.write_text(source.read_text() + "\n# %%\nx = 1\n")
    with pytest.raises(ValueError, match=r"02_scene_design\.ipynb.*make notebooks"):
        go()
    assert not (tmp_path / "runs/twin/demo/data").exists(), "refused before the first stage"


def test_a_failed_run_leaves_no_figures_that_do_not_stand(go, tmp_path, notebooks):
    go(only=["data", "scene"])
    write_notebook(notebooks, find("scene"), "\n# %%\nraise ValueError('the reason')\n")
    with pytest.raises(NotebookFailed):
        go(only=["data", "scene"])
    assert list(read_json(tmp_path / "runs/twin/demo/results.json")["figures"]) == ["data"]


def test_a_chapter_run_by_hand_does_not_count(go, tmp_path):
    go(only=["scene"])
    folder = tmp_path / "runs/twin/demo/scene"
    write_json(folder / "figures.json", {"scene": {"value": 99}})
    results, _ = go(only=["scene"])
    assert results["figures"]["scene"]["value"] == 0
    assert times_run(tmp_path, "scene") == 1
    assert read_json(tmp_path / "runs/twin/demo/scene.previous/figures.json")["scene"]["value"] == 99


def test_what_an_interruption_left_gives_way_to_the_finished_results(go, tmp_path, notebooks):
    interrupted = BODY + "\nif overrides:\n    raise KeyboardInterrupt\n"
    write_notebook(notebooks, find("scene"), interrupted)
    before, _ = go(only=["scene"])
    with pytest.raises((NotebookFailed, KeyboardInterrupt)):
        go({"gan.n_layouts": 5}, only=["scene"])
    assert not (tmp_path / "runs/twin/demo/scene/ran_1").exists()
    after, messages = go(only=["scene"])
    assert any("are back from" in message for message in messages)
    assert after == before
    assert times_run(tmp_path, "scene") == 2, "the finished folder came back, and its page was made again"
