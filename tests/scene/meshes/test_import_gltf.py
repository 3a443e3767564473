"""glTF: every way in which a file may give its numbers and places, and what is refused by name."""

import base64
import json
import struct

import numpy as np
import pytest
import trimesh

from drgan_lib.scene.meshes import MeshError, read_mesh

BOX = trimesh.creation.box((1, 2, 3))
FLOAT, SHORT, UBYTE = 5126, 5122, 5121
MOVED = BOX.vertices * np.where(BOX.vertices[:, [2]] > 0, [2, 2, 1], 1)  # a frustum, 7/12 of its box


def gltf(*arrays, **more):
    """A description with one mesh, the arrays in its buffer, and an accessor for each; the first two are the mesh."""
    kinds = {"f4": 5126, "i2": 5122, "u1": 5121, "u2": 5123, "i1": 5120}
    views, accessors, data = [], [], b""
    for array in arrays:
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": array.nbytes})
        width = "SCALAR" if array.ndim == 1 else "VEC3"
        kind = kinds[array.dtype.str[1:]]
        accessors.append({"bufferView": len(views) - 1, "componentType": kind, "count": len(array), "type": width})
        data += array.tobytes() + bytes(-array.nbytes % 4)
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data), "uri": "data:;base64," + base64.b64encode(data).decode()}],
    }
    return tree | more, data


def plain(vertices=BOX.vertices, **more):
    return gltf(vertices.astype("<f4"), BOX.faces.ravel().astype("<u2"), **more)


def read(folder, tree):
    path = folder / "one.gltf"
    path.write_text(json.dumps(tree))
    return read_mesh(path)[0]


def fill(mesh):
    return mesh.volume / np.prod(mesh.extents)


def sides(mesh):
    return mesh.extents / mesh.extents[0]


def sparse(base, indices, values):
    tree, _ = gltf(base.astype("<f4"), BOX.faces.ravel().astype("<u2"), indices, values.astype("<f4"))
    tree["accessors"][0]["sparse"] = {
        "count": len(indices),
        "indices": {"bufferView": 2, "componentType": tree["accessors"][2]["componentType"]},
        "values": {"bufferView": 3},
    }
    return tree


def test_sparse_values_are_put_in(tmp_path):
    changed = np.flatnonzero(BOX.vertices[:, 2] > 0)
    one = read(tmp_path, sparse(BOX.vertices, changed.astype("u1"), MOVED[changed]))
    whole = sparse(BOX.vertices, np.arange(8, dtype="<u2"), MOVED)
    del whole["accessors"][0]["bufferView"]
    for mesh in (one, read(tmp_path, whole)):
        assert fill(mesh) == pytest.approx(7 / 12, abs=1e-4)
        assert sides(mesh) == pytest.approx([1, 2, 1.5], abs=1e-4)


def test_sparse_indices_are_put_in(tmp_path):
    corners = BOX.faces.ravel().astype("<u2")
    tree, _ = gltf(BOX.vertices.astype("<f4"), np.zeros(36, "<u2"), np.arange(36, dtype="u1"), corners)
    sparse = {"count": 36, "indices": {"bufferView": 2, "componentType": UBYTE}, "values": {"bufferView": 3}}
    tree["accessors"][1]["sparse"] = sparse
    assert fill(read(tmp_path, tree)) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["<i2", "<i1"])
def test_whole_numbers_may_stand_for_fractions(tmp_path, kind):
    top = np.iinfo(kind).max
    quantised = np.round(BOX.vertices / 1.5 * top).astype(kind)
    tree, _ = gltf(quantised, BOX.faces.ravel().astype("<u2"), (BOX.vertices / 1.5).astype("<f4"))
    tree["accessors"][0]["normalized"] = True
    tree |= {"extensionsUsed": ["KHR_mesh_quantization"], "extensionsRequired": ["KHR_mesh_quantization"]}
    tree["meshes"].append({"primitives": [{"attributes": {"POSITION": 2}, "indices": 1}]})
    tree["nodes"].append({"mesh": 1, "translation": [1 / 3, 0, 0]})  # half of the width aside, in plain numbers
    tree["scenes"][0]["nodes"] = [0, 1]
    assert sides(read(tmp_path, tree)) == pytest.approx([1, 2 / 1.5, 2], rel=0.01)


