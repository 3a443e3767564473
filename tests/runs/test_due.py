"""What stands, what is due and why, and what nothing needs any more."""

from __future__ import annotations

import pytest

from drgan_lib import cli
from drgan_lib.files import write_json
from drgan_lib.runs.chapter import begin, finish, open_chapter, read_record, stands
from drgan_lib.runs.due import collect_garbage, status
from drgan_lib.runs.keys import find_stage

from .conftest import BODY, HEADER

SCENE = find_stage("scene")


@pytest.fixture
def chapter(tmp_path, notebooks):
    """Function that opens the chapter of the scene with overrides."""
    return lambda stage="scene", **overrides: open_chapter(
        stage, "twin", overrides={k.replace("__", "."): v for k, v in overrides.items()}, runs=tmp_path / "runs"
    )


def test_settings_have_folders_of_their_own_and_find_them_again(chapter, tmp_path):
    first, second = chapter(), chapter(gan__n_layouts=5)
    assert first.folder != second.folder
    assert (tmp_path / "runs/twin/demo/scene").resolve() == second.folder.resolve()
    assert chapter().folder == first.folder
    assert (tmp_path / "runs/twin/demo/scene").resolve() == first.folder.resolve()


def test_results_stand_when_they_are_finished_and_as_they_were(chapter):
    opened = chapter()
    assert not stands(opened.folder)
    write_json(opened.folder / "metrics.json", {"live": {"value": 1, "definition": "a"}})
    finish(opened.exp, SCENE, opened.folder)
    assert stands(opened.folder)
    write_json(opened.folder / "metrics.json", {"live": {"value": 2, "definition": "a"}})
    assert not stands(opened.folder)


def test_results_that_are_no_longer_current_cannot_be_finished(chapter):
    opened = chapter()
    chapter(gan__n_layouts=5)
    with pytest.raises(RuntimeError, match="changed meanwhile"):
        finish(opened.exp, SCENE, opened.folder)


def test_a_chapter_finds_the_earlier_ones(chapter):
    with pytest.raises(FileNotFoundError, match="run chapter 02_scene_design first"):
        chapter("gan").earlier("scene")
    scene = chapter()
    assert chapter("gan").earlier("scene").resolve() == scene.folder.resolve()


def test_begin_keeps_how_results_were_made(chapter):
    opened = chapter()
    finish(opened.exp, SCENE, opened.folder, seconds=3)
    parts = read_record(opened.folder)["parts"]
    assert begin(opened.exp, SCENE, parts) == opened.folder
    assert read_record(opened.folder)["seconds"] == 3
    assert read_record(opened.folder)["state"] == "running"


def test_status_says_what_is_due_and_why(go, tmp_path, write_notebook, capsys):
    run = tmp_path / "runs/twin/demo"
    with pytest.raises(FileNotFoundError, match="run it first"):
        status(run)
    go(only=["data", "scene"])
    found = {stage.stage: (stage.state, stage.why) for stage in status(run)}
    assert found["data"] == found["scene"] == ("stands", "")
    assert found["gan"] == ("due", "not run yet")
    write_notebook("data", header=HEADER.replace("A chapter", "This chapter"))
    write_notebook("scene", BODY + "\nx = 1\n")
    found = {stage.stage: (stage.state, stage.why) for stage in status(run)}
    assert found["data"] == ("page due", "its text, its plots or the files that it lists changed")
    assert found["scene"] == ("due", "code: 02_scene_design.py")
    assert cli.main(["status", str(run)]) == 0
    assert "code: 02_scene_design.py" in capsys.readouterr().out


def test_garbage_is_what_no_run_points_to(chapter, tmp_path, capsys):
    old = chapter(gan__n_layouts=5)
    left = old.store.folder("training", {"a": 1})
    new = chapter()
    kept = new.store.folder("training", {"a": 2})
    (left / "weights").write_bytes(b"x" * 1000)
    assert cli.main(["gc", "--runs", str(tmp_path / "runs")]) == 0
    assert "2 folders removed" in capsys.readouterr().out
    assert not old.folder.exists()
    assert not left.exists()
    assert new.folder.is_dir()
    assert kept.is_dir()
    assert collect_garbage(tmp_path / "runs") == ([], 0)
