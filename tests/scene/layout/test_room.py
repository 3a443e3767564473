"""Coverage: closed forms, and what the renderer sees."""

import numpy as np
import pytest
import trimesh

from drgan_lib.config import ConfigError, load_experiment, materials
from drgan_lib.scene import Renderer
from drgan_lib.scene.layout import Layout, coverage, sample_layout
from drgan_lib.scene.layout.room import footprint, require_room
from drgan_lib.scene.layout.sizes import size_distribution
from drgan_lib.scene.meshes import make_meshes
from drgan_lib.scene.twin import twin_material
from tests.scene.layout.conftest import material_of, meshes_of


def test_coverage_of_separate_balls_on_the_stage():
    """From very high up the share is the sum of the discs."""
    far = {"scene.camera_y": 1e4, "scene.top_y": 2e4, "scene.fov_deg": float(np.degrees(2 * np.arctan(3.64 / 10_004)))}
    overrides = {**far, "layout.space": "planar", "layout.field_margin": 0.8}
    material = load_experiment("twin", overrides=overrides).material
    ball = trimesh.creation.icosphere(4, radius=0.5)
    layout = sample_layout(material, [ball], seed=3)
    discs = np.pi / 4 * (layout.transforms[:, 3] ** 2).sum() / (2 * material.scene.half_field) ** 2
    assert discs > 0.1
    assert coverage(layout, [ball], material) == pytest.approx(discs, rel=0.01)


def test_coverage_of_a_ball_below_the_camera_is_its_shadow():
    material = material_of()
    ball, radius = trimesh.creation.icosphere(5, radius=0.5), 1.5
    layout = Layout(np.array([[0, -4 + radius, 0, 2 * radius]]), np.eye(3)[None], np.array([0]))
    shadow = 10 * np.tan(np.arcsin(radius / (10 - radius)))
    expected = np.pi * shadow**2 / (2 * material.scene.half_field) ** 2
    assert coverage(layout, [ball], material) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("shape", ["cube", "wire"])
def test_coverage_is_the_share_that_the_renderer_sees(shape):
    material, meshes = material_of(shape, orientation="lying", height=8), meshes_of(shape)
    layout = sample_layout(material, meshes, seed=2)
    seen = Renderer(material, meshes, spp=1).instance_ids(layout) > 0
    assert coverage(layout, meshes, material) == pytest.approx(seen.mean(), rel=0.02)


def test_footprint_of_a_box():
    box = trimesh.creation.box((1, 2, 3))
    assert footprint(box, material_of(orientation="lying").layout) == pytest.approx(3)
    assert footprint(box, material_of(orientation="free").layout) == pytest.approx(22 / 4)


def test_wires_as_thick_as_cubes_are_refused():
    """The sizes of the cubes become the thickness of wires that are longer than the field and reach the camera."""
    material = load_experiment("twin", overrides={"meshes.shape": "wire"}).material
    with pytest.raises(ConfigError, match=r"are at least 1\d\.\d long, expected at most the width of the field, 7\.28"):
        sample_layout(material, make_meshes(material), seed=0)


def test_only_what_is_turned_upright_needs_height():
    rods = {"meshes.shape": "rod", "meshes.aspect": [6, 12], "layout.sizes.median": 1.0, "layout.n_particles": [2, 4]}
    free = load_experiment("twin", overrides=rods).material
    with pytest.raises(ConfigError, match=r"turned upright are up to 1\d.* high, .*10; set layout\.orientation=lying"):
        sample_layout(free, make_meshes(free), seed=0)
    lying = load_experiment("twin", overrides={**rods, "layout.orientation": "lying"}).material
    assert len(sample_layout(lying, make_meshes(lying), seed=0)) >= 2


@pytest.mark.parametrize("name", materials())
def test_every_material_and_its_twin_have_room(name):
    material = load_experiment(name).material
    for shown in (material, twin_material(material)):
        require_room(size_distribution(shown), make_meshes(shown), shown)
