"""The panel of sliders: every parameter has one, within its bounds, and the picture follows."""

import io

import ipywidgets as widgets
import jupytext
import numpy as np
import pytest
import torch
from PIL import Image

from drgan_lib.config import ROOT
from drgan_lib.scene import at_position, sample_layout
from drgan_lib.scene.panel import START, panel
from drgan_lib.scene.parameters import micrograph


@pytest.fixture
def layouts(renderers, crowd):
    transport = renderers[1]
    return [crowd, sample_layout(transport.material, transport.meshes, seed=2)]


def parts(made: widgets.HBox) -> tuple[widgets.Image, widgets.Dropdown, dict[str, widgets.FloatSlider]]:
    """Picture, selector of layouts, and sliders by their parameter."""
    picture, controls = made.children
    choice, *sliders, _ = controls.children
    return picture, choice, {slider.description: slider for slider in sliders}


def pixels(picture: widgets.Image) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.value)))


def test_every_parameter_has_a_slider_over_its_bounds(renderers, layouts):
    bounds = renderers[1].material.bounds
    _, _, sliders = parts(panel(renderers[1], layouts))
    assert list(sliders) == list(bounds)
    for name, slider in sliders.items():
        wide = isinstance(slider, widgets.FloatLogSlider)
        ends = (10**slider.min, 10**slider.max) if wide else (slider.min, slider.max)
        assert ends == pytest.approx(bounds[name])
        assert wide == (bounds[name][0] > 0 and bounds[name][1] / bounds[name][0] > 100)
        slider.value = 1e9
        assert slider.value == pytest.approx(bounds[name][1])


@pytest.mark.parametrize("which", [0, 1], ids=["mitsuba", "transport"])
def test_the_picture_is_the_micrograph_of_the_sliders_values(renderers, layouts, which):
    renderer = renderers[which]
    parameters = at_position(renderer.material, START)
    picture, choice, sliders = parts(panel(renderer, layouts))

    def differs() -> int:
        expected = micrograph(renderer, parameters, layouts[choice.value])
        return int(np.abs(pixels(picture).astype(int) - (255 * expected).round().numpy()).max())

    assert differs() == 0
    for i, (name, slider) in enumerate(sliders.items()):
        start, before = float(parameters[i]), pixels(picture)
        parameters[i] = slider.value = renderer.material.bounds[name][1]
        assert differs() == 0
        if name != "sheen_tint":  # it has no effect in monochrome
            assert np.abs(pixels(picture).astype(int) - before).max() > 1, name
        parameters[i] = slider.value = start
    before = pixels(picture)
    choice.value = 1
    assert not np.array_equal(pixels(picture), before)
    assert differs() <= 1


def test_only_precomputed_transport_follows_a_slider_as_it_moves(renderers, layouts):
    for renderer, live in zip(renderers, (False, True), strict=True):
        assert all(slider.continuous_update == live for slider in parts(panel(renderer, layouts))[2].values())


def test_noise_is_added_between_two_clamps(renderers, crowd):
    transport = renderers[1]
    parameters = at_position(transport.material, 0.5)
    index = transport.material.parameters.index("noise_sigma")
    parameters[index] = 0
    clean = micrograph(transport, parameters, crowd)
    assert torch.equal(clean, transport.image(parameters, crowd).clamp(0, 1))
    parameters[index] = 0.02
    noisy = micrograph(transport, parameters, crowd)
    assert 0 <= float(noisy.min()) <= float(noisy.max()) <= 1
    middle = (clean > 0.1) & (clean < 0.9)
    assert float((noisy - clean)[middle].std()) == pytest.approx(0.02, rel=0.2)
    assert torch.equal(noisy, micrograph(transport, parameters, crowd)), "the same seed, the same noise"


def test_the_chapters_cell_makes_a_panel(renderers, layouts):
    """`drgan run` leaves the cell out, since a page cannot answer its sliders; so it is run here."""
    chapter = jupytext.read(ROOT / "notebooks/02_scene_design.py")
    (cell,) = [cell for cell in chapter.cells if "skip-execution" in cell.metadata.get("tags", ())]
    *lines, last = cell.source.splitlines()
    names = {"transport": renderers[1], "layouts": layouts}
    exec("\n".join(lines), names)
    assert isinstance(eval(last, names), widgets.HBox)
