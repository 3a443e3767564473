"""Repair of a user's meshes: what is mended is said, what cannot be is refused with a reason."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.scene.meshes import MeshError, repair, self_intersections, shaded

BUDGET = 1300


def ball(scale=1.0, at=(0, 0, 0)):
    mesh = trimesh.creation.icosphere(2, radius=scale)
    mesh.apply_translation(at)
    return mesh


def raw(vertices, faces):
    return trimesh.Trimesh(vertices, faces, process=False)


def unmerged(mesh):
    return raw(mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3))


def particle(mesh):
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(np.pi / 6)
    assert mesh.center_mass == pytest.approx(np.zeros(3), abs=1e-9)
    return mesh


def turned(n):
    """The ball with its first n faces the other way round."""
    faces = ball().faces.copy()
    faces[:n] = faces[:n, ::-1]
    return raw(ball().vertices, faces)


@pytest.mark.parametrize(
    ("mesh", "findings"),
    [
        (ball(), []),
        (raw(ball().vertices, ball().faces[1:]), ["small holes closed (3 open edges)"]),
        (turned(320), ["the surface was inside out; turned"]),
        (turned(50), ["faces that pointed the other way than their neighbours turned"]),
        (turned(270), ["faces that pointed the other way than their neighbours turned"]),
        (
            raw(ball().vertices, np.concatenate([ball().faces, ball().faces[:9], [[4, 4, 7]]])),
            ["1 faces without area removed", "9 duplicate faces removed"],
        ),
        (
            trimesh.util.concatenate([ball(), ball(0.2, (5, 0, 0))]),
            ["1 small bodies left out (0.8 % of the volume)"],
        ),
    ],
)
def test_what_is_wrong_with_a_ball_is_said_and_mended(mesh, findings):
    mesh, found = repair(mesh, max_triangles=BUDGET)
    assert found == findings
    assert len(particle(mesh).faces) == 320


@settings(max_examples=10, deadline=None)
@given(unit=st.floats(-12, 6))
def test_the_unit_of_length_does_not_matter(unit):
    mesh, findings = repair(unmerged(ball(10**unit)), max_triangles=BUDGET)
    assert len(particle(mesh).faces) == 320
    assert findings == ["798 duplicate vertices merged"]


def test_proportions_stay():
    mesh, _ = repair(trimesh.creation.box((3, 1, 2)), max_triangles=BUDGET)
    assert particle(mesh).extents / mesh.extents.min() == pytest.approx([3, 1, 2])


def test_a_large_hole_is_refused_with_the_number_of_its_edges():
    half = ball().faces[ball().triangles_center[:, 2] > 0]
    with pytest.raises(MeshError, match="open: 24 edges"):
        repair(raw(ball().vertices, half), max_triangles=BUDGET)


def test_overlapping_bodies_become_one():
    mesh, findings = repair(trimesh.util.concatenate([ball(), ball(at=(0.9, 0, 0))]), max_triangles=BUDGET)
    assert findings == ["2 bodies that overlap or lie in each other joined into 1"]
    assert particle(mesh).body_count == 1
    union = np.pi * (8 / 3 - 4.9 * 1.1**2 / 12)  # two unit balls less their lens
    assert mesh.extents[0] == pytest.approx(2.9 / np.cbrt(6 * union / np.pi), rel=0.02)


def test_the_wall_of_a_hollow_body_counts_for_nothing():
    inner = ball(0.8)
    inner.invert()
    mesh, _ = repair(trimesh.util.concatenate([ball(), inner]), max_triangles=BUDGET)
    assert np.linalg.norm(particle(mesh).vertices, axis=1) == pytest.approx(0.5, rel=0.02)


def test_two_particles_are_refused():
    with pytest.raises(MeshError, match="2 separate bodies, the second with 100 %"):
        repair(trimesh.util.concatenate([ball(), ball(at=(5, 0, 0))]), max_triangles=BUDGET)


def test_too_many_triangles_are_simplified():
    fine = trimesh.creation.icosphere(5)
    mesh, findings = repair(fine, max_triangles=500)
    assert len(particle(mesh).faces) <= 500
    assert findings[0].startswith("20480 triangles simplified to 500 (volume changed by")
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(0.5, rel=0.02)
    box = trimesh.creation.box((1, 2, 3))
    for _ in range(5):
        box = box.subdivide()
    mesh, findings = repair(box, max_triangles=500)
    assert len(particle(mesh).faces) == 12
    assert findings[0].startswith("12288 triangles simplified to 12")
    with pytest.raises(MeshError, match="could not be simplified to max_triangles 12"):
        repair(trimesh.creation.torus(1, 0.3), max_triangles=12)


def test_inner_walls_are_refused():
    box = trimesh.creation.box().subdivide()
    ring = np.flatnonzero(np.abs(box.vertices[:, 0]) < 1e-9)
    ring = ring[np.argsort(np.arctan2(*box.vertices[ring, 1:].T))]
    wall = [[len(box.vertices), a, b] for a, b in zip(ring, np.roll(ring, 1), strict=True)]
    with pytest.raises(MeshError, match="8 edges have more than two faces"):
        repair(raw(np.vstack([box.vertices, [0, 0, 0]]), np.vstack([box.faces, wall])), max_triangles=BUDGET)


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (raw(np.zeros((3, 3)), np.zeros((0, 3), dtype=int)), "no faces"),
        (raw(np.zeros((3, 3)), [[0, 1, 2]]), "one place"),
        (raw(np.where(np.arange(162)[:, None] == 3, np.nan, ball().vertices), ball().faces), "1 of 162 vertices"),
        (trimesh.creation.box((1, 1, 1e-8)), "no volume|no face"),
        (raw([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]], [[0, 1, 1], [2, 3, 3]]), "no face of the mesh"),
    ],
)
def test_what_is_no_body_is_refused(mesh, message):
    with pytest.raises(MeshError, match=message):
        repair(mesh, max_triangles=BUDGET)


def test_a_one_sided_surface_is_refused():
    # Two Moebius strips would close to a Klein bottle: a grid whose rows are joined with a twist.
    n = 12
    u, v = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")

    def at(i, j):
        return (i % n) * n + np.where(i >= n, -1 - j, j) % n

    quads = [at(u, v), at(u + 1, v), at(u + 1, v + 1), at(u, v + 1)]
    a, b, c, d = (q.ravel() for q in quads)
    a2, t = 2 * np.pi * u.ravel() / n, 2 * np.pi * (v.ravel() + 0.5) / n
    r = 3 + np.cos(a2 / 2) * np.sin(t) - np.sin(a2 / 2) * np.sin(2 * t)
    vertices = np.column_stack(
        [r * np.cos(a2), r * np.sin(a2), np.sin(a2 / 2) * np.sin(t) + np.cos(a2 / 2) * np.sin(2 * t)]
    )
    with pytest.raises(MeshError, match="only one side"):
        repair(
            raw(vertices, np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])),
            max_triangles=BUDGET,
        )


def test_a_surface_through_itself_is_reported():
    vertices = ball().vertices.copy()
    vertices[0] *= -1.5  # pulled through the ball and out on the other side
    assert self_intersections(ball()) == 0
    assert self_intersections(raw(vertices, ball().faces)) > 0
    _, findings = repair(raw(vertices, ball().faces), max_triangles=BUDGET)
    assert any("cuts through itself" in finding for finding in findings)


def test_two_crossing_triangles_are_one_crossing():
    crossing = [[0, 0, -1], [0, 0, 1], [0, 3, 0], [-1, 1, 0], [1, 1, 0], [0, 1.5, 0.1]]
    assert self_intersections(raw(crossing, [[0, 1, 2], [3, 4, 5]])) == 1
    assert self_intersections(raw(np.add(crossing, [[5, 0, 0]] * 3 + [[0, 0, 0]] * 3), [[0, 1, 2], [3, 4, 5]])) == 0


def test_sharp_edges_stay_sharp_in_the_image():
    box, _ = repair(trimesh.creation.box(), max_triangles=BUDGET)
    copy = shaded(box)
    assert np.abs(copy.vertex_normals).max(axis=1) == pytest.approx(1)
    assert copy.area == pytest.approx(box.area)
    assert copy.bounds == pytest.approx(box.bounds)
    smooth, _ = repair(ball(), max_triangles=BUDGET)
    assert shaded(smooth) is smooth
