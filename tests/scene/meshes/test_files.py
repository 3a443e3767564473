"""Mesh files: every format, the report, and errors that name the file."""

import logging

import numpy as np
import pytest
import trimesh

from drgan_lib import cli
from drgan_lib.config import load_experiment
from drgan_lib.scene.meshes import (
    MeshError,
    import_meshes,
    make_meshes,
    read_mesh,
    read_meshes,
    variety,
    write_meshes,
)

BALL = trimesh.creation.icosphere(2)
BRICK = trimesh.creation.box((1, 2, 3))


def material_of(folder):
    return load_experiment("twin", overrides={"meshes.path": str(folder)}).material


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl", "glb", "gltf"])
def test_every_format_gives_the_same_particle(tmp_path, suffix):
    scene = trimesh.Scene([trimesh.creation.annulus(0.5, 1, 2)])
    scene.export(tmp_path / f"ring.{suffix}")
    mesh, _ = read_mesh(tmp_path / f"ring.{suffix}")
    expected, _ = read_mesh(write(tmp_path / "expected.ply", trimesh.creation.annulus(0.5, 1, 2)))
    assert mesh.is_watertight
    assert variety([mesh, expected]) < 1e-5
    assert mesh.extents == pytest.approx(expected.extents, rel=1e-5)


def write(path, mesh):
    mesh.export(path)
    return path


def test_the_places_of_a_gltf_scene_count(tmp_path):
    scene = trimesh.Scene([trimesh.creation.box()])
    scene.add_geometry(trimesh.creation.box(), transform=trimesh.transformations.translation_matrix((0.5, 0, 0)))
    scene.export(tmp_path / "two.glb")
    mesh, findings = read_mesh(tmp_path / "two.glb")
    assert mesh.extents / mesh.extents.min() == pytest.approx([1.5, 1, 1], rel=1e-4)
    assert findings == ["2 bodies that overlap or lie in each other joined into 1"]


def test_written_meshes_come_back(tmp_path):
    material = load_experiment("twin").material
    paths = write_meshes(material, tmp_path)
    assert [path.name for path in paths[:2]] == ["cube_000.ply", "cube_001.ply"]
    assert len(paths) == material.meshes.count
    again, findings = read_mesh(paths[0])
    assert findings == []
    assert np.abs(again.vertices - make_meshes(material)[0].vertices).max() < 1e-6


def test_meshes_are_not_written_among_others(tmp_path):
    several = load_experiment("twin", overrides={"meshes.count": 3}).material
    write_meshes(several, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(MeshError, match="holds 3 mesh files already; remove them, or choose another folder"):
        write_meshes(load_experiment("twin", overrides={"meshes.count": 2}).material, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_users_meshes_replace_the_generated_ones(tmp_path, caplog):
    write(tmp_path / "ball.stl", BALL)
    write(tmp_path / "brick.obj", BRICK)
    (tmp_path / "notes.txt").write_text("not a mesh, and not named like one")
    with caplog.at_level(logging.WARNING):
        ball, brick = make_meshes(material_of(tmp_path))
    assert ball.extents == pytest.approx(1, rel=0.05)
    assert brick.extents / brick.extents.min() == pytest.approx([1, 2, 3])
    assert caplog.messages == ["ball.stl: 320 triangles; 798 duplicate vertices merged"]


def test_files_get_the_budget_of_the_material(tmp_path):
    write(tmp_path / "fine.ply", trimesh.creation.icosphere(4))
    overrides = {"meshes.path": str(tmp_path), "meshes.max_triangles": 200}
    (mesh,) = make_meshes(load_experiment("twin", overrides=overrides).material)
    assert len(mesh.faces) <= 200


def test_a_bad_file_is_named(tmp_path):
    open_mesh = trimesh.Trimesh(BRICK.vertices, BRICK.faces[:-1], process=False)
    write(tmp_path / "open.ply", open_mesh)
    with pytest.raises(MeshError, match=r"open\.ply: the mesh is open: 3 edges"):
        make_meshes(material_of(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("noise.ply", b"not a mesh", "not a readable mesh"),
        ("noise.obj", b"not a mesh", "no faces"),
        ("noise.stl", b"not a mesh", "no faces|not a readable mesh"),
        ("noise.glb", b"not a mesh", "not a readable mesh"),
        ("noise.gltf", b"not a mesh", "not a readable mesh"),
        ("empty.stl", b"", "no faces|not a readable mesh"),
        (
            "points.ply",
            b"ply\nformat ascii 1.0\nelement vertex 1\n"
            b"property float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n",
            "no faces",
        ),
        (
            "giant.ply",
            b"ply\nformat binary_little_endian 1.0\nelement vertex 9\nelement face 9000000\nend_header\n",
            "9000000 faces, at most 1000000",
        ),
        ("giant.gltf", b'{"buffers": [{"uri": "giant.bin", "byteLength": 900000000}]}', "858 MiB, at most 100"),
        ("drawing.svg", b"<svg/>", "expected a file of"),
    ],
)
def test_unusable_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=f"{name}: .*({message})"):
        read_mesh(tmp_path / name)


def test_a_giant_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "giant.stl"
    with path.open("wb") as file:
        file.truncate(84 + 50 * 1_500_000)  # a hole in the file system, not 75 MB
    with pytest.raises(MeshError, match=r"giant\.stl: 1500000 faces"):
        read_mesh(path)
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(MeshError, match=r"giant\.stl: 1024 MiB"):
        read_mesh(path)


def test_missing_files_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(MeshError, match=r"none\.ply: there is no such file"):
        read_mesh(tmp_path / "none.ply")
    with pytest.raises(MeshError, match="holds no mesh files"):
        make_meshes(material_of(tmp_path))


def test_the_same_shape_twice_is_refused_with_both_names(tmp_path):
    write(tmp_path / "brick.obj", BRICK)
    turned = trimesh.Trimesh(7 * BRICK.vertices[:, [2, 0, 1]] + 3, BRICK.faces)
    write(tmp_path / "turned.stl", turned)
    write(tmp_path / "ball.ply", BALL)
    with pytest.raises(MeshError, match=r"brick\.obj and turned\.stl hold the same shape"):
        read_meshes(tmp_path)


def test_import_repairs_reports_and_writes(tmp_path, capsys):
    sources = [write(tmp_path / "ball.stl", BALL), write(tmp_path / "brick.ply", BRICK)]
    folder = tmp_path / "out"
    assert cli.main(["import", *map(str, sources), "--folder", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ball.stl: 320 triangles; 798 duplicate vertices merged",
        "brick.ply: 12 triangles; nothing to repair",
        str(folder / "ball.ply"),
        str(folder / "brick.ply"),
    ]
    assert len(make_meshes(material_of(folder))) == 2


def test_import_overwrites_nothing(tmp_path, capsys):
    ball = write(tmp_path / "ball.stl", BALL)
    same = write(tmp_path / "ball.obj", BRICK)
    with pytest.raises(MeshError, match="would both become"):
        import_meshes([ball, same], tmp_path / "out")
    write(tmp_path / "ball.ply", BRICK)
    assert cli.main(["import", str(ball), "--folder", str(tmp_path)]) == 2
    assert "exists; remove it" in capsys.readouterr().err
    (tmp_path / "bad.stl").write_bytes(b"")
    assert cli.main(["import", str(same), str(tmp_path / "bad.stl"), "--folder", str(tmp_path / "out")]) == 2
    assert "bad.stl" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
