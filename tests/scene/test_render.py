"""The render: constants read back, gradients against finite differences, closed forms, exact ids."""

import numpy as np
import pytest
import torch
import trimesh

from drgan_lib.config import load_experiment
from drgan_lib.scene import Layout, Renderer, at_position, liveness, sample_layout
from drgan_lib.scene.build import LIGHT_KEYS, SCENE_KEYS, build_scene
from drgan_lib.scene.meshes import normalise
from tests.scene.conftest import SIZE, pair, small_material

DEAD = small_material(bounds__sheen_tint=[0.01, 5.0])


@pytest.fixture
def material():
    return small_material()


@pytest.fixture
def renderer():
    return pair("paper")[0]


@pytest.fixture
def layout(crowd):
    return crowd


def test_the_loaded_scene_holds_the_materials_constants(material, renderer, layout):
    built = renderer.scene(layout)
    keys = [key for key in built.params.keys() if "bsdf" in key]  # noqa: SIM118  (no iterator)
    value = {key: float(np.ravel(built.params[key])[0]) for key in keys}
    scene = material.scene
    assert value["stage.bsdf.roughness.value"] == pytest.approx(scene.stage_roughness)
    assert value["stage.bsdf.specular"] == pytest.approx(scene.stage_specular, abs=1e-6)
    assert value["particles.bsdf.specular"] == pytest.approx(scene.particle_specular)
    for owner in ("particles", "stage"):
        for dead in ("metallic", "clearcoat", "anisotropic", "spec_trans", "flatness"):
            assert value[f"{owner}.bsdf.{dead}.value"] == 0
    assert float(np.ravel(built.params["sensor.x_fov"])[0]) == pytest.approx(scene.fov_deg)
    origin = np.array(built.params["sensor.to_world"].translation()).ravel()
    assert origin == pytest.approx([0, scene.camera_y, 0])
    assert {s.id() for s in built.scene.shapes()} == {"stage", "particles"}


def test_a_lit_scene_holds_the_lights(material, meshes, layout):
    built = build_scene(material, meshes, layout, spp=4, lit=True)
    assert {s.id() for s in built.scene.shapes()} == {"stage", "ring_light", "top_light", "particles"}
    for name, keys in LIGHT_KEYS.items():
        for key in keys:
            assert float(np.ravel(built.params[key])[0]) == pytest.approx(getattr(material.scene, name))


def test_learned_values_arrive_in_the_scene(material, renderer, layout):
    parameters = at_position(material, 0.3)
    renderer.image(parameters, layout, seed=0)
    params = renderer.scene(layout).params
    for i, name in enumerate(material.parameters):
        for key in SCENE_KEYS.get(name, ()):
            assert float(np.ravel(params[key])[0]) == pytest.approx(float(parameters[i]), rel=1e-5)


def test_a_learned_ring_radiance_reaches_the_image(meshes, layout):
    material = small_material(bounds__torus_radiance=[0.1, 2.0])
    renderer = Renderer(material, meshes, spp=16)
    parameters = at_position(material, 0.3)
    before = renderer.image(parameters, layout, seed=0)
    parameters[material.parameters.index("torus_radiance")] *= 2
    after = renderer.image(parameters, layout, seed=0)
    assert float(after.mean() / before.mean()) > 1.7, "the ring gives most of the light"


def test_a_replaced_layout_gives_the_image_and_ids_of_a_scene_built_for_it(material, renderer, layout):
    """There and back: nothing of the layout before stays behind, whatever the number of triangles."""
    parameters = at_position(material, 0.2)
    other = sample_layout(material, renderer.meshes, seed=1)
    assert len(other) != len(layout)
    kept = Renderer(material, renderer.meshes, spp=4)
    for wanted in (layout, other, layout):
        fresh = Renderer(material, renderer.meshes, spp=4)
        assert kept.image(parameters, wanted, seed=5) == pytest.approx(
            fresh.image(parameters, wanted, seed=5), abs=1e-5
        )
        assert np.array_equal(kept.instance_ids(wanted), fresh.instance_ids(wanted))
    assert kept.scene(other).scene is kept.scene(layout).scene


@pytest.mark.parametrize("position", [0.1, 0.6])
def test_gradients_agree_with_finite_differences(meshes, layout, position):
    """With the same samples the two agree to a few per mille."""
    material, renderer = DEAD, Renderer(DEAD, meshes, spp=16)
    weights = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parameters = at_position(material, position).requires_grad_()

    def mean(values):
        return (renderer.image(values, layout, seed=3).double() * weights).mean()

    mean(parameters).backward()
    assert float(parameters.grad[material.parameters.index("noise_sigma")]) == 0  # not part of the render
    for i, name in enumerate(material.parameters[:-1]):
        step = torch.zeros_like(parameters)
        step[i] = 0.02 * max(float(parameters[i].detach()), 0.05)
        with torch.no_grad():
            ends = [mean(parameters + s * step) for s in (1, -1)]
        expected = float((ends[0] - ends[1]) / (2 * step[i]))
        assert float(parameters.grad[i]) == pytest.approx(expected, rel=5e-3, abs=2e-7), name


