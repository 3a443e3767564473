"""Precomputed transport against Mitsuba's BSDFs along the same paths: images, derivatives, own values, memory."""

import numpy as np
import pytest
import torch

from drgan_lib.scene import BasisCache, Layout, Renderer, TransportRenderer, at_position, sample_layout
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.build import bsdf_dicts
from drgan_lib.scene.detector import blur_std_px, spread
from drgan_lib.scene.lights import LIGHTS
from drgan_lib.scene.terms import CONSTANT_BELOW
from drgan_lib.scene.trace import trace
from tests.scene.conftest import (
    AT_KNOTS,
    BETWEEN,
    SIZE,
    SPP,
    difference,
    random_parameters,
    small_material,
)


def test_images_are_equal_at_the_knots(renderers, crowd):
    _, ours = renderers
    roughness = ours.material.parameters.index("roughness")
    parameters = random_parameters(ours.material, len(ours.terms.knots), seed=0)
    parameters[:, roughness] = torch.from_numpy(ours.terms.knots)
    for row in parameters:
        assert difference(renderers, row, crowd) < AT_KNOTS, row


def test_images_are_equal_below_mitsubas_least_roughness(renderers, crowd):
    _, ours = renderers
    for row, value in zip(random_parameters(ours.material, 3, seed=1), (0.01, 0.02, 0.031), strict=True):
        row[ours.material.parameters.index("roughness")] = value
        assert value < CONSTANT_BELOW
        assert difference(renderers, row, crowd) < AT_KNOTS, row


def test_images_are_close_between_the_knots(renderers, crowd):
    """At random, and with nothing but the specular term in the middle between two knots."""
    _, ours = renderers
    names, knots = ours.material.parameters, ours.terms.knots
    rows = [*random_parameters(ours.material, 16, seed=2)]
    for value in np.sqrt(knots[1:] * knots[:-1])[::3]:
        row = torch.zeros(len(names))
        row[names.index("roughness")] = float(value)
        row[names.index("stage_base_color")] = 0.05
        for name in ("torus_radiance", "top_radiance"):
            if name in names:
                row[names.index(name)] = 1.0
        rows.append(row)
    for row in rows:
        assert difference(renderers, row, crowd) < BETWEEN, row


@pytest.mark.parametrize("layout_seed", [2, 3])
def test_other_layouts_are_equal_too(renderers, layout_seed):
    """Through the same scene, whose particles are replaced."""
    _, ours = renderers
    layout = sample_layout(ours.material, ours.meshes, seed=layout_seed)
    assert difference(renderers, at_position(ours.material, 0.2), layout) < BETWEEN


@pytest.mark.parametrize(
    ("changes", "fixed", "seed", "close"),
    [
        ({"bounds__roughness": [0.001, 0.03]}, "", 3, BETWEEN),  # below Mitsuba's least
        ({"bounds__top_radiance": [0, 0.5]}, "roughness", 4, AT_KNOTS),  # one learned light
    ],
)
def test_other_materials_are_rendered_as_mitsuba_does(meshes, crowd, changes, fixed, seed, close):
    material = small_material(**changes)
    bounds = {name: value for name, value in material.bounds.items() if name != fixed}
    material = material.model_copy(update={"bounds": bounds})
    both = Renderer(material, meshes, spp=SPP), TransportRenderer(material, meshes, spp=SPP)
    for row in random_parameters(material, 3, seed=seed):
        assert difference(both, row, crowd) < close, row


@pytest.mark.parametrize("position", [0.05, 0.3, 0.8])
def test_gradients_agree_with_finite_differences_of_mitsuba(renderers, crowd, position):
    judge, ours = renderers
    ramp = torch.linspace(0.5, 1.5, SIZE, dtype=torch.float64)[None].expand(SIZE, SIZE)
    parameters = at_position(ours.material, position).requires_grad_()
    (ours.image(parameters, crowd).double() * ramp).mean().backward()
    assert float(parameters.grad[ours.material.parameters.index("noise_sigma")]) == 0  # not part of the render
    for i, name in enumerate(ours.material.parameters[:-1]):
        step = torch.zeros_like(parameters)
        step[i] = 0.02 * max(float(parameters[i].detach()), 0.05)
        with torch.no_grad():
            ends = [
                (judge.image(parameters + s * step, crowd, seed=crowd.seed).double() * ramp).mean() for s in (1, -1)
            ]
        expected = float((ends[0] - ends[1]) / (2 * step[i]))
        # In the middle of its range, what roughness takes from the highlight and gives to the shading nearly cancel:
        # there the measure is the derivative at the end of the range, 8e-3, of which this is a quarter of a percent.
        least = 2e-5 if name == "roughness" else 1e-6
        assert float(parameters.grad[i]) == pytest.approx(expected, rel=0.02, abs=least), name


