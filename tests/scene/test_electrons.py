"""Images of secondary electrons: closed forms for a sphere on the support, and the weighted sum."""

import math

import numpy as np
import pytest
import torch
import trimesh
from scipy.special import erfc

from drgan_lib.scene import Layout, Renderer, SceneError, TransportRenderer, at_position, liveness, make_renderer
from drgan_lib.scene.electrons import EDGES_PER_SIZE, Electrons, edge_yield, smoothed, tilt_yield
from tests.scene.conftest import small_experiment, small_material

R, PX = 1.0, 96  # radius of the sphere, side of the image
# Rays that are nearly parallel, as a microscope's.
FAR_CAMERA = {"scene__camera_y": 500, "scene__top_y": 600, "scene__fov_deg": math.degrees(2 * math.atan(3.64 / 504))}
FIELDS = ("transforms", "rotations", "mesh_index")
SEM = small_material(gan__appearance="sem")


def spheres(*heights: float, apart: float = 0.0) -> Layout:
    """Spheres above each other, with centres at these heights over the support, moved aside by `apart`."""
    transforms = np.array([[apart, -4 + height, 0, 2 * R] for height in heights], np.float32)
    return Layout(transforms, np.tile(np.eye(3, dtype=np.float32), (len(heights), 1, 1)), np.zeros(len(heights), int))


@pytest.fixture(scope="module")
def renderer() -> TransportRenderer:
    material = small_material(gan__appearance="sem", patches__size_px=PX, scene__size_px=PX, **FAR_CAMERA)
    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.5)
    return TransportRenderer(material, [ball], spp=64)


@pytest.fixture(scope="module")
def radius(renderer) -> torch.Tensor:
    """[h w]: how far each pixel's centre is from the middle of the image, in scene units."""
    x = (torch.arange(PX) + 0.5 - PX / 2) / renderer.material.scene_unit_px
    return torch.hypot(x[:, None], x[None]).flatten()


def images_of(renderer, layout) -> dict[str, torch.Tensor]:
    """Images [h w] of the particles by name, of the tilt at the least sharpness."""
    basis = renderer.basis(layout).to("cpu")
    return {
        next(iter(setting)): torch.zeros(PX**2).index_add(0, basis.pixel, image)
        for setting, image in reversed(list(zip(renderer.terms.settings, basis.particles, strict=True)))
    }


def test_on_a_sphere_every_image_is_known(renderer, radius):
    images, d = images_of(renderer, spheres(R)), renderer.terms.size
    inside = radius < 0.9 * R
    assert images["flat"].sum() / renderer.material.scene_unit_px**2 == pytest.approx(math.pi * R**2, rel=5e-3)
    assert (images["flat"][inside] == 1).all()
    depth = (R**2 - radius[inside] ** 2).sqrt()
    tilt = tilt_yield(depth / R, float(renderer.terms.knots[0]))
    assert images["tilt, sharpness"][inside] == pytest.approx(tilt, abs=0.02)
    assert images["elevation"][inside] == pytest.approx((R + depth) / d, abs=0.02)
    assert images["thickness"][inside] == pytest.approx(1 - torch.exp(-2 * depth / d), abs=0.02)


def test_a_sphere_sees_the_sky_that_its_support_leaves(renderer, radius):
    """V of a normal at the angle t to the vertical is (1 + cos t) / 2, M is (2/3) (1 - t / pi) sin t to its side."""
    images = images_of(renderer, spheres(R))
    x = (torch.arange(PX**2) % PX + 0.5 - PX / 2) / renderer.material.scene_unit_px
    for low in np.arange(0, 0.9, 0.15):
        ring = (radius > low * R) & (radius < (low + 0.15) * R)
        sine = radius[ring] / R
        expected = (1 + (1 - sine**2).sqrt()) / 2
        assert images["sky"][ring].mean() == pytest.approx(expected.mean(), abs=0.02)
        outwards = 2 / 3 * (1 - torch.asin(sine) / math.pi) * sine
        seen = images["sky, to the right"][ring] * x[ring] / radius[ring]
        assert 2 * seen.mean() == pytest.approx(outwards.mean(), abs=0.04)


