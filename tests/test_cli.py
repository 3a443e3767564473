"""The command line: what it prints, and the exit codes."""

from __future__ import annotations

from types import SimpleNamespace

import nbformat
import pytest

from drgan_lib import cli, quantify, report, segmentation
from drgan_lib.config import materials
from drgan_lib.files import write_json
from drgan_lib.quantify import Counting
from drgan_lib.runs import pipeline
from drgan_lib.runs.execute import NotebookFailed, copy_pages
from drgan_lib.runs.keys import STAGES
from drgan_lib.runs.results import load_results, table

STORED = {
    "metrics": {
        "dsc": {
            "value": 0.9061,
            "low": 0.8812,
            "high": 0.9301,
            "definition": "Dice coefficient of the foreground, mean over images",
            "split": "test",
        },
        "acceptance_rate": {"value": 1.0, "definition": "share of images | that passed"},
        "recovery_after": {"value": None, "definition": "not a twin"},
    },
    "stages": {"data": 12.4, "gan": 300.0},
    "device": "a processor, 2 cores",
    "seed": 3,
}


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "runs/twin/demo"
    write_json(folder / "results.json", STORED)
    return folder


def test_the_table_is_aligned_and_wrapped(run_folder):
    lines = table(load_results(run_folder), width=80).splitlines()
    assert lines[0].split() == ["metric", "value", "split", "definition"]
    assert " ".join(lines[2].split()) == "dsc 0.906 [0.881, 0.93] test Dice coefficient of the"
    assert lines[3].strip() == "foreground, mean over images"
    assert max(map(len, lines)) <= 80
    assert any(line.split() == ["together", "312", "s"] for line in lines)
    assert lines[-1] == "device: a processor, 2 cores   seed: 3"


def test_a_run_without_metrics_has_a_table():
    assert table({**STORED, "metrics": {}}).startswith("no metrics yet")


def test_materials_are_listed(capsys, monkeypatch):
    lines = _materials(capsys, monkeypatch)
    assert {line.split()[0] for line in lines[2:] if line[0] != " "} == set(materials())
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("tio2_sem", ["tio2_sem", "CC BY-NC-ND 4.0", "3 to 48", "-", "TiO2 in SEM; known:"]),
        ("rods_sem", ["emps/rods_sem", "MIT", "2 to 6", "-", "Rods in SEM (EMPS);"]),
        ("twin", ["its twin", "CC0 1.0", "12 to 40", "7.344", "Digital twin of TiO2"]),
    ],
)
def test_a_material_is_listed_with_what_is_known_of_it(name, cells, capsys, monkeypatch):
    (line,) = [line for line in _materials(capsys, monkeypatch) if line.startswith(f"{name} ")]
    found = [cell.strip() for cell in line.split("  ") if cell.strip()]
    assert found[:-1] == [name, *cells[:-1]]
    assert found[-1].startswith(cells[-1])


def _materials(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert cli.main(["materials"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "twin", "-P", "gan.epoch=3"], "gan.epoch"),
        (["run", "twin", "-P", "gan.epochs"], "expected section.key=value"),
        (["run", "twin", "--profile", "huge"], "unknown profile 'huge'"),
        (["run", "twin", "-P", "gan.epochs=[1"], "not valid YAML"),
        (["run", "twin", "-P", "meshes.path=nowhere"], "expected a folder of mesh files"),
        (["run", "absent"], "unknown material 'absent'"),
        (["run", "twin", "--stage", "gna"], "unknown stage 'gna'"),
        (["run", "tio2_sem", "-P", "dataset.path=nowhere"], "expected a folder of images"),
        (["report", "nowhere"], "results.json"),
        (["fetch", "absent"], "unknown dataset 'absent'"),
        (["pages", "nowhere"], "finish the run first"),
        (["measure", "a.png", "--model", "nowhere"], "with a trained network, found none in nowhere"),
    ],
)
def test_what_the_user_can_correct_is_one_message(arguments, message, capsys):
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("drgan: ")
    assert message in error
    assert "Traceback" not in error


