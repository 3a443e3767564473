"""Particles that are not equally bright, or not evenly: the same factors in both renderers."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from drgan_lib.scene import Layout, Renderer, TransportRenderer, at_position
from drgan_lib.scene.layout import in_image
from drgan_lib.scene.uneven import ALIKE, FACETED, FARTHEST, across, brightness, charge, facets, skin, skin_powers
from tests.scene.conftest import AT_KNOTS, SIZE, SPP, small_material

SPREAD, FACET, SKIN, UNLIKE = 0.4, 0.3, 0.2, 0.8
MOST = (SPREAD, FACET, SKIN)
NAMES = ("brightness_spread", "facet_spread", "skin_spread")


@pytest.fixture(scope="module")
def both(meshes):
    bounds = {f"bounds__{name}": [0, most] for name, most in zip(NAMES, MOST, strict=True)}
    material = small_material(scene__skin_unlike=UNLIKE, **bounds)
    return [kind(material, meshes, spp=SPP) for kind in (Renderer, TransportRenderer)]


def parameters_of(material, spread: float = 0.0, facet: float = 0.0, skin: float = 0.0) -> torch.Tensor:
    parameters = at_position(material, 0.2)
    for name, value in zip(NAMES, (spread, facet, skin), strict=True):
        parameters[material.parameters.index(name)] = value
    return parameters


def test_the_skin_of_particles_has_the_spread_and_the_support_has_none(both, crowd):
    _, ours = both
    uneven, even = (ours.image(parameters_of(ours.material, skin=s), crowd, seed=3) for s in (SKIN, 0.0))
    ratio, ids = (uneven / even).log().numpy(), ours.instance_ids(crowd)
    assert ratio[ndimage.binary_erosion(ids == 0, iterations=3)] == pytest.approx(0, abs=0.01)
    assert ratio[ndimage.binary_erosion(ids > 0, iterations=3)].std() > 0.05
    rows = parameters_of(ours.material, skin=SKIN)[None].expand(200, -1)
    fields = skin(ours.material, rows, seeds=range(200)).log()
    assert (fields.mean(), fields.std()) == pytest.approx((0, SKIN), abs=0.03)


def test_each_particle_takes_the_skin_to_a_power_of_its_own(both, crowd):
    _, ours = both
    row = parameters_of(ours.material, skin=SKIN)
    uneven, even = (ours.image(values, crowd, seed=3) for values in (row, parameters_of(ours.material)))
    (powers,) = skin_powers(ours.material, [crowd], seeds=[3], like=row)
    (field,), ratio = skin(ours.material, row[None], seeds=[3]).log(), (uneven / even).log()
    ids = ours.instance_ids(crowd)
    for k, power in enumerate(powers.tolist(), 1):
        if (inside := ndimage.binary_erosion(ids == k, iterations=4)).sum() < 100:
            continue
        slope = np.polyfit(field[inside].numpy(), ratio[inside].numpy(), 1)[0]
        assert slope == pytest.approx(power, rel=0.25), k  # the beam's blur takes some of it
    logarithms = torch.cat(skin_powers(ours.material, [crowd] * 500, seeds=range(500), like=row)).log()
    assert (logarithms.mean(), logarithms.std()) == pytest.approx((0, UNLIKE), abs=0.05)


def test_both_renderers_give_a_particle_the_same_brightness(both, crowd):
    parameters = parameters_of(both[0].material, *MOST)
    images = [renderer.image(parameters, crowd, seed=crowd.seed) for renderer in both]
    assert (images[0] - images[1]).abs().max() < AT_KNOTS * images[0].max()


def test_a_factor_is_that_of_a_particle_and_the_support_has_none(both, crowd):
    _, ours = both
    wide, none = (ours.image(parameters_of(ours.material, s), crowd, seed=3) for s in (SPREAD, 0.0))
    ratio, ids = (wide / none).numpy(), ours.instance_ids(crowd)
    (factors,) = brightness(ours.material, parameters_of(ours.material, SPREAD)[None], [crowd], seeds=[3])
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
    at, step = np.array([0.2, 0.15, 0.1]), 0.01
    i = [ours.material.parameters.index(name) for name in NAMES]

    def seen(place: np.ndarray) -> float:
        return (judge.image(parameters_of(ours.material, *place), crowd, seed=crowd.seed).double() * ramp).mean().item()

    expected = [(seen(at + step * one) - seen(at - step * one)) / (2 * step) for one in np.eye(3)]
    for renderer in both:
        parameters = parameters_of(ours.material, *at).requires_grad_()
        (renderer.image(parameters, crowd, seed=crowd.seed).double() * ramp).mean().backward()
        assert parameters.grad[i].numpy() == pytest.approx(expected, rel=0.02, abs=1e-4)


def test_logarithms_have_the_spread_and_a_seed_means_the_same_in_any_batch(both, crowd):
    material = both[1].material
    parameters = parameters_of(material, SPREAD, FACET)[None].expand(500, -1)
    factors = brightness(material, parameters, [crowd] * 500, seeds=range(500))
    lines = facets(material, parameters, [crowd] * 500, seeds=range(500))
    logarithms = np.log(torch.cat(factors).numpy())
    assert (logarithms.mean(), logarithms.std()) == pytest.approx((0, SPREAD), abs=0.03)
    steps = torch.cat(lines)[:, 3:]
    faceted = (steps != 0).all(dim=1)
    assert faceted.float().mean() == pytest.approx(FACETED, abs=0.03)
    assert (steps[~faceted] == 0).all()
    steps = steps[faceted]
    assert torch.stack([steps.mean(dim=0), steps.std(dim=0)]).numpy() == pytest.approx(
        np.array([[0] * 2, [FACET] * 2]), abs=0.03
    )
    larger = Layout(*(np.concatenate([a, a[:2]]) for a in (crowd.transforms, crowd.rotations, crowd.mesh_index)))
    for draw, many in ((brightness, factors), (facets, lines)):
        beside = draw(material, parameters[:2], [crowd, larger], seeds=[41, 42])[0]
        assert beside.numpy() == pytest.approx(many[41].numpy(), abs=1e-6)


def test_neighbours_are_alike_and_particles_far_apart_are_not(both):
    """Two that touch, alone: both have the weights 1 and w, so that they correlate as 2 w / (1 + w^2)."""
    material = both[1].material
    at = material.scene.stage_y + 0.5
    places = np.array([[-3, at, 0, 1], [-2, at, 0, 1], [3, at, 0, 1]], np.float32)
    row = Layout(places, np.tile(np.eye(3, dtype=np.float32), (3, 1, 1)), np.zeros(3, int))
    parameters = parameters_of(material, SPREAD)[None].expand(4000, -1)
    logarithms = torch.stack(brightness(material, parameters, [row] * 4000, seeds=range(4000))).log().numpy()
    magnified = (material.scene.camera_y - material.scene.stage_y) / (material.scene.camera_y - at)
    w = math.exp(-((magnified / ALIKE) ** 2) / 2)
    correlation = np.corrcoef(logarithms.T)
    assert correlation[0, 1] == pytest.approx(2 * w / (1 + w**2), abs=0.04)
    assert np.abs(correlation[2, :2]).max() < 0.05
    assert logarithms.std(axis=0) == pytest.approx(SPREAD, rel=0.05)


def test_charge_takes_a_part_of_the_light_or_adds_the_same_everywhere(meshes, crowd):
    larger = {"patches__size_px": 96, "scene__size_px": 96}
    materials = [small_material(gan__appearance="sem", scene__charge=spread, **larger) for spread in (0, 0.4)]
    neutral, loaded = (TransportRenderer(material, meshes, spp=SPP) for material in materials)
    row = at_position(materials[0], 0.3)
    before, after = (renderer.image(row, crowd, seed=1).numpy() for renderer in (neutral, loaded))
    ids = neutral.instance_ids(crowd)
    level, support = before[ids > 0].mean(), ndimage.binary_erosion(ids == 0, iterations=3)
    assert after[support] == pytest.approx(before[support], abs=1e-3)
    (factors,) = charge(materials[1], [crowd], seeds=[1], like=row)
    kinds = set()
    for k, factor in enumerate(factors.tolist(), 1):
        if (inside := ndimage.binary_erosion(ids == k, iterations=3)).sum() < 20:
            continue
        kinds.add(factor > 1)
        if factor < 1:
            assert after[inside] / before[inside] == pytest.approx(factor, abs=1e-3)
        else:
            assert after[inside] - before[inside] == pytest.approx((factor - 1) * level, rel=0.05, abs=1e-3)
    assert kinds == {False, True}
    logarithms = torch.cat(charge(materials[1], [crowd] * 500, seeds=range(500), like=row)).log()
    assert (logarithms.mean(), logarithms.std()) == pytest.approx((0, 0.4), abs=0.03)


def test_a_line_crosses_its_particle_and_parts_two_sides(both, crowd):
    """Its distance from the middle as the instances show it, and the ratio of brightness far from it on both sides."""
    _, ours = both
    drawn = parameters_of(ours.material, facet=FACET)
    (lines,) = facets(ours.material, drawn[None], [crowd], seeds=[3])
    ids = ours.instance_ids(crowd)
    ratio = (ours.image(drawn, crowd, seed=3) / ours.image(parameters_of(ours.material), crowd, seed=3)).log().numpy()
    assert ratio[ndimage.binary_erosion(ids == 0, iterations=3)] == pytest.approx(0, abs=0.01)
    middles = in_image(crowd.transforms[:, :3], ours.material)
    radii = crowd.transforms[:, 3] * ours.material.scene_unit_px / 2
    for k, (line, middle, radius) in enumerate(zip(lines.numpy(), middles, radii, strict=True), 1):
        assert abs(line[:2] @ middle - line[2]) <= FARTHEST * radius + 1e-3
        inside = ndimage.binary_erosion(ids == k, iterations=3)
        away = np.einsum("i,i...->...", line[:2], np.indices(ids.shape)) - line[2]
        for side in (1, -1):
            assert ratio[inside & (side * away > 5)] == pytest.approx(side * line[3] / 2, abs=0.02)


def test_a_factor_is_that_of_the_line_on_it_and_half_a_step_far_from_it():
    line = torch.tensor([0.6, 0.8, 5.0, 0.4, 0.1])
    rows, columns = torch.tensor([3.0, 60.0, -60.0]), torch.tensor([4.0, 80.0, -80.0])
    assert across(line, rows, columns).log().tolist() == pytest.approx([0.1, 0.2, -0.2], abs=1e-6)
    assert math.log(across(line, torch.tensor(8.0), torch.tensor(0.25))) == pytest.approx(0.1, abs=1e-6)