def test_the_support_beside_a_sphere_loses_the_sky_that_the_sphere_hides(renderer, radius):
    """At the distance D from where they touch the sphere takes R^3 / (D^2 + R^2)^(3/2)."""
    white, sky, right, down = renderer.basis(spheres(R)).to("cpu").stage[0]
    assert (white[radius > 1.1 * R] == 1).all()
    assert (white[radius < 0.9 * R] == 0).all()
    x = (torch.arange(PX**2) % PX + 0.5 - PX / 2) / renderer.material.scene_unit_px
    y = (torch.arange(PX**2) // PX + 0.5 - PX / 2) / renderer.material.scene_unit_px
    for low in np.arange(1.1, 3.4, 0.3):
        ring = (radius > low * R) & (radius < (low + 0.3) * R)
        length = torch.hypot(radius[ring], torch.tensor(R))
        assert sky[ring].mean() == pytest.approx((1 - (R / length) ** 3).mean(), abs=0.01)
        # What a cone around a, of half-angle t, takes of M: the integral of w (w . n) over it, in terms of a a^T.
        cosine = (1 - (R / length) ** 2).sqrt()
        along = 2 * math.pi / 3 * (1 - cosine**3)
        across = math.pi * (2 / 3 - cosine + cosine**3 / 3)
        expected = (along - across) / math.pi * radius[ring] * R / length**2
        away = (right * x + down * y)[ring] / radius[ring]
        assert away.mean() == pytest.approx(expected.mean(), abs=0.01)


def test_a_bare_support_sees_the_whole_sky(renderer):
    basis = renderer.basis(spheres(R, apart=1000)).to("cpu")
    assert basis.pixel.numel() == 0
    white, sky, right, down = basis.stage[0]
    assert (white == 1).all()
    assert (sky == 1).all()
    assert torch.stack([right.mean(), down.mean()]) == pytest.approx(torch.zeros(2), abs=2e-3)


def test_edges_lie_at_the_outline(renderer, radius):
    edge, px = images_of(renderer, spheres(R))["edge, px"], 1 / renderer.material.scene_unit_px
    assert edge[radius < R - 4 * px].max() < 0.1
    assert edge[(radius > R - 1.5 * px) & (radius < R - px)].min() > 0.4


def test_particles_catch_what_grazing_surfaces_of_a_neighbour_set_free(renderer, radius):
    """A sphere takes cos(a) (R / D)^2 of what leaves a place, at the distance D and the angle a from the normal."""
    alone, neighbour = spheres(R), spheres(2.5 * R, apart=2.2 * R)
    pair = Layout(*(np.concatenate([getattr(one, name) for one in (alone, neighbour)]) for name in FIELDS))
    one, both = (images_of(renderer, layout)["tilt, sharpness"] for layout in (alone, pair))
    row, column = ((n + 0.5 - PX / 2) / renderer.material.scene_unit_px for n in np.divmod(np.arange(PX**2), PX))
    normal = np.stack([column, np.sqrt(np.maximum(R**2 - row**2 - column**2, 0)), row], axis=1)
    to = np.array([2.2, 1.5, 0]) * R - normal
    distance, along = np.linalg.norm(to, axis=1), (to * normal).sum(axis=1)
    left = 1 - along / distance * (R / distance) ** 2 / ((1 + normal[:, 1]) / 2)
    in_view = (along > R) & (to[:, 1] > R) & (radius.numpy() < 0.95 * R)
    facing, away = in_view & (normal[:, 0] > 0.5), (radius.numpy() < 0.95 * R) & (normal[:, 0] < -0.5)
    assert facing.sum() > 20
    assert left[facing].max() < 0.9
    assert (both[facing] / one[facing]).mean() == pytest.approx(left[facing].mean(), abs=0.03)
    assert both[facing] == pytest.approx(one[facing] * left[facing], abs=0.2)
    assert both[away] == pytest.approx(one[away], abs=0.1)


def test_a_step_brightens_its_upper_side_alone_and_a_slope_nothing():
    step, std, n = 0.5, 4.0, 64
    height = torch.zeros(n, n)
    height[:, n // 2 :] = step
    x = torch.arange(n) + 0.5 - n / 2
    above = step / 2 * erfc(x.numpy() / (math.sqrt(2) * std))
    expected = np.where(x > 0, 1 - np.exp(-EDGES_PER_SIZE * above), 0)
    assert edge_yield(height, std)[n // 2].numpy() == pytest.approx(expected, abs=0.03)
    slope = torch.linspace(0, 1, n)[None].expand(n, n)
    assert edge_yield(slope, 2.0)[:, 16:-16] == pytest.approx(torch.zeros(n, n - 32), abs=1e-4)


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 20.0])
def test_the_tilt_is_what_escapes_of_an_even_track(sharpness):
    """Scaled from 0 face-on to 1 at grazing."""
    cosine, along = torch.linspace(0.01, 1, 50), torch.linspace(0, sharpness, 20001)
    escaped = torch.exp(-along * cosine[:, None]).mean(dim=1)
    expected = (escaped - escaped[-1]) / (1 - escaped[-1])
    assert tilt_yield(cosine, sharpness) == pytest.approx(expected, abs=2e-3)
    assert tilt_yield(torch.tensor([0.0, -1.0]), sharpness) == pytest.approx(torch.ones(2), abs=1e-3)


def test_the_spline_of_the_sharpness_is_close():
    spline, cosine = Electrons.of(SEM).spline, torch.linspace(0, 1, 100)
    at_knots = torch.stack([tilt_yield(cosine, float(knot)) for knot in spline.knots])
    for sharpness in np.geomspace(spline.low, spline.high, 50):
        weights = spline.weights(torch.tensor(sharpness)).float()
        assert weights @ at_knots == pytest.approx(tilt_yield(cosine, float(sharpness)), abs=5e-3)


def test_the_way_through_a_particle_counts_what_has_grown_into_it(renderer, radius):
    """Of two spheres above each other, half in each other, the beam leaves the upper one where it is alone too."""
    alone, grown = (images_of(renderer, spheres(*heights))["thickness"] for heights in ((2 * R,), (2 * R, R)))
    inside = radius < 0.8 * R
    assert grown[inside] == pytest.approx(alone[inside], abs=1e-3)


def test_amounts_are_in_units_of_white(renderer, radius):
    material, layout = renderer.material, spheres(R)
    only = {"flat": 0.5, "stage_flat": 0.3, "sharpness": 1.0}
    image = renderer.image(torch.tensor([only.get(name, 0.0) for name in material.parameters]), layout).flatten()
    assert image[radius < 0.7 * R] == pytest.approx(0.5, abs=1e-4)
    assert image[radius > 1.3 * R] == pytest.approx(0.3, abs=1e-4)


@pytest.fixture(scope="module")
def ours(meshes) -> TransportRenderer:
    return TransportRenderer(SEM, meshes, spp=16)


def test_derivatives_are_those_of_finite_differences(ours, crowd):
    ramp = torch.linspace(0.5, 1.5, 32, dtype=torch.float64)[None].expand(32, 32)
    parameters = at_position(SEM, 0.3).requires_grad_()
    total = lambda values: (ours.image(values, crowd, seed=3).double() * ramp).mean()  # noqa: E731
    total(parameters).backward()
    for i, name in enumerate(SEM.parameters[:-1]):  # noise is none of the render's
        step = torch.zeros_like(parameters)
        step[i] = 0.02 * max(float(parameters[i].detach().abs()), 0.1)
        with torch.no_grad():
            expected = float(total(parameters + step) - total(parameters - step)) / (2 * float(step[i]))
        assert float(parameters.grad[i]) == pytest.approx(expected, rel=0.01, abs=1e-5), name


def test_equal_values_per_particle_are_the_common_image(ours, crowd):
    parameters = at_position(SEM, 0.3)
    each = {name: parameters[i].expand(len(crowd)) for i, name in enumerate(SEM.parameters) if name in ours.terms.own}
    assert ours.image(parameters, crowd, each=each) == pytest.approx(ours.image(parameters, crowd, seed=0), abs=1e-5)


def test_every_parameter_changes_the_image(ours, crowd):
    table = liveness(ours, crowd)
    assert list(table["parameter"]) == list(SEM.parameters)
    assert table["alive"].all()


def test_the_key_changes_with_what_the_images_depend_on(ours, meshes, crowd):
    def key(**changes):
        return TransportRenderer(small_material(gan__appearance="sem", **changes), meshes, spp=16).key(crowd)

    assert key() == key(bounds__tilt=[0, 2]) == ours.key(crowd)
    others = [
        key(bounds__sharpness=[1, 5]),
        key(layout__sizes__median=1.4),
        key(scene__size_px=64, patches__size_px=64),
    ]
    assert len({*others, ours.key(crowd), TransportRenderer(small_material(), meshes, spp=16).key(crowd)}) == 5


def test_both_stages_sum_and_synthesis_holds_one_layout(tmp_path, crowd):
    exp = small_experiment(runs=tmp_path, gan__appearance="sem")
    assert make_renderer(exp, stage="gan").cache is not None
    synthesis = make_renderer(exp, stage="synthesis")
    parameters = at_position(exp.material, 0.2)
    for layout in (crowd, spheres(R)):
        image = synthesis.image(parameters, layout)
        assert synthesis.n_bytes == synthesis.basis(layout).n_bytes
    assert image.min() >= 0


def test_mitsuba_s_bsdfs_refuse_it(meshes):
    with pytest.raises(SceneError, match="use a TransportRenderer"):
        Renderer(SEM, meshes, spp=4)


def test_smoothing_mixes_places_of_one_owner_alone():
    owner = torch.zeros(12, 12, dtype=torch.int64)
    owner[:, 6:] = 1
    image = torch.rand(2, 12, 12, generator=torch.Generator().manual_seed(0))
    assert smoothed(3.0 * owner[None].float(), owner, 2)[0] == pytest.approx(3.0 * owner.float())
    found = smoothed(image, owner, 2)
    assert found[:, 5, 8] == pytest.approx(image[:, 3:8:2, 6:11:2].mean(dim=(1, 2)))
    assert found[:, 5, 7] == pytest.approx(image[:, 3:8:2, 7:10:2].mean(dim=(1, 2)))
    assert found[:, 0, 0] == pytest.approx(image[:, 0:3:2, 0:3:2].mean(dim=(1, 2)))