def one_bsdf_each(judge, parameters: torch.Tensor, layout, each: dict[str, torch.Tensor]) -> torch.Tensor:
    """float32 [h, w]: the judge's image with a BSDF of its own for every particle; the stage's is as it was last."""
    built, values = judge.scene(layout), dict(zip(judge.material.parameters, parameters.tolist(), strict=True))
    radiances = [values.get(name, getattr(judge.material.scene, name)) for name in LIGHTS]
    paths, spp = trace(built, size=SIZE, spp=SPP, seed=layout.seed, radiances=radiances)
    radiance = paths.reflected(built.shape("stage").bsdf(), paths.owner == 0)
    for k in range(len(layout)):
        bsdf = dict(bsdf_dicts(judge.material)["particles.bsdf"])
        for name, values in each.items():
            bsdf[name] = {"type": "uniform", "value": float(values[k])}
        radiance += paths.reflected(mi.load_dict(bsdf), paths.owner == k + 1)
    return (dr.block_sum(radiance, spp) / spp).torch().view(SIZE, SIZE).cpu()


def test_values_per_particle_are_one_bsdf_per_particle(renderers, crowd):
    judge, ours = renderers
    material, parameters = ours.material, at_position(ours.material, 0.2)
    drawn = random_parameters(material, len(crowd), seed=5)
    each = {
        name: drawn[:, i]
        for i, name in enumerate(material.parameters)
        if name not in ("stage_base_color", "torus_radiance", "top_radiance", "noise_sigma")
    }
    judge.image(parameters, crowd, seed=0)  # gives the stage its color
    expected = spread(one_bsdf_each(judge, parameters, crowd, each), blur_std_px(material.scene))
    image = ours.image(parameters, crowd, each=each)
    assert float((image - expected).abs().max() / expected.max()) < BETWEEN
    common = ours.image(parameters, crowd)
    assert float((image - common).abs().max() / expected.max()) > 0.05, "they look different"


def test_equal_values_per_particle_are_the_common_image(renderers, crowd):
    _, ours = renderers
    parameters = at_position(ours.material, 0.3)
    names = ours.material.parameters
    for chosen in (("base_color",), ("roughness", "sheen", "spec_tint")):
        each = {name: parameters[names.index(name)].expand(len(crowd)) for name in chosen}
        assert ours.image(parameters, crowd, each=each) == pytest.approx(ours.image(parameters, crowd), abs=1e-5)


def test_values_per_particle_have_derivatives_of_their_own(renderers, crowd):
    """The derivatives of the particles sum to that of the common value."""
    _, ours = renderers
    parameters = at_position(ours.material, 0.3).requires_grad_()
    i = ours.material.parameters.index("roughness")
    ours.image(parameters, crowd).mean().backward()
    own = torch.full((len(crowd),), float(parameters[i].detach()), requires_grad=True)
    ours.image(parameters.detach(), crowd, each={"roughness": own}).mean().backward()
    assert float(own.grad.sum()) == pytest.approx(float(parameters.grad[i]), rel=1e-3)
    assert (own.grad != 0).sum() > 1


@pytest.mark.parametrize(
    "each", [{"base_color": (3,)}, {"base_color": ()}, {"stage_base_color": None}, {"colour": None}], ids=str
)
def test_values_per_particle_of_another_name_or_shape_are_refused(renderers, crowd, each):
    _, ours = renderers
    each = {name: torch.zeros((len(crowd),) if shape is None else shape) for name, shape in each.items()}
    with pytest.raises(
        ValueError, match=rf"values per particle, \[{len(crowd)}\], of roughness.*got {next(iter(each))}"
    ):
        ours.image(at_position(ours.material, 0.3), crowd, each=each)


@pytest.mark.parametrize("shape", [(3,), (1, 6), ()])
def test_wrong_number_of_parameters_is_refused(renderers, crowd, shape):
    with pytest.raises(ValueError, match="one value for each"):
        renderers[1].image(torch.zeros(shape), crowd)


def test_the_seed_does_not_change_the_image(renderers, crowd):
    parameters = at_position(renderers[1].material, 0.3)
    a, b = (renderers[1].image(parameters, crowd, seed=seed) for seed in (0, 123))
    assert torch.equal(a, b)