def test_rows_may_lie_apart(tmp_path):
    rows = np.column_stack([BOX.vertices, np.full((8, 2), 99)]).astype("<f4")
    tree, _ = gltf(rows, BOX.faces.ravel().astype("<u2"))
    tree["bufferViews"][0]["byteStride"] = 20
    assert sides(read(tmp_path, tree)) == pytest.approx([1, 2, 3])


@pytest.mark.parametrize(
    ("uri", "name"),
    [("my%20box.bin", "my box.bin"), ("my box.bin", "my box.bin"), ("p%C3%A4.bin", "pä.bin"), ("a%20b", "a%20b")],
)
def test_names_of_buffers_may_be_escaped(tmp_path, uri, name):
    tree, data = plain()
    tree["buffers"][0]["uri"] = uri
    (tmp_path / name).write_bytes(data + b"more")
    assert fill(read(tmp_path, tree)) == pytest.approx(1)


@pytest.mark.parametrize(("mode", "corners"), [(5, [0, 1, 2, 3, 0, 1]), (6, None)])
def test_strips_and_fans_are_triangles(tmp_path, mode, corners):
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], "<f4")
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}
    if corners is None:  # three sides around the tip, the fourth by itself
        tree, _ = gltf(vertices, np.array([3, 0, 1, 2, 0], "<u2"), np.array([0, 2, 1], "<u2"))
        others = [{"attributes": {"POSITION": 0}, "indices": 2}]
    else:
        tree, _ = gltf(vertices, np.array(corners, "<u2"))
        others = []
    tree["meshes"] = [{"primitives": [primitive, *others]}]
    assert fill(read(tmp_path, tree)) == pytest.approx(1 / 6)


def test_nodes_move_turn_mirror_and_morph(tmp_path):
    tree, _ = gltf(BOX.vertices.astype("<f4"), BOX.faces.ravel().astype("<u2"), (MOVED - BOX.vertices).astype("<f4"))
    tree["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": 2}]
    tree["meshes"][0]["weights"] = [1.0]
    half = np.sqrt(0.5)
    tree["nodes"] = [
        {"children": [1], "rotation": [0, 0, half, half], "scale": [1, 1, 2]},
        {"mesh": 0, "matrix": [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]},
        {"mesh": 0, "translation": [9, 9, 9]},  # not in the scene
    ]
    mesh = read(tmp_path, tree)
    assert fill(mesh) == pytest.approx(7 / 12, abs=1e-4)
    assert sides(mesh) == pytest.approx([1, 1 / 2, 3 / 2], abs=1e-4)


def without_buffer(tree):
    tree["buffers"][0]["uri"] = "there%20is/none.bin"


def short(tree):
    tree["buffers"][0] |= {"byteLength": 999}


def draco(tree):
    tree["extensionsRequired"] = ["KHR_draco_mesh_compression"]


def instanced(tree):
    tree["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": {}}


def skinned(tree):
    tree["nodes"][0]["skin"] = 0


def old(tree):
    tree["asset"]["version"] = "1.0"


def points(tree):
    tree["meshes"][0]["primitives"][0]["mode"] = 0


def beyond(tree):
    tree["accessors"][0]["count"] = 99


def elsewhere(tree):
    tree["buffers"][0]["uri"] = "https://example.org/box.bin"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_buffer, r"its buffer there is/none\.bin is not beside it"),
        (short, "buffer 0 should have 999 bytes, got 168"),
        (draco, "extension KHR_draco_mesh_compression is not read"),
        (instanced, "extension EXT_mesh_gpu_instancing is not read"),
        (skinned, "skeleton"),
        (old, r"glTF 1\.0 is not read"),
        (points, "shows no mesh of triangles"),
        (beyond, "99 values do not fit into 96 bytes"),
        (elsewhere, "given as an address"),
    ],
)
def test_what_is_not_read_is_refused_by_name(tmp_path, spoil, message):
    tree, _ = plain()
    spoil(tree)
    with pytest.raises(MeshError, match=message):
        read(tmp_path, tree)


def test_a_binary_file_that_is_cut_off_is_refused(tmp_path):
    data = trimesh.Scene([BOX]).export(file_type="glb")
    (tmp_path / "cut.glb").write_bytes(data[:-20])
    with pytest.raises(MeshError, match=f"announces {struct.unpack_from('<I', data, 8)[0]} bytes, but has"):
        read_mesh(tmp_path / "cut.glb")
