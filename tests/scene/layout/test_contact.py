"""Gaps and contacts: closed forms of balls and boxes, parts of bodies that are not convex, an independent judge."""

import manifold3d
import numpy as np
import pytest
import trimesh

from drgan_lib.scene.layout import CLEARANCE, Layout, sample_layout, separation
from drgan_lib.scene.layout.contact import NOWHERE, Body, Crowd
from tests.scene.layout.conftest import bodies, material_of, meshes_of

BOX, BALL = trimesh.creation.box(), trimesh.creation.icosphere(4, radius=0.5)
UP = np.array([0.0, 1.0, 0.0])


def pair(offset, *, turn=None, size=1.0):
    """Two particles, the second one turned and moved."""
    rotation = np.eye(3) if turn is None else trimesh.transformations.rotation_matrix(*turn)[:3, :3]
    transforms = np.array([[0, 0, 0, 1.0], [*offset, size]])
    return Layout(transforms, np.stack([np.eye(3), rotation]), np.zeros(2, dtype=int))


def crowd_of(mesh):
    crowd = Crowd()
    crowd.add(Body(mesh, np.eye(3), 1.0), np.zeros(3), 0)
    return crowd


def test_gap_of_balls():
    assert separation(pair([0, 1.7, 0.6], size=2.0), [BALL])[0, 1] == pytest.approx(np.hypot(1.7, 0.6) - 1.5, abs=4e-3)


def test_gap_of_boxes_by_faces_edges_and_corners():
    assert separation(pair([1.3, 0.2, 0]), [BOX])[0, 1] == pytest.approx(0.3)
    assert separation(pair([1.3, 1.4, 0]), [BOX])[0, 1] == pytest.approx(0.5)
    on_edge = pair([0, 0.5 + np.sqrt(0.5) + 0.25, 0], turn=(np.pi / 4, [0, 0, 1]))
    assert separation(on_edge, [BOX])[0, 1] == pytest.approx(0.25)
    assert separation(pair([0.5, 0.5, 0.5]), [BOX])[0, 1] < 0


def test_the_gap_is_the_better_of_two_proofs():
    """Of these two, one order of the pair alone gives a direction in which they overlap."""
    sizes = {"law": "bimodal", "mean": [0.25, 0.46875], "std": [0.005859375, 0.010986328125], "share": 0.5}
    changes = {"clusters": [1, 1], "tightness": 0.5, "stacking": 0.5, "height": 3.0}
    layout = sample_layout(material_of(n_particles=[1, 24], sizes=sizes, **changes), meshes_of("cube"), seed=606)
    assert separation(layout, meshes_of("cube")).min() > 0.9 * CLEARANCE


def test_a_ball_stops_at_the_shoulder_of_another():
    ball = Body(BALL, np.eye(3), 1.0)
    height = crowd_of(BALL).stop(ball, np.array([0.6, 0, 0]), UP)
    assert height == pytest.approx(0.8, abs=5e-3)
    assert crowd_of(BALL).stop(ball, np.array([1.1, 0, 0]), UP) == NOWHERE


@pytest.mark.parametrize("start", [-3.0, 0.0, 0.4])
def test_where_a_box_stops_does_not_depend_on_the_start(start):
    box, crowd = Body(BOX, np.eye(3), 1.0), crowd_of(BOX)
    height = crowd.stop(box, np.array([0.4, start, -0.9]), UP) + start
    assert height == pytest.approx(1, abs=2 * CLEARANCE)
    assert crowd.is_clear(box, np.array([0.4, height, -0.9]))
    assert not crowd.is_clear(box, np.array([0.4, height - 2 * CLEARANCE, -0.9]))


def test_only_the_named_particle_stops():
    crowd, box = crowd_of(BOX), Body(BOX, np.eye(3), 1.0)
    crowd.add(Body(BOX, np.eye(3), 1.0), np.array([3.0, 0, 0]), 1)
    x = np.array([1.0, 0, 0])
    assert crowd.stop(box, np.zeros(3), x) == pytest.approx(4, abs=2 * CLEARANCE)
    assert crowd.stop(box, np.zeros(3), x, owner=0) == pytest.approx(1, abs=2 * CLEARANCE)


def test_a_body_may_lie_in_the_notch_of_another():
    legs = [trimesh.creation.box((3, 1, 1)), trimesh.creation.box((1, 1, 3)).apply_translation([-1, 0, 2])]
    corner = trimesh.util.concatenate(legs)
    layout = Layout(np.array([[0, 0, 0, 1.0], [0.5, 0, 1.5, 1.0]]), np.stack([np.eye(3)] * 2), np.array([0, 1]))
    assert separation(layout, [corner, BOX])[0, 1] < 0  # of the hull
    parted = corner.copy()
    parted.metadata["parts"] = [np.arange(8), np.arange(8, 16)]
    assert separation(layout, [parted, BOX])[0, 1] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ("cube", {}),
        ("sphere", {"space": "volume"}),
        ("wire", {"placement": "random", "orientation": "lying", "height": 12}),
        ("wire", {"space": "volume", "height": 20}),
        ("rod", {"space": "planar", "orientation": "lying"}),
        ("platelet", {"stacking": 1.0}),
    ],
)
def test_particles_do_not_intersect_by_their_meshes(shape, layout):
    """Against an independent judge: the intersections of the closed surfaces have no volume (Manifold)."""
    meshes = meshes_of(shape)
    placed = sample_layout(material_of(shape, **layout), meshes, seed=11)
    solids = [
        manifold3d.Manifold(manifold3d.Mesh64(np.array(body.vertices), np.array(body.faces, dtype=np.uint64)))
        for body in bodies(placed, meshes)
    ]
    assert {solid.status() for solid in solids} == {manifold3d.Error.NoError}
    gaps = separation(placed, meshes)
    assert gaps.min() > 0.9 * CLEARANCE
    close = [(i, j) for i, j in np.argwhere(gaps < 0.1) if i < j]
    assert len(close) > 5
    assert max((solids[i] ^ solids[j]).volume() for i, j in close) == 0