def test_particles_out_of_view_leave_the_stage_alone(renderers, crowd):
    """No fragments at all, and nothing to learn about the particles; the stage is Mitsuba's."""
    _, ours = renderers
    far = Layout(crowd.transforms + np.array([60, 0, 0, 0], np.float32), crowd.rotations, crowd.mesh_index)
    assert ours.basis(far).pixel.numel() == 0
    parameters = at_position(ours.material, 0.3)
    assert difference(renderers, parameters, far) < AT_KNOTS
    each = {"base_color": torch.rand(len(far))}
    assert torch.equal(ours.image(parameters, far, each=each), ours.image(parameters, far))
    leaf = parameters.clone().requires_grad_()
    ours.image(leaf, far).mean().backward()
    assert float(leaf.grad[ours.material.parameters.index("base_color")]) == 0
    assert float(leaf.grad[ours.material.parameters.index("stage_base_color")]) > 0


def test_images_and_derivatives_of_a_batch_are_those_of_each_alone(renderers, crowd):
    _, ours = renderers
    layouts = [crowd, sample_layout(ours.material, ours.meshes, seed=2), crowd]
    ramp = torch.linspace(0.5, 1.5, SIZE)[None].expand(SIZE, SIZE)
    together = random_parameters(ours.material, 3, seed=6).requires_grad_()
    alone = together.detach().clone().requires_grad_()
    images = ours.images(together, layouts, seeds=[0, 1, 2])
    expected = torch.stack([ours.image(row, layout) for row, layout in zip(alone, layouts, strict=True)])
    torch.testing.assert_close(images, expected)
    for result, leaf in ((images, together), (expected, alone)):
        (result * ramp).sum().backward()
        assert leaf.grad is not None
    torch.testing.assert_close(together.grad, alone.grad, rtol=1e-4, atol=1e-4)


def few_layouts(meshes, n):
    return [sample_layout(small_material(), meshes, seed=seed) for seed in range(n)]


def test_memory_is_bounded_and_the_basis_used_last_stays(meshes, traced):
    ours, (*layouts, other) = TransportRenderer(small_material(), meshes, spp=4), few_layouts(meshes, 4)
    ours.prepare(layouts, log=lambda line: None)
    assert ours.n_bytes == sum(ours.basis(layout).n_bytes for layout in layouts) > 0
    before = ours.image(at_position(ours.material, 0.2), layouts[0])  # the one used last from now on
    ours.memory_bytes = ours.n_bytes
    ours.basis(other)
    assert ours.n_bytes <= ours.memory_bytes
    n = len(traced)
    for layout in (layouts[0], other):
        ours.basis(layout)
    assert len(traced) == n, "both are still there"
    ours.memory_bytes = 1
    basis = ours.basis(layouts[1])
    assert len(traced) == n + 1, "the one used longest ago had gone"
    assert ours.n_bytes == basis.n_bytes, "the one in use is never given up"
    again = ours.image(at_position(ours.material, 0.2), layouts[0])
    torch.testing.assert_close(again, before, rtol=1e-5, atol=0)  # a GPU adds up in no order


def test_preparing_says_how_far_it_is_and_what_does_not_fit(meshes, traced):
    ours, lines = TransportRenderer(small_material(), meshes, spp=4), []
    ours.prepare(few_layouts(meshes, 2), log=lines.append)
    assert lines[-1].startswith("light transport of 2 of 2 layouts")
    ours = TransportRenderer(small_material(), meshes, spp=4, memory_bytes=1)
    ours.prepare(few_layouts(meshes, 2), log=lines.append)
    assert "1 of 2 layouts" in lines[-1]
    assert "gan.n_layouts" in lines[-1]


def test_a_full_disk_costs_the_cache_and_not_the_training(monkeypatch, meshes, tmp_path, traced):
    monkeypatch.setattr("drgan_lib.files.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    ours, lines = TransportRenderer(small_material(), meshes, spp=4, cache=BasisCache(tmp_path / "cache")), []
    ours.prepare(few_layouts(meshes, 1), log=lines.append)
    assert "not kept on the disk" in lines[0]
    assert not list((tmp_path / "cache").glob("*.npz"))
    assert ours.n_bytes > 0


def test_the_samples_belong_to_the_layout(meshes, crowd):
    """Two renderers, or two orders of work, give the same basis."""
    first, second = (TransportRenderer(small_material(), meshes, spp=4) for _ in range(2))
    second.basis(sample_layout(small_material(), meshes, seed=9))
    a, b = (renderer.basis(crowd).to("cpu") for renderer in (first, second))
    for name in ("pixel", "particle", "light"):
        assert torch.equal(getattr(a, name), getattr(b, name))
    assert a.particles == pytest.approx(b.particles, abs=1e-6)
