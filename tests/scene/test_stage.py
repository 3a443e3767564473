"""What the chapters ask for: the renderer of a step, and the files of chapter 02 with what their metrics say."""

import pandas as pd
import pytest

from drgan_lib.metric import read_metrics
from drgan_lib.scene import Renderer, TransportRenderer, load_layouts, make_renderer, prepare, stage
from tests.scene.conftest import small_experiment


def test_the_experiment_chooses_the_renderer(tmp_path):
    exp = small_experiment(runs=tmp_path)
    ours = make_renderer(exp, stage="gan")
    assert type(ours) is TransportRenderer
    assert ours.spp == exp.profile.gan.spp
    assert ours.cache.folder == tmp_path / "cache" / "transport"
    assert type(make_renderer(small_experiment(runs=tmp_path, gan__renderer="mitsuba"), stage="gan")) is Renderer


def test_synthesis_renders_with_mitsuba(tmp_path):
    renderer = make_renderer(small_experiment(runs=tmp_path, synthesis__spp=5), stage="synthesis")
    assert type(renderer) is Renderer
    assert renderer.spp == 5


@pytest.fixture
def metrics_of(tmp_path, monkeypatch):
    """Metrics of chapter 02 with overrides, without its rendering."""
    monkeypatch.setattr(stage, "make_renderer", lambda exp, stage: None)
    monkeypatch.setattr(stage, "liveness", lambda renderer, layout: pd.DataFrame({"alive": [True, False]}))

    def metrics(**changes):
        exp = small_experiment(runs=tmp_path, gan__n_layouts=6, **changes)
        with pytest.raises(FileNotFoundError, match="run the scene stage first"):
            load_layouts(tmp_path / "none")
        folder = prepare(exp, tmp_path)
        assert len(load_layouts(folder)) == 6
        return read_metrics(folder / "metrics.json")

    return metrics


def test_clusters_that_do_not_fit_are_reported(metrics_of):
    fitting = metrics_of(layout__clusters=[2, 2])["layouts_with_fewer_clusters"]
    assert (fitting.value, fitting.more["of"]) == (0, 6)
    crowded = metrics_of(layout__clusters=[5, 5], layout__seed_radius=4.5)["layouts_with_fewer_clusters"]
    assert 0 < crowded.value <= crowded.more["of"] == 6


def test_particles_without_a_place_are_reported(metrics_of):
    metrics = metrics_of(layout__space="planar", layout__n_particles=[5, 40])
    row = metrics["particles_without_place"]
    assert 0 < row.value < row.more["of"]
    assert 0 < metrics["layout_coverage"].value < 1
    assert metrics["live_parameters"].value == 1
