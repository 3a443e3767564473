"""The scene stage: its files, and what its figures say of particles and clusters without room."""

import importlib

import pandas as pd
import pytest

from drgan_lib.files import read_json
from tests.scene.conftest import small_experiment


@pytest.fixture
def figures_of(tmp_path, monkeypatch):
    """Figures of the stage with overrides, without its rendering."""
    module = importlib.import_module("drgan_lib.scene.prepare")  # the package has the function under this name
    monkeypatch.setattr(module, "make_renderer", lambda exp, stage: None)
    monkeypatch.setattr(module, "liveness", lambda renderer, layout: pd.DataFrame({"alive": [True, False]}))

    def figures(**changes):
        exp = small_experiment(runs=tmp_path, gan__n_layouts=6, **changes)
        folder = module.prepare(exp)
        assert len(module.load_layouts(exp)) == 6
        return read_json(folder / "figures.json")

    return figures


def test_clusters_that_do_not_fit_are_reported(figures_of):
    fitting = figures_of(layout__clusters=[2, 2])["layouts_with_fewer_clusters"]
    assert (fitting["value"], fitting["of"]) == (0, 6)
    crowded = figures_of(layout__clusters=[5, 5], layout__seed_radius=4.5)["layouts_with_fewer_clusters"]
    assert 0 < crowded["value"] <= crowded["of"] == 6


def test_particles_without_a_place_are_reported(figures_of):
    figures = figures_of(layout__space="planar", layout__n_particles=[5, 40])
    row = figures["particles_without_place"]
    assert 0 < row["value"] < row["of"]
    assert 0 < figures["layout_coverage"]["value"] < 1
    assert figures["live_parameters"]["value"] == 1
