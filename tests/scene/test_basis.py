"""What can be precomputed: the scenes that are refused, with the reason, and whom a fragment belongs to."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from drgan_lib.scene import Renderer, SceneError, TransportError, TransportRenderer
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.basis import require_linear
from drgan_lib.scene.build import build_scene, merge_particles, mitsuba_mesh
from drgan_lib.scene.parameters import at_position
from tests.scene.conftest import SIZE, SPP, small_material


@pytest.fixture
def built(meshes, crowd):
    return build_scene(small_material(), meshes, crowd, spp=SPP)


def refusal(built) -> str:
    with pytest.raises(TransportError, match="cannot be precomputed") as caught:
        require_linear(built)
    assert str(caught.value).endswith("Change it, or set gan.renderer=mitsuba")
    return str(caught.value)


def test_the_materials_scene_is_linear(built):
    require_linear(built)


@pytest.mark.parametrize("key", ["particles.vertex_positions", "particles.vertex_normals", "stage.vertex_positions"])
def test_learned_geometry_is_refused(built, key):
    dr.enable_grad(built.params[key])
    assert f"its geometry must be fixed, but {key} is being learned" in refusal(built)


@pytest.mark.parametrize("key", ["anisotropic", "spec_trans"])
def test_what_the_image_is_not_linear_in_is_refused(built, key):
    built.params[f"particles.bsdf.{key}.value"] = mi.Float(0.5)
    built.params.update()
    assert f"particles.bsdf.{key}.value must be 0" in refusal(built)


def test_another_bsdf_is_refused(built, meshes, crowd):
    vertices, _, faces, _ = merge_particles(crowd, meshes)
    mesh = mitsuba_mesh("particles", vertices, faces, bsdf=mi.load_dict({"type": "diffuse"}))
    scene = mi.load_dict({"type": "scene", "particles": mesh}, optimize=False)
    message = refusal(dataclasses.replace(built, scene=scene))
    assert "particles must have the principled BSDF, but has SmoothDiffuse" in message


def test_all_reasons_are_given_at_once(built):
    dr.enable_grad(built.params["particles.vertex_positions"])
    built.params["stage.bsdf.spec_trans.value"] = mi.Float(0.5)
    message = refusal(built)
    assert "stage.bsdf.spec_trans.value must be 0" in message
    assert "geometry must be fixed" in message


def test_the_renderer_refuses_what_it_cannot_precompute(meshes, crowd):
    ours = TransportRenderer(small_material(), meshes, spp=SPP)
    dr.enable_grad(ours.scene(crowd).params["particles.vertex_positions"])
    with pytest.raises(TransportError, match="geometry must be fixed"):
        ours.image(at_position(ours.material, 0.3), crowd)


@pytest.mark.parametrize("kind", [Renderer, TransportRenderer])
def test_a_light_that_the_camera_sees_is_refused(kind, meshes, crowd):
    """A wide view past the stage: the ring stands in the picture."""
    material = small_material(scene__fov_deg=120.0, scene__stage_half_extent=5.0)
    with pytest.raises(SceneError, match=r"camera sees a light.*scene\.fov_deg.*scene\.stage_half_extent"):
        kind(material, meshes, spp=SPP).image(at_position(material, 0.3), crowd, seed=0)


def test_the_basis_knows_the_particle_of_every_fragment(renderers, crowd):
    """Fragments lie within the filter's reach of their particle's ids."""
    judge, ours = renderers
    basis, ids = ours.basis(crowd), judge.instance_ids(crowd)
    # A particle beyond the picture's edge may reach into it without hitting any pixel's centre.
    inside = np.arange(SIZE**2).reshape(SIZE, SIZE)[3:-3, 3:-3]
    particle, pixel = basis.particle.cpu().numpy(), basis.pixel.cpu().numpy()
    for number in np.unique(particle):
        near = maximum_filter(ids == number + 1, size=7).ravel()
        pixels = np.intersect1d(pixel[particle == number], inside)
        assert near[pixels].sum() >= 0.99 * len(pixels)
    assert set(np.unique(ids[ids > 0]) - 1) <= set(particle)
