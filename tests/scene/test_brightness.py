"""Particles that are not equally bright, or not evenly: the same factors in both renderers."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from drgan_lib.scene import Renderer, TransportRenderer, at_position
from tests.scene.conftest import AT_KNOTS, SIZE, SPP, small_material

SPREAD, SKIN = 0.4, 0.2


@pytest.fixture(scope="module")
def both(meshes):
    material = small_material(bounds__brightness_spread=[0, SPREAD], bounds__skin_spread=[0, SKIN])
    return [kind(material, meshes, spp=SPP) for kind in (Renderer, TransportRenderer)]


def parameters_of(material, spread: float, skin: float = 0.0) -> torch.Tensor:
    parameters = at_position(material, 0.2)
    parameters[material.parameters.index("brightness_spread")] = spread
    parameters[material.parameters.index("skin_spread")] = skin
    return parameters


def test_the_skin_of_particles_has_the_spread_and_the_support_has_none(both, crowd):
    _, ours = both
    uneven, even = (ours.image(parameters_of(ours.material, 0.0, s), crowd, seed=3) for s in (SKIN, 0.0))
    ratio, ids = (uneven / even).log().numpy(), ours.instance_ids(crowd)
    assert ratio[ndimage.binary_erosion(ids == 0, iterations=3)] == pytest.approx(0, abs=0.01)
    assert ratio[ndimage.binary_erosion(ids > 0, iterations=3)].std() > 0.05
    fields = ours.skin(parameters_of(ours.material, 0.0, SKIN)[None].expand(200, -1), seeds=range(200)).log()
    assert (fields.mean(), fields.std()) == pytest.approx((0, SKIN), abs=0.03)


def test_both_renderers_give_a_particle_the_same_brightness(both, crowd):
    parameters = parameters_of(both[0].material, SPREAD, SKIN)
    images = [renderer.image(parameters, crowd, seed=crowd.seed) for renderer in both]
    assert (images[0] - images[1]).abs().max() < AT_KNOTS * images[0].max()


def test_a_factor_is_that_of_a_particle_and_the_support_has_none(both, crowd):
    _, ours = both
    wide, none = (ours.image(parameters_of(ours.material, s), crowd, seed=3) for s in (SPREAD, 0.0))
    ratio, ids = (wide / none).numpy(), ours.instance_ids(crowd)
    (factors,) = ours.brightness(parameters_of(ours.material, SPREAD)[None], [crowd], seeds=[3])
    for k, factor in enumerate([1.0, *factors.tolist()]):
        inside = ndimage.binary_erosion(ids == k, iterations=3)
        assert ratio[inside] == pytest.approx(factor, rel=0.02), k
    assert factors.max() / factors.min() > 1.2


def test_without_spread_it_is_the_paper_s_image(both, crowd, meshes):
    plain = TransportRenderer(small_material(), meshes, spp=SPP)
    image = both[1].image(parameters_of(both[1].material, 0.0), crowd, seed=7)
    assert image == pytest.approx(plain.image(at_position(plain.material, 0.2), crowd), abs=1e-6)


def test_its_derivative_is_that_of_the_other_renderer_by_finite_differences(both, crowd):
    judge, ours = both
    ramp = torch.linspace(0.5, 1.5, SIZE, dtype=torch.float64)[None].expand(SIZE, SIZE)
    i, step = [ours.material.parameters.index(name) for name in ("brightness_spread", "skin_spread")], 0.01
    places = [[0.2 + s * step, 0.1, 0.2, 0.1 + s * step] for s in (1, -1)]
    ends = torch.stack(
        [
            (judge.image(parameters_of(ours.material, *place), crowd, seed=crowd.seed).double() * ramp).mean()
            for both_places in places
            for place in (both_places[:2], both_places[2:])
        ]
    ).view(2, 2)
    for renderer in both:
        parameters = parameters_of(ours.material, 0.2, 0.1).requires_grad_()
        (renderer.image(parameters, crowd, seed=crowd.seed).double() * ramp).mean().backward()
        assert parameters.grad[i].numpy() == pytest.approx((ends[0] - ends[1]).numpy() / (2 * step), rel=0.02)


def test_logarithms_have_the_spread_and_a_seed_means_the_same_in_any_batch(both, crowd):
    _, ours = both
    parameters = parameters_of(ours.material, SPREAD)[None].expand(500, -1)
    factors = ours.brightness(parameters, [crowd] * 500, seeds=range(500))
    logarithms = np.log(torch.cat(factors).numpy())
    assert (logarithms.mean(), logarithms.std()) == pytest.approx((0, SPREAD), abs=0.03)
    (alone,) = ours.brightness(parameters[:1], [crowd], seeds=[41])
    assert torch.equal(alone, factors[41])
