"""Mesh files that are easily read wrong without a word: they come in right, or are refused with the true reason."""

import struct
import zipfile

import manifold3d
import numpy as np
import pytest
import trimesh

from drgan_lib import cli
from drgan_lib.config import ROOT
from drgan_lib.scene.meshes import MeshError, read_mesh

CASES = ROOT.parent / "shared/cases.zip"
BOX = trimesh.creation.box((1, 2, 3))
L = np.array([[0, 0], [3, 0], [3, 1], [1, 1], [1, 3], [0, 3]])  # area 5 of 9


def shape(mesh):
    """Share of its box that a mesh fills, and of the box's sides that its silhouettes along x, y and z fill."""
    solid = manifold3d.Manifold(manifold3d.Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)))
    sides = np.prod(mesh.extents) / mesh.extents
    turned = (solid.rotate([0, -90, 0]), solid.rotate([90, 0, 0]), solid)
    areas = [one.project().area() for one in turned]
    return [solid.volume() / np.prod(mesh.extents), *(areas / sides)]


def prism(outline):
    """Vertices and faces of a prism of height 1 over an outline [n, 2], each face a polygon."""
    n = len(outline)
    vertices = np.vstack([np.column_stack([outline, np.full(n, z)]) for z in (0, 1)])
    ring = np.arange(n)
    walls = np.column_stack([ring, np.roll(ring, -1), np.roll(ring, -1) + n, ring + n])
    return vertices, [ring[::-1].tolist(), (ring + n).tolist(), *walls.tolist()]


def write_obj(path, vertices, faces, relative=False):
    shift = len(vertices) if relative else -1
    lines = [f"v {x} {y} {z}" for x, y, z in vertices]
    path.write_text("\n".join([*lines, *("f " + " ".join(str(i - shift) for i in face) for face in faces)]))
    return path


def write_ply(path, vertices, faces):
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    head = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n{axes}"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = [struct.pack(f"<B{len(face)}i", len(face), *face) for face in faces]
    path.write_bytes(head.encode() + np.asarray(vertices, "<f4").tobytes() + b"".join(rows))
    return path


def text_stl(mesh, name="box"):
    return trimesh.exchange.stl.export_stl_ascii(mesh).replace("solid", f"solid {name}")


def text_ply(mesh):
    return mesh.export(file_type="ply", encoding="ascii").decode()


def strip_ply(mesh, order):
    """Binary, its faces as strips of one triangle with ends (-1) between; big-endian, half of them as faces."""
    n = len(mesh.faces) // 2 if order == ">" else 0
    strip = np.column_stack([mesh.faces[n:], np.full(len(mesh.faces) - n, -1)]).ravel()
    axes = "".join(f"property double {axis}\n" for axis in "xyz")
    head = f"ply\nformat binary_{'big' if n else 'little'}_endian 1.0\nelement vertex {len(mesh.vertices)}\n{axes}"
    head += f"element face {n}\nproperty list uchar int vertex_index\n"
    head += "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
    faces = b"".join(struct.pack(f"{order}B3i", 3, *face) for face in mesh.faces[:n])
    strips = struct.pack(f"{order}{len(strip) + 1}i", len(strip), *strip)
    return head.encode() + mesh.vertices.astype(f"{order}f8").tobytes() + faces + strips