def test_who_counts_and_where_results_go_can_be_chosen(monkeypatch, capsys):
    asked = []

    def measure_images(places, model, out, **more):
        asked.append((str(out), more["counting"]))
        return SimpleNamespace(lines=list, left_out={})

    monkeypatch.setattr(quantify, "measure_images", measure_images)
    monkeypatch.setattr(report, "report_measurement", lambda out, found: out / "report.html")
    monkeypatch.setattr(segmentation, "load_model", lambda *_, **__: SimpleNamespace(min_area_px=50))
    common = ["measure", "my images/a b.png", "c.png", "--model", "run"]
    for more in ([], ["--min-area-px", "0", "--border", "weight", "--out", "out"]):
        assert cli.main([*common, *more]) == 0
    assert asked == [("a b_measured", Counting(50, "exclude")), ("out", Counting(0, "weight"))]
    assert "results: a b_measured\nreport: a b_measured/report.html\n" in capsys.readouterr().out
    assert cli.main([*common, "--min-area-px", "-1"]) == 2
    assert "expected a smallest area of at least 0 px, got -1" in capsys.readouterr().err


def test_a_failed_notebook_names_its_copy_and_the_way_on(monkeypatch, capsys, tmp_path):
    def fail(*args, **kwargs):
        raise NotebookFailed("ValueError: the reason", tmp_path / "03_gan_training.failed.ipynb")

    monkeypatch.setattr(pipeline, "run", fail)
    assert cli.main(["run", "twin", "-P", "gan.epochs=3", "--seed", "4"]) == 1
    error = capsys.readouterr().err
    assert "ValueError: the reason" in error
    assert "03_gan_training.failed.ipynb" in error
    assert "drgan run twin -P gan.epochs=3 --seed 4" in error


def test_arms_are_settings_of_one_call(monkeypatch, tmp_path):
    asked = []

    def fail(material, profile, overrides, **more):
        asked.append(overrides)
        raise NotebookFailed("ValueError: the reason", tmp_path / "copy.ipynb")

    monkeypatch.setattr(pipeline, "run", fail)
    assert cli.main(["run", "twin", "--arms", "otsu"]) == cli.main(["run", "twin"]) == 1
    assert asked == [["segmentation.arms=otsu"], []]


def test_an_interrupted_run_says_how_to_go_on(monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", interrupt)
    assert cli.main(["run", "twin"]) == 130
    assert "resumes" in capsys.readouterr().err


def test_meshes_are_written(tmp_path, capsys):
    assert cli.main(["meshes", "twin", "--folder", str(tmp_path)]) == 0
    paths = capsys.readouterr().out.split()
    assert len(paths) == len(list(tmp_path.iterdir())) > 0


def write_page(folder, stage, outputs=()):
    cell = nbformat.v4.new_code_cell("1 / 0", outputs=list(outputs))
    (folder / "notebooks").mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / "notebooks" / f"{stage.notebook}.ipynb")


def test_pages_of_a_finished_run_go_into_the_book(run_folder, tmp_path):
    for stage in STAGES:
        write_page(run_folder, stage)
    book = tmp_path / "executed"
    book.mkdir()
    (book / "stale.ipynb").touch()
    assert copy_pages(run_folder, book) == sorted(book.iterdir())
    assert not (book / "stale.ipynb").exists()


def test_a_page_with_an_error_stays_out_of_the_book(run_folder, tmp_path):
    for stage in STAGES:
        write_page(run_folder, stage)
    error = nbformat.v4.new_output("error", ename="ZeroDivisionError", evalue="division by zero")
    write_page(run_folder, STAGES[2], [error])
    with pytest.raises(ValueError, match="ZeroDivisionError: division by zero"):
        copy_pages(run_folder, tmp_path / "executed")
    assert not (tmp_path / "executed").exists()


def test_a_folder_with_anything_but_notebooks_is_left_alone(run_folder, tmp_path):
    for stage in STAGES:
        write_page(run_folder, stage)
    home = tmp_path / "home"
    (home / "thesis.ipynb").mkdir(parents=True)
    (home / "old.ipynb").touch()
    with pytest.raises(ValueError, match=r"one with thesis\.ipynb; name a new folder"):
        copy_pages(run_folder, home)
    assert len(list(home.iterdir())) == 2
