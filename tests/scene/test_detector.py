"""The point spread: blur after a narrow filter is a wide filter, and keeps derivatives and sums."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from drgan_lib.scene import Renderer, TransportRenderer, build, render
from drgan_lib.scene.detector import blur_std_px, film_std_px, spread
from tests.scene.conftest import AT_KNOTS, small_material


def test_both_parts_make_up_the_filter():
    for std in (0.2, 0.5, 1.0, 3.0):
        settings = small_material(scene__filter_std_px=std).scene
        assert np.hypot(film_std_px(settings), blur_std_px(settings)) == pytest.approx(std)
        assert film_std_px(settings) <= 0.5


@pytest.mark.parametrize("std", [0.7, 3.0])
def test_inside_it_is_scipys_gaussian(std):
    image = torch.rand(48, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = spread(image, std).numpy(), gaussian_filter(image.numpy(), std, truncate=8)
    assert ours[20:28, 25:-25] == pytest.approx(theirs[20:28, 25:-25], abs=1e-6)


def test_a_constant_stays_and_no_blur_changes_nothing():
    assert spread(torch.full((20, 30), 0.3), 3.0) == pytest.approx(torch.full((20, 30), 0.3))
    image = torch.rand(5, 6)
    assert spread(image, 0.0) is image


def test_it_is_the_wide_filter_of_mitsuba(monkeypatch, meshes, crowd):
    """But for the samples, which the two ways weigh differently."""
    material = small_material(scene__filter_std_px=3.0)
    values = torch.tensor([0.5, 0.6, 0.3, 0.5, 0.2, 0.01])
    ours = Renderer(material, meshes, spp=256).image(values, crowd, seed=1)
    monkeypatch.setattr(build, "film_std_px", lambda settings: settings.filter_std_px)
    monkeypatch.setattr(render, "blur_std_px", lambda settings: 0.0)
    theirs = Renderer(material, meshes, spp=256).image(values, crowd, seed=2)
    difference = (ours - theirs).abs()
    assert difference.max() < 0.03 * theirs.max()
    assert difference.mean() < 0.003 * theirs.max()


def test_transport_and_mitsuba_still_agree_and_so_do_their_derivatives(meshes, crowd):
    material = small_material(scene__filter_std_px=3.0)
    transport = TransportRenderer(material, meshes, spp=16)
    values = torch.tensor([transport.terms.knots[3].item(), 0.6, 0.3, 0.5, 0.2, 0.01], requires_grad=True)
    image = transport.image(values, crowd)
    expected = Renderer(material, meshes, spp=16).image(values.detach(), crowd, seed=crowd.seed)
    assert (image - expected).abs().max() < AT_KNOTS * expected.max()
    mask = torch.rand(image.shape, generator=torch.Generator().manual_seed(1))
    (image * mask).sum().backward()
    step = torch.zeros(6)
    step[1] = 0.01
    with torch.no_grad():
        ends = [(transport.image(values + s * step, crowd) * mask).sum().double() for s in (1, -1)]
    assert values.grad[1] == pytest.approx(float(ends[0] - ends[1]) / 0.02, rel=1e-3)