def test_the_image_is_linear_in_base_colour(material, renderer, layout):
    """In monochrome direct light I = A + b D: the middle colour gives the mean of the ends, with the same samples."""
    index = material.parameters.index("stage_base_color")
    images = []
    for value in (0.1, 0.2, 0.3):
        parameters = at_position(material, 0.2)
        parameters[index] = value
        images.append(renderer.image(parameters, layout, seed=2))
    assert images[1] == pytest.approx((images[0] + images[2]) / 2, abs=1e-5)


def test_black_particles_on_a_dark_stage_are_dark(material, renderer, layout):
    parameters = torch.zeros(len(material.parameters))
    parameters[0] = 0.5
    stage = renderer.instance_ids(layout) == 0
    assert float(renderer.image(parameters, layout, seed=0)[torch.tensor(stage)].median()) == pytest.approx(0, abs=1e-6)


def test_another_seed_gives_other_noise_and_the_same_mean(material, meshes, layout):
    parameters, renderer = at_position(material, 0.2), Renderer(material, meshes, spp=64)
    a, b, c = (renderer.image(parameters, layout, seed=s) for s in (1, 2, 1))
    assert torch.equal(a, c)
    assert float((a - b).abs().mean()) > 1e-3
    assert float(a.mean()) == pytest.approx(float(b.mean()), rel=0.02)


def test_ids_of_one_ball_are_its_silhouette():
    """Closed form: a ball of radius R at distance d is seen from its centre line under asin(R / d)."""
    material = load_experiment("tio2_sem", "demo").material
    ball = normalise(trimesh.creation.icosphere(5))
    centre_y = -1.0
    layout = Layout(np.array([[0, centre_y, 0, 2.0]], dtype=np.float32), np.eye(3)[None], np.zeros(1, dtype=int))
    ids = Renderer(material, [ball], spp=1).instance_ids(layout)
    distance = material.scene.camera_y - centre_y
    tangent = np.tan(np.arcsin(1.0 / distance)) * (material.scene.camera_y - material.scene.stage_y)
    radius_px = tangent / (2 * material.scene.half_field) * material.scene.size_px
    assert (ids == 1).sum() == pytest.approx(np.pi * radius_px**2, rel=0.01)
    rows, columns = np.nonzero(ids)
    assert rows.mean() == pytest.approx(127.5, abs=0.5)
    assert columns.mean() == pytest.approx(127.5, abs=0.5)


def test_ids_partition_the_image_and_the_upper_particle_wins(material, renderer):
    ball = normalise(trimesh.creation.icosphere(3))
    transforms = np.array([[0, -3.5, 0, 1.0], [0, -2.0, 0, 1.0], [2, -3.5, 0, 1.0]], dtype=np.float32)
    layout = Layout(transforms, np.stack([np.eye(3)] * 3), np.zeros(3, dtype=int))
    ids = Renderer(material, [ball], spp=1).instance_ids(layout)
    assert ids.dtype == np.uint16
    assert set(np.unique(ids)) == {0, 2, 3}, "the lower particle is hidden by the one above it"
    # x runs to the right in the image
    assert np.nonzero(ids == 3)[1].mean() > np.nonzero(ids == 2)[1].mean()


def test_liveness_finds_the_dead_parameter(meshes, layout):
    table = liveness(Renderer(DEAD, meshes, spp=16), layout).set_index("parameter")
    assert list(table.index) == list(DEAD.parameters)
    assert not table.loc["sheen_tint", "alive"]
    assert table.drop("sheen_tint")["alive"].all()


@pytest.mark.parametrize("between", ["image", "layout"])
def test_a_derivative_after_the_scene_has_changed_is_refused(material, renderer, layout, between):
    """It would be that of the other image's parameters."""
    parameters = at_position(material, 0.2).requires_grad_()
    image = renderer.image(parameters, layout, seed=0)
    if between == "image":
        renderer.image(at_position(material, 0.7), layout, seed=1)
    else:
        renderer.instance_ids(sample_layout(material, renderer.meshes, seed=9))
    with pytest.raises(RuntimeError, match="backward before the next image or layout"):
        image.mean().backward()


def test_wrong_number_of_parameters_is_refused(renderer, layout):
    with pytest.raises(ValueError, match="one value for each"):
        renderer.image(torch.zeros(3), layout, seed=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_image_and_gradient_come_back_on_the_parameters_device(material, renderer, layout):
    for device in ("cpu", "cuda"):
        parameters = at_position(material, 0.2).to(device).requires_grad_()
        image = renderer.image(parameters, layout, seed=0)
        image.mean().backward()
        assert image.device.type == parameters.grad.device.type == device
