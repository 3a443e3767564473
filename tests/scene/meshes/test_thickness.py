"""Imported meshes as rods and wires: thickness by closed forms, the way out and back, parts that cover."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.config import RodSettings, WireSettings, load_experiment
from drgan_lib.scene.layout import sample_layout, separation
from drgan_lib.scene.meshes import as_elongated, convex_parts, make_meshes, shaded, thickness, write_meshes
from drgan_lib.scene.meshes.elongated import wire
from drgan_lib.scene.meshes.make import GENERATORS
from tests.scene.meshes.conftest import moved, volume_of_parts


@given(radius=st.floats(0.1, 3), aspect=st.floats(1.5, 60), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_thickness_of_a_cylinder_however_it_lies(radius, aspect, seed):
    sections = 32
    cylinder = trimesh.creation.cylinder(radius, 2 * radius * aspect, sections=sections)
    circle = np.sqrt(sections / 2 * np.sin(2 * np.pi / sections) / np.pi)  # as large as the polygon, over the radius
    assert thickness(moved(cylinder, seed)) == pytest.approx(2 * radius * circle, rel=1e-6)


@given(
    asked=st.one_of(
        st.builds(RodSettings, aspect=st.just((2, 12)), cap=st.just((0, 1)), sides=st.sampled_from([3, 5, 24])),
        st.builds(WireSettings, aspect=st.just((10, 60)), bend_deg=st.just((0, 90))),
    ),
    seed=st.integers(0, 999),
)
@settings(max_examples=25, deadline=None)
def test_generated_rods_and_wires_have_unit_thickness(asked, seed):
    assert thickness(GENERATORS[asked.shape](asked, seed=seed)) == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("name", ["agnw_sem", "rods_sem"])
def test_meshes_written_and_read_again_keep_their_sizes(name, tmp_path):
    generated = load_experiment(name, overrides={"meshes.count": 6}).material
    write_meshes(generated, tmp_path)
    read = load_experiment(name, overrides={"meshes.count": 6, "meshes.path": str(tmp_path)}).material
    for ours, theirs in zip(make_meshes(generated), make_meshes(read), strict=True):
        assert theirs.extents == pytest.approx(ours.extents, rel=0.02)
        assert theirs.vertices == pytest.approx(ours.vertices, abs=0.02 * ours.extents.max())


def test_the_shape_decides_what_size_means(tmp_path):
    trimesh.creation.cylinder(3, 60, sections=64).export(tmp_path / "needle.stl")

    def needle(shape):
        overrides = {"meshes.shape": shape, "meshes.path": str(tmp_path)}
        (mesh,) = make_meshes(load_experiment("twin", overrides=overrides).material)
        return mesh

    assert np.sort(needle("rod").extents) == pytest.approx([1, 1, 10], rel=0.01)
    assert np.sort(shaded(needle("wire")).extents) == pytest.approx([1, 1, 10], rel=0.01)  # what is rendered
    assert needle("cube").volume == pytest.approx(np.pi / 6)


@pytest.mark.parametrize("bend", [60, 150])
def test_parts_of_bent_meshes_cover_them_closely(bend):
    mesh = wire(WireSettings(aspect=(30, 30), bend_deg=(bend, bend)), seed=1)
    del mesh.metadata["parts"]
    mesh = moved(mesh, 2)
    assert mesh.convex_hull.volume > 3 * mesh.volume
    as_elongated(mesh)
    assert mesh.volume * (1 - 1e-4) <= volume_of_parts(mesh) <= 1.5 * mesh.volume


@pytest.mark.parametrize("sections", [4, 32])
def test_straight_meshes_are_one_part(sections):
    mesh = as_elongated(trimesh.creation.cylinder(1, 20, sections=sections))
    assert len(convex_parts(mesh)) == 1


def test_imported_wires_may_lie_in_each_others_bends(tmp_path):
    write_meshes(load_experiment("agnw_sem").material, tmp_path)
    material = load_experiment("agnw_sem", overrides={"meshes.path": str(tmp_path)}).material
    meshes = make_meshes(material)
    assert max(len(convex_parts(mesh)) for mesh in meshes) > 1
    assert separation(sample_layout(material, meshes, seed=0), meshes).min() > 0
