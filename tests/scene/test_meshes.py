"""Shapes: the module's convention, reproducibility, variety, bad files."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.config import CubeSettings, load_experiment
from drgan_lib.scene.meshes import MeshError, deformed_cube, make_meshes, normalise, read_mesh, write_meshes


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    deformation=st.floats(0, 1),
    roundness=st.floats(0, 1),
    triangles=st.integers(12, 5000),
)
def test_every_cube_follows_the_convention(seed, deformation, roundness, triangles):
    asked = CubeSettings(deformation=deformation, roundness=roundness, max_triangles=triangles)
    mesh = deformed_cube(asked, seed=seed)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert len(mesh.faces) <= triangles
    assert mesh.volume == pytest.approx(np.pi / 6, rel=1e-6)
    assert mesh.center_mass == pytest.approx(np.zeros(3), abs=1e-6)


def test_same_seed_same_shapes_and_no_two_alike():
    material = load_experiment("tio2_sem").material
    first, second = make_meshes(material), make_meshes(material)
    assert len(first) == 40
    assert all(np.array_equal(a.vertices, b.vertices) for a, b in zip(first, second, strict=True))
    stacked = np.stack([mesh.vertices for mesh in first])
    distances = np.abs(stacked[:, None] - stacked[None]).max(axis=(2, 3))
    assert distances[~np.eye(40, dtype=bool)].min() > 0.01


def test_written_meshes_come_back(tmp_path):
    material = load_experiment("twin").material
    paths = write_meshes(material, tmp_path)
    assert len(paths) == material.meshes.count
    again = read_mesh(paths[0])
    assert np.abs(again.extents - make_meshes(material)[0].extents).max() < 1e-5


def test_unusable_meshes_are_refused(tmp_path):
    with pytest.raises(MeshError, match="no faces"):
        normalise(trimesh.Trimesh(np.zeros((3, 3)), np.zeros((0, 3), dtype=int)))
    cube = trimesh.creation.box()
    with pytest.raises(MeshError, match="open"):
        normalise(trimesh.Trimesh(cube.vertices, cube.faces[:-1]))
    with pytest.raises(MeshError, match="does not exist"):
        read_mesh(tmp_path / "none.ply")
    (tmp_path / "noise.ply").write_bytes(b"not a mesh")
    with pytest.raises(MeshError, match=r"noise\.ply"):
        read_mesh(tmp_path / "noise.ply")
    (tmp_path / "points.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\n"
        "property float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n"
    )
    with pytest.raises(MeshError, match=r"points\.ply"):
        read_mesh(tmp_path / "points.ply")


def test_a_users_meshes_replace_the_generated_ones(tmp_path):
    trimesh.creation.icosphere(2).export(tmp_path / "ball.stl")
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "brick.obj")
    material = load_experiment("twin", overrides={"meshes.path": str(tmp_path)}).material
    ball, brick = make_meshes(material)
    assert ball.extents == pytest.approx(1, rel=0.05)
    assert brick.extents / brick.extents.min() == pytest.approx([1, 2, 3])
    (tmp_path / "open.ply").write_bytes(
        trimesh.Trimesh(ball.vertices, ball.faces[:-1], process=False).export(file_type="ply")
    )
    with pytest.raises(MeshError, match=r"open\.ply: the mesh is open"):
        make_meshes(material)


def test_a_folder_without_meshes_is_refused(tmp_path):
    with pytest.raises(MeshError, match="holds no mesh files"):
        make_meshes(load_experiment("twin", overrides={"meshes.path": str(tmp_path)}).material)


def test_inside_out_mesh_is_turned():
    cube = trimesh.creation.box()
    turned = normalise(trimesh.Trimesh(cube.vertices, cube.faces[:, ::-1], process=False))
    assert turned.volume == pytest.approx(np.pi / 6)