RIGHT = {  # volume and silhouettes, as shares of the box
    **{f"L{k}.obj": (5 / 9, 1, 1, 5 / 9) for k in range(6)},
    **{name: (0.3415, 1, 1, 0.3415) for name in ("star.obj", "star.ply")},
    **{name: (17.5 / 40, 0.55, 0.55, 1) for name in ("abs.obj", "rel.obj")},
    **dict.fromkeys(["header_solid.stl", "named_vertex.stl", "trailing.stl", "upper.stl"], (1, 1, 1, 1)),
    **dict.fromkeys(["plain.gltf", "percent.gltf", "quant.gltf"], (1, 1, 1, 1)),
    "strips.ply": (1 / 6, 1 / 2, 1 / 2, 1 / 2),
}
REFUSED = {
    "comma.obj": "got '0,25': numbers have decimal commas",
    "comma.stl": "got '0,250': numbers have decimal commas",
    "absent.gltf": r"its buffer absent\.bin is not beside it",
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    if not CASES.is_file():
        pytest.skip("the cases lie beside the repository, in shared/cases.zip")
    folder = tmp_path_factory.mktemp("cases")
    with zipfile.ZipFile(CASES) as file:
        file.extractall(folder, [name for name in file.namelist() if name.startswith("cases/meshes/")])
    return folder / "cases/meshes"


def test_every_case_is_held_against_what_it_should_be(cases):
    names = {path.name for path in cases.iterdir()} - {"README", "my cube.bin", "dodeca.obj", "sparse.gltf"}
    assert names == set(RIGHT) | set(REFUSED)


@pytest.mark.parametrize("name", RIGHT)
def test_cases_are_read_right(cases, name):
    mesh, _ = read_mesh(cases / name)
    assert shape(mesh) == pytest.approx(RIGHT[name], abs=1e-3)


def test_other_solids_of_the_cases_are_read_right(cases):
    dodecahedron, _ = read_mesh(cases / "dodeca.obj")
    assert len(dodecahedron.faces) == 36
    assert dodecahedron.area == pytest.approx(np.pi / 0.910453, rel=1e-4)  # by its sphericity
    cube, _ = read_mesh(cases / "plain.gltf")
    drawn, _ = read_mesh(cases / "sparse.gltf")
    assert drawn.extents / drawn.extents.min() == pytest.approx([3.75 / 3.75, 4 / 3.75, 4 / 3.75], rel=1e-3)
    assert shape(drawn)[0] < 0.9 * shape(cube)[0]


@pytest.mark.parametrize("name", REFUSED)
def test_cases_that_cannot_be_right_are_refused(cases, name, tmp_path, capsys):
    with pytest.raises(MeshError, match=f"{name}: .*{REFUSED[name]}"):
        read_mesh(cases / name)
    assert cli.main(["import", str(cases / name), "--folder", str(tmp_path)]) == 2
    assert "point cloud" not in capsys.readouterr().err


COMB = np.array([[0, 0], [5, 0], [5, 3], [4, 3], [4, 1], [3, 1], [3, 3], [2, 3], [2, 1], [1, 1], [1, 3], [0, 3]])


@pytest.mark.parametrize("write", [write_obj, write_ply])
@pytest.mark.parametrize("start", range(0, 12, 3))
@pytest.mark.parametrize(("outline", "share"), [(COMB, 11 / 15), (L, 5 / 9)])
def test_concave_faces_keep_their_outline(tmp_path, write, start, outline, share):
    path = write(tmp_path / f"one.{write.__name__[-3:]}", *prism(np.roll(outline, start, axis=0)))
    mesh, findings = read_mesh(path)
    assert findings == []
    assert shape(mesh) == pytest.approx((share, 1, 1, share), abs=1e-4)


@pytest.mark.parametrize("start", range(10))
def test_a_face_may_go_around_a_hole(tmp_path, start):
    outer, inner = np.array([[0, 0], [3, 0], [3, 3], [0, 3]]), np.array([[1, 1], [1, 2], [2, 2], [2, 1]])
    (vertices, walls), (more, others) = ((part[0], part[1][2:]) for part in map(prism, (outer, inner)))
    around = np.roll([0, 1, 2, 3, 0, 8, 9, 10, 11, 8], start)
    faces = [around[::-1].tolist(), (around + 4).tolist(), *walls, *(np.array(others) + 8).tolist()]
    mesh, _ = read_mesh(write_obj(tmp_path / "frame.obj", np.vstack([vertices, more]), faces))
    assert shape(mesh) == pytest.approx((8 / 9, 1, 1, 8 / 9), abs=1e-4)


def test_a_face_that_crosses_itself_is_refused(tmp_path):
    angles = 4 * np.pi / 5 * np.arange(5)  # a star drawn in one stroke
    star = write_obj(tmp_path / "star.obj", *prism(np.column_stack([np.cos(angles), np.sin(angles)])))
    with pytest.raises(MeshError, match=r"face 1 \(5 corners\) crosses itself"):
        read_mesh(star)
    bow = write_obj(tmp_path / "bow.obj", *prism(np.array([[0, 0], [1, 1], [1, 0], [0, 1]])))
    with pytest.raises(MeshError, match=r"face 1 \(4 corners\) crosses itself"):
        read_mesh(bow)


@pytest.mark.parametrize(("degrees", "refused"), [(0, None), (8, False), (30, True)])
def test_faces_far_from_flat_are_told_or_refused(tmp_path, degrees, refused):
    vertices, faces = prism(np.array([[1.0, 1], [-1, 1], [-1, -1], [1, -1]]))
    turn = trimesh.transformations.rotation_matrix(np.radians(degrees), (0, 0, 1))[:2, :2]
    vertices[4:, :2] = vertices[4:, :2] @ turn.T
    path = write_ply(tmp_path / "twisted.ply", vertices, faces)
    if refused:
        with pytest.raises(MeshError, match="far from flat; their cutting changes the shape by"):
            read_mesh(path)
    else:
        assert len(read_mesh(path)[1]) == (refused is False)


def test_indices_back_from_the_end_are_those_from_the_beginning(tmp_path):
    vertices, faces = prism(COMB)
    there = write_obj(tmp_path / "there.obj", vertices, faces)
    back = write_obj(tmp_path / "back.obj", vertices, faces, relative=True)
    assert np.array_equal(read_mesh(there)[0].triangles, read_mesh(back)[0].triangles)
    lines = [f"{line} # note\no name with f 1 2 3" for line in back.read_text().split("\n")]
    text = "\r\n".join(lines).replace(" -", "/1/2 -").replace("f/1/2", "f").replace(" -3", " \\\r\n-3")
    (tmp_path / "odd.obj").write_bytes(text.encode())
    assert np.array_equal(read_mesh(there)[0].triangles, read_mesh(tmp_path / "odd.obj")[0].triangles)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("zero.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2", "got '0' in 'f 0 1 2'"),
        ("far.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4", "face 1 has the vertex 4, but there are 3"),
        ("back.obj", b"v 0 0 0\nv 1 0 0\nf -1 -2 -3\nv 0 1 0", "got '-3' in 'f -1 -2 -3'"),
        ("curved.obj", b"v 0 0 0\ncstype bspline\nsurf 0 1 0 1 1", "free-form surfaces"),
        ("list.obj", b"v 0, 0, 0\nf 1 1 1", "expected numbers as vertices, got '0,'; export|got '0,'$"),
        ("exponent.obj", b"v 0 0 0\nv 1 0 -1,5e-1\nv 0 1 0\nf 1 2 3", "got '-1,5e-1': numbers have decimal commas"),
        ("comma.ply", text_ply(BOX).replace(".5", ",5").encode(), "decimal commas"),
        ("more.ply", (text_ply(BOX) + "\n3 0 1 2\n").encode(), "its head announces 20 lines, but 21 follow"),
        ("cut.ply", BOX.export(file_type="ply")[:-20], "ends after 10 of 12 face"),
        ("two.ply", BOX.export(file_type="ply") * 2, "bytes more than its head announces"),
        ("cut.stl", BOX.export(file_type="stl")[:-20], "announces 12 triangles, but ends after 11"),
        ("two.stl", BOX.export(file_type="stl") * 2, "announces 12 triangles, but 684 bytes follow"),
        ("cut2.stl", text_stl(BOX).partition("endfacet")[0].encode(), "ends within facet 1"),
    ],
)
def test_damage_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=message):
        read_mesh(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("facet.stl", text_stl(BOX, "facet with a vertex").encode()),
        ("latin.stl", text_stl(BOX, "caf\xe9").upper().replace("\n", "\r\n").encode("latin-1")),
        ("tabs.stl", text_stl(BOX).replace(" ", "\t \t").encode("utf-8-sig")),
        ("solids.stl", (text_stl(BOX) + "\n" + text_stl(BOX)).encode()),
        ("padded.stl", BOX.export(file_type="stl") + bytes(1000)),
        ("note.stl", b"SOLID vertex".ljust(80) + BOX.export(file_type="stl")[80:] + b"a note"),
        ("strip.ply", strip_ply(BOX, "<")),
        ("mixed.ply", strip_ply(BOX, ">")),
    ],
)
def test_odd_but_valid_files_are_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    mesh, findings = read_mesh(tmp_path / name)
    assert shape(mesh) == pytest.approx((1, 1, 1, 1), abs=1e-4)
    assert mesh.extents / mesh.extents.min() == pytest.approx((1, 2, 3), abs=1e-4)
    assert "surface was inside out" not in " ".join(findings)
