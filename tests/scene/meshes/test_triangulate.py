"""Polygons, their triangles, and the check that both have one shape."""

import numpy as np
import pytest
import trimesh

from drgan_lib.scene.meshes import MeshError
from drgan_lib.scene.meshes.formats import Polygons, triangulate
from drgan_lib.scene.meshes.formats.same import compare, silhouettes

OUTLINE = np.array([[1, 1], [1, 3], [0, 3], [0, 0], [3, 0], [3, 1]])  # an L, whose fan leaves it
RING = np.arange(6)
WALLS = np.column_stack([RING, np.roll(RING, -1), np.roll(RING, -1) + 6, RING + 6]).tolist()
SOLID = Polygons.of_lists(
    np.vstack([np.column_stack([OUTLINE, np.full(6, z)]) for z in (0.0, 1.0)]),
    [(-RING % 6).tolist(), (RING + 6).tolist(), *WALLS],
)


def fans(polygons, shift):
    """Every face cut from one of its corners, as a simple reader would."""
    triangles, owners = [], []
    for face, (start, size) in enumerate(zip(polygons.starts, polygons.sizes, strict=True)):
        corners = np.roll(polygons.corners[start : start + size], -shift)
        triangles += [(corners[0], corners[k], corners[k + 1]) for k in range(1, size - 1)]
        owners += [face] * (size - 2)
    return np.array(triangles), np.array(owners)


def test_an_l_has_its_volume_its_silhouettes_and_its_areas():
    mesh, findings = triangulate(SOLID)
    assert findings == []
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(5)
    assert mesh.area == pytest.approx(2 * 5 + 12)
    assert silhouettes(SOLID.vertices, mesh.faces) == pytest.approx([3, 3, 5])
    assert SOLID.area_vectors()[:2] == pytest.approx(np.array([[0, 0, -5], [0, 0, 5]]))
    assert SOLID.middles()[0] == pytest.approx([8 / 6, 8 / 6, 0])


def test_a_fan_that_leaves_its_face_is_refused():
    for shift in (1, 2, 4, 5):
        triangles, owners = fans(SOLID, shift)
        assert silhouettes(SOLID.vertices, triangles)[2] > 5.5
        with pytest.raises(MeshError, match=r"face [12] \(6 corners\)"):
            compare(SOLID, triangles, owners)


def test_triangles_that_are_missing_or_elsewhere_are_refused():
    right = fans(SOLID, 0)  # from the inner corner
    assert compare(SOLID, *right) == []
    for gone in range(20):
        with pytest.raises(MeshError, match="face"):
            compare(SOLID, *(np.delete(part, gone, axis=0) for part in right))
    with pytest.raises(MeshError, match="face"):
        compare(SOLID, (right[0] + 1) % 12, right[1])


def test_files_of_triangles_alone_stay_as_they_are():
    ball = trimesh.creation.icosphere(2)
    mesh, findings = triangulate(Polygons.of_triangles(ball.vertices, ball.faces))
    assert findings == []
    assert np.array_equal(mesh.faces, ball.faces)


def test_faces_of_one_or_two_corners_have_no_area():
    polygons = Polygons.of_lists(SOLID.vertices, [[0], [1, 2], [], [1, 2, 3, 0]])
    assert triangulate(polygons)[0].faces.tolist() == [[0, 0, 0], [1, 2, 2], [1, 2, 3], [1, 3, 0]]


def test_vertices_that_are_no_numbers_pass_to_the_repair():
    vertices = SOLID.vertices.copy()
    vertices[3, 1] = np.nan
    assert len(triangulate(Polygons(vertices, SOLID.corners, SOLID.sizes))[0].faces) == 20


def test_a_corner_that_is_no_vertex_is_named():
    with pytest.raises(MeshError, match="face 2 has the vertex 13, but there are 12"):
        Polygons.of_lists(SOLID.vertices, [[0, 1, 2], [3, 4, 12]])
