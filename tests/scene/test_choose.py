"""Which renderer a stage gets."""

from drgan_lib.scene import Renderer, TransportRenderer, make_renderer
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
