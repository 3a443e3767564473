"""The point spread: blur after the film is a wide filter, and keeps derivatives and sums."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from drgan_lib.config import PIXEL_STD_PX, ConfigError
from drgan_lib.scene import Renderer, TransportRenderer
from drgan_lib.scene.backend import mi
from drgan_lib.scene.detector import blur_std_px, spread
from tests.scene.conftest import AT_KNOTS, small_material


def test_film_and_blur_make_up_the_filter():
    for std in (PIXEL_STD_PX, 0.3, 0.5, 1.0, 3.0):
        settings = small_material(scene__filter_std_px=std).scene
        point = torch.zeros(61, 61, dtype=torch.float64)
        point[30, 30] = 1
        seen = spread(point, blur_std_px(settings)).sum(dim=0).numpy()
        variance = (seen * (np.arange(61) - 30) ** 2).sum()
        assert seen.sum() == pytest.approx(1)
        assert variance + 1 / 12 == pytest.approx(std**2), "1/12 is that of light even over a pixel"
    with pytest.raises(ConfigError, match="filter_std_px"):
        small_material(scene__filter_std_px=0.28)


@settings(max_examples=20)
@given(st.floats(0.1, 3), st.floats(0.1, 3))
def test_blur_after_blur_is_one_blur(one, other):
    point = torch.zeros(101, 101, dtype=torch.float64)
    point[50, 50] = 1
    twice, once = spread(spread(point, one), other), spread(point, float(np.hypot(one, other)))
    assert twice[40:61, 40:61].numpy() == pytest.approx(once[40:61, 40:61].numpy(), abs=1e-6)


@pytest.mark.parametrize(("std", "close"), [(1.5, 0.02), (3.0, 0.002)])
def test_inside_it_comes_close_to_a_sampled_gaussian(std, close):
    image = torch.rand(48, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = spread(image, std).numpy(), gaussian_filter(image.numpy(), std, truncate=8)
    assert ours[20:28, 25:-25] == pytest.approx(theirs[20:28, 25:-25], abs=close)


def test_a_constant_stays_and_no_blur_changes_nothing():
    assert spread(torch.full((20, 30), 0.3), 3.0) == pytest.approx(torch.full((20, 30), 0.3))
    image = torch.rand(5, 6)
    assert spread(image, 0.0) is image


def test_it_is_the_wide_filter_of_mitsuba(meshes, crowd):
    """But for the samples, which the two ways weigh differently."""
    material = small_material(scene__filter_std_px=3.0)
    values = torch.tensor([0.5, 0.6, 0.3, 0.5, 0.2, 0.01])
    renderer = Renderer(material, meshes, spp=256)
    ours = renderer.image(values, crowd, seed=1)
    scene, size = renderer.scene(crowd).scene, material.scene.size_px
    wide = {"type": "hdrfilm", "width": size, "height": size, "pixel_format": "luminance"}
    wide["rfilter"] = {"type": "gaussian", "stddev": 3.0}
    camera = {"type": "perspective", "fov": material.scene.fov_deg, "film": wide, "sampler": {"type": "multijitter"}}
    camera["to_world"] = mi.ScalarTransform4f(np.array(mi.traverse(scene.sensors()[0])["to_world"].matrix)[..., 0])
    direct = mi.load_dict({"type": "direct", "emitter_samples": 16, "bsdf_samples": 0})
    theirs = torch.tensor(np.array(mi.render(scene, sensor=mi.load_dict(camera), integrator=direct, spp=256, seed=2)))[
        ..., 0
    ]
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
