"""What becomes of a stage's folder when settings change, and change back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drgan_lib import stages
from drgan_lib.files import read_json, write_json
from drgan_lib.stages import STAGES, Stage

SCENE = Stage("scene", "02_scene_design", "scene")
NETWORK = Stage("network", "05_segmentation_evaluation", "network", keeps=("weights", "mark.json"))


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "stage"


@pytest.fixture
def previous(tmp_path) -> Path:
    return tmp_path / "stage.previous"


def finish(folder: Path, content: str) -> None:
    """What the pipeline and a notebook do between `begin` and the end."""
    write_json(folder / "figures.json", {"content": content})
    record = stages.read_record(folder) | {"state": "complete", "figures": stages.figures_digest(folder)}
    write_json(folder / "stage.json", record)


def content(folder: Path) -> str:
    return read_json(folder / "figures.json")["content"]


def test_a_folder_made_by_hand_is_moved_aside(folder, previous):
    write_json(folder / "checkpoint.json", {})
    assert str(previous) in stages.begin(folder, SCENE, "A")
    assert (previous / "checkpoint.json").is_file()
    assert read_json(folder / "stage.json")["state"] == "running"
    assert stages.begin(folder, SCENE, "A") is None
    assert not stages.is_complete(folder, "A")


def test_a_finished_stage_is_complete_under_its_key_and_with_its_figures(folder):
    stages.begin(folder, SCENE, "A")
    finish(folder, "a")
    assert stages.is_complete(folder, "A")
    assert not stages.is_complete(folder, "B")
    write_json(folder / "figures.json", {"content": "made by hand"})
    assert not stages.is_complete(folder, "A")


def test_an_interrupted_attempt_does_not_cost_the_finished_result(folder, previous):
    stages.begin(folder, SCENE, "A")
    finish(folder, "a")
    stages.begin(folder, SCENE, "B")
    assert stages.begin(folder, SCENE, "A").endswith("in exchange")
    assert content(folder) == "a"
    assert read_json(previous / "stage.json")["key"] == "B"


def test_unfinished_work_never_replaces_finished_work(folder, previous):
    stages.begin(folder, SCENE, "A")
    finish(folder, "a")
    for key in "BCD":
        stages.begin(folder, SCENE, key)
        (folder / f"half_made_{key}").touch()
    assert content(previous) == "a"
    assert sorted(path.name for path in folder.iterdir()) == ["half_made_D", "stage.json"]
    finish(folder, "d")
    stages.begin(folder, SCENE, "E")
    assert content(previous) == "d"


def test_a_page_in_the_making_does_not_make_results_unfinished(folder, previous):
    for key in "AB":
        stages.begin(folder, SCENE, key)
        finish(folder, key)
    stages.begin(folder, SCENE, "B")
    stages.begin(folder, SCENE, "C")
    assert content(previous) == "B"


def test_an_interrupted_exchange_is_ended(folder, previous):
    for key in "AB":
        stages.begin(folder, SCENE, key)
        finish(folder, key)
    folder.rename(folder.with_name("stage.aside"))
    stages.begin(folder, SCENE, "A")
    assert (content(folder), content(previous)) == ("A", "B")


def test_things_that_guard_themselves_stay_with_the_stage(folder, previous):
    stages.begin(folder, NETWORK, "A")
    (folder / "weights").mkdir()
    (folder / "weights/last.pt").write_text("a")
    write_json(folder / "mark.json", 1)
    finish(folder, "a")
    stages.begin(folder, NETWORK, "B")
    (folder / "weights/last.pt").write_text("b")
    assert not (folder / "figures.json").exists()
    assert (previous / "weights/last.pt").read_text() == "a", "what is finished keeps its own"
    stages.begin(folder, NETWORK, "C")
    assert (folder / "weights/last.pt").read_text() == "b"
    stages.begin(folder, NETWORK, "A")
    assert (folder / "weights/last.pt").read_text() == "a"


def test_half_a_copy_is_not_taken_for_a_trained_network(folder, previous, monkeypatch):
    assert {stage.name: stage.keeps for stage in STAGES if stage.keeps} == {"segmentation": ("arms",)}
    stages.begin(folder, NETWORK, "A")
    (folder / "weights").mkdir()
    (folder / "weights/last.pt").write_text("a")
    finish(folder, "a")

    def interrupted(source, target):
        target.mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages.shutil, "copytree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stages.begin(folder, NETWORK, "B")
    assert content(folder) == "a"
    assert not previous.exists()
    stages.begin(folder, NETWORK, "B")
    assert (content(previous), (folder / "weights/last.pt").read_text()) == ("a", "a")


def test_an_interruption_after_the_copy_keeps_the_networks(folder, previous, monkeypatch):
    stages.begin(folder, NETWORK, "A")
    (folder / "weights").mkdir()
    (folder / "weights/last.pt").write_text("a")
    finish(folder, "a")
    replace = os.replace

    def interrupted(source, target):
        if source == folder.with_name("stage.copies"):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(stages.os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stages.begin(folder, NETWORK, "B")
    assert not folder.exists()
    stages.begin(folder, NETWORK, "C")
    assert (content(previous), (folder / "weights/last.pt").read_text()) == ("a", "a")
    assert not (folder / "figures.json").exists()


def test_networks_that_only_the_earlier_folder_holds_are_not_lost(folder, previous):
    def train(seed: int, text: str) -> None:
        place = folder / "weights" / "arm" / f"seed{seed}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "last.pt").write_text(text)

    stages.begin(folder, NETWORK, "A")
    train(0, "a")
    finish(folder, "a")
    stages.begin(folder, NETWORK, "B")
    train(0, "b")
    train(1, "b")
    finish(folder, "b")
    stages.begin(folder, NETWORK, "A")
    stages.begin(folder, NETWORK, "C")
    found = {path.parent.name: path.read_text() for path in folder.rglob("last.pt")}
    assert found == {"seed0": "a", "seed1": "b"}
