"""The recovery report over materials, from runs that are only pretended."""

import pandas as pd
import pytest

from drgan_lib import cli
from drgan_lib.config import ConfigError, load_experiment
from drgan_lib.data import DataError
from drgan_lib.files import write_json
from drgan_lib.runs import pipeline, recover
from drgan_lib.runs.execute import NotebookFailed
from drgan_lib.scene import LayoutError

ROW = {"true_mean": 0.6, "true_std": 0.1, "learned_mean": 0.5, "learned_std": 0.2, "untrained_mean": 0.2}


@pytest.fixture
def ran(monkeypatch):
    """Names of the runs that were asked for; each leaves a recovery.json."""
    calls = []

    def run(name, profile, overrides, *, runs, only, echo):
        exp = load_experiment(name, profile, overrides, runs=runs)
        calls.append((name, overrides, tuple(only)))
        parameters = {
            "roughness": {**ROW, "untrained_std": 0.1, "before": 0.4, "after": 0.1},
            "noise_sigma": {**ROW, "untrained_std": 0.1, "before": 0.2, "after": 0.3},
        }
        write_json(exp.run_dir / "gan" / "recovery.json", {"epoch": 7, "parameters": parameters})

    monkeypatch.setattr(pipeline, "run", run)
    return calls


def without_twin(monkeypatch, name):
    """Makes the material `name` one that has no section `twin`."""
    original = load_experiment

    def load(asked, *args, **kwargs):
        exp = original(asked, *args, **kwargs)
        bare = exp.material.model_copy(update={"twin": None})
        return exp.model_copy(update={"material": bare}) if asked == name else exp

    monkeypatch.setattr(recover, "load_experiment", load)


def test_every_material_runs_on_its_own_twin(ran, tmp_path):
    table, missing = recover.recover_all(["twin"], runs=tmp_path, echo=lambda _: None)
    assert ran == [("twin", {"dataset.twin_of": "twin"}, ("data", "scene", "gan"))]
    assert not missing
    assert list(table) == ["material", "profile", "epoch", "parameter", *recover.COLUMNS]
    assert list(table["parameter"]) == ["roughness", "noise_sigma"]
    assert recover.summary(table).startswith("Materials: 1. Mean distance 0.300 before, 0.200 after training; 1 of 2")


def test_settings_are_changed_for_all(ran, tmp_path):
    change = "gan.detector=poisson_gaussian"
    assert cli.main(["recovery", "twin", "tio2_sem", "-P", change, "--runs", str(tmp_path)]) == 0
    assert [(name, values["gan.detector"]) for name, values, _ in ran] == [
        ("twin", "poisson_gaussian"),
        ("tio2_sem", "poisson_gaussian"),
    ]
    with pytest.raises(ConfigError, match=r"gan\.detector"):
        recover.recover_all(["twin"], overrides=["gan.detector=none"], runs=tmp_path)


def test_the_table_is_written_and_printed(ran, tmp_path, capsys):
    assert cli.main(["recovery", "twin", "--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "roughness" in out
    assert f"table: {tmp_path / 'recovery.md'}" in out
    assert len(pd.read_csv(tmp_path / "recovery.csv")) == 2
    assert "| twin       | demo      | 7       | roughness   | 0.6 " in (tmp_path / "recovery.md").read_text()


def test_a_material_without_a_twin_is_named_and_left_out(ran, tmp_path, capsys, monkeypatch):
    without_twin(monkeypatch, "tio2_sem")
    assert cli.main(["recovery", "tio2_sem", "twin", "--runs", str(tmp_path)]) == 1
    assert "not in the table: tio2_sem, it has no section `twin`" in capsys.readouterr().err
    assert [name for name, *_ in ran] == ["twin"]
    assert set(pd.read_csv(tmp_path / "recovery.csv")["material"]) == {"twin"}


def test_a_failed_run_does_not_end_the_others(ran, tmp_path, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise NotebookFailed("ValueError: the reason", tmp_path / "03.failed.ipynb")

    monkeypatch.setattr(pipeline, "run", fail)
    assert cli.main(["recovery", "twin", "--runs", str(tmp_path)]) == 1
    assert "the reason" in capsys.readouterr().err
    assert not (tmp_path / "recovery.csv").exists()


@pytest.mark.parametrize("kind", [LayoutError, DataError, ConfigError, OSError])
def test_what_goes_wrong_before_the_notebooks_does_not_end_the_others(ran, tmp_path, monkeypatch, capsys, kind):
    succeed = pipeline.run

    def run(name, *args, **kwargs):
        if name == "tio2_sem":
            raise kind("the particles do not fit")
        succeed(name, *args, **kwargs)

    monkeypatch.setattr(pipeline, "run", run)
    assert cli.main(["recovery", "tio2_sem", "twin", "--runs", str(tmp_path)]) == 1
    assert "not in the table: tio2_sem, its run failed: the particles do not fit" in capsys.readouterr().err
    assert set(pd.read_csv(tmp_path / "recovery.csv")["material"]) == {"twin"}


def test_an_unknown_material_is_refused_before_the_first_run(ran, tmp_path):
    with pytest.raises(ConfigError, match="unknown material 'gold'"):
        recover.recover_all(["twin", "gold"], runs=tmp_path)
    assert not ran
