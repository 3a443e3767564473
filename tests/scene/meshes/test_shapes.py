"""Generated shapes: the convention for any settings, closed forms, parts, and normals as the eye expects them."""

import manifold3d
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from drgan_lib.config import (
    CubeSettings,
    EllipsoidSettings,
    GrainSettings,
    OctahedronSettings,
    PlateletSettings,
    RodSettings,
    SphereSettings,
    WireSettings,
    load_experiment,
)
from drgan_lib.scene.meshes import MeshError, convex_parts, generate_meshes, make_meshes, normalise, self_intersections
from drgan_lib.scene.meshes.compact import BUMPS, deformed_cube, ellipsoid, grain, uneven_sphere
from drgan_lib.scene.meshes.elongated import rod, wire
from drgan_lib.scene.meshes.make import GENERATORS
from drgan_lib.scene.meshes.polyhedra import platelet, truncated_octahedron
from tests.scene.meshes.conftest import volume_of_parts

SHARE = st.floats(0, 1)
TRIANGLES = st.integers(700, 3000)


def pairs(low, high):
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(sorted)


BENT = st.one_of(
    st.builds(
        RodSettings,
        aspect=pairs(1, 12),
        cap=pairs(0, 1),
        bend_deg=pairs(0, 180),
        sides=st.integers(3, 24),
        max_triangles=st.integers(1300, 3000),
    ),
    st.builds(
        WireSettings,
        aspect=pairs(2, 60),
        taper=pairs(0, 0.95),
        bend_deg=pairs(0, 180),
        sides=st.integers(9, 16),
        max_triangles=st.integers(1300, 3000),
    ),
)
SHAPES = st.one_of(
    BENT,
    st.builds(CubeSettings, deformation=SHARE, roundness=SHARE, max_triangles=st.integers(12, 5000)),
    st.builds(SphereSettings, deformation=st.floats(0, 0.3), max_triangles=st.integers(20, 5000)),
    st.builds(EllipsoidSettings, aspect=pairs(1, 6), max_triangles=st.integers(20, 5000)),
    st.builds(
        GrainSettings,
        facets=st.tuples(st.integers(6, 9), st.integers(9, 40)),
        roundness=st.floats(0.05, 1),
        bumpy=st.sampled_from([0.0, 1.0]),
    ),
    st.builds(OctahedronSettings, truncation=pairs(0, 1), deformation=st.floats(0, 0.3), max_triangles=TRIANGLES),
    st.builds(
        PlateletSettings,
        aspect=pairs(1, 20),
        sides=st.tuples(st.integers(3, 7), st.integers(8, 12)),
        roundness=SHARE,
        max_triangles=TRIANGLES,
    ),
)


@settings(max_examples=70, deadline=None)
@given(asked=SHAPES, seed=st.integers(0, 2**32 - 1))
def test_every_shape_follows_the_convention(asked, seed):
    mesh = GENERATORS[asked.shape](asked, seed=seed)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.body_count == 1
    assert mesh.euler_number == 2  # no handle
    assert len(mesh.faces) <= asked.max_triangles
    assert mesh.center_mass == pytest.approx(np.zeros(3), abs=1e-6)
    assert self_intersections(mesh) == 0
    if asked.shape in ("rod", "wire"):
        assert mesh.extents[1] == pytest.approx(1, rel=0.3)  # a triangle of unit area is not as high as wide
    else:
        assert mesh.volume == pytest.approx(np.pi / 6, rel=1e-6)
    # Another library agrees that it is a solid.
    solid = manifold3d.Manifold(manifold3d.Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)))
    assert solid.status() == manifold3d.Error.NoError
    assert solid.volume() == pytest.approx(mesh.volume, rel=1e-4)


@pytest.mark.parametrize("seed", [5697717, *range(60)])
def test_the_most_deformed_cubes_do_not_cut_through_themselves(seed):
    mesh = deformed_cube(CubeSettings(deformation=1, roundness=1, max_triangles=192), seed=seed)
    assert self_intersections(mesh) == 0
    assert mesh.volume == pytest.approx(np.pi / 6, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(asked=BENT, seed=st.integers(0, 2**32 - 1))
def test_the_parts_of_bent_shapes_cover_them_closely(asked, seed):
    mesh = GENERATORS[asked.shape](asked, seed=seed)
    covered = [np.isin(mesh.faces, part).all(axis=1) for part in convex_parts(mesh)]
    assert np.any(covered, axis=0).all()  # a hull that holds three corners holds the triangle
    assert mesh.volume * (1 - 1e-4) <= volume_of_parts(mesh) <= 1.15 * mesh.volume


def test_compact_shapes_are_one_part():
    mesh = uneven_sphere(SphereSettings(), seed=0)
    (part,) = convex_parts(mesh)
    assert np.array_equal(part, np.arange(len(mesh.vertices)))


def test_an_even_sphere_is_a_sphere():
    mesh = uneven_sphere(SphereSettings(deformation=0), seed=0)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(0.5, rel=0.01)
    assert np.einsum("ij,ij->i", mesh.vertex_normals, trimesh.unitize(mesh.vertices)).min() > 0.9999


def test_the_unevenness_of_a_sphere_is_the_one_asked_for():
    mesh = uneven_sphere(SphereSettings(deformation=0.1), seed=1)
    radii = np.linalg.norm(mesh.vertices, axis=1)
    assert np.log(radii).std() == pytest.approx(0.1, rel=0.1)  # about the centroid, which the bumps moved a little


def test_an_ellipsoid_has_the_aspect_and_volume_of_its_axes():
    mesh = ellipsoid(EllipsoidSettings(aspect=(2.5, 2.5)), seed=3)
    assert mesh.extents[0] / mesh.extents[1] == pytest.approx(2.5, rel=0.01)
    assert mesh.extents[1] <= mesh.extents[2] <= mesh.extents[0]
    assert mesh.extents.prod() == pytest.approx(1, rel=0.03)  # pi / 6 a b c is the volume


@pytest.mark.parametrize("cap", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("sides", [16, 32])
def test_the_volume_of_a_rod_is_pappus_s(cap, sides):
    mesh = rod(RodSettings(aspect=(4, 4), cap=(cap, cap), sides=sides, max_triangles=5000), seed=0)
    r, flat = cap / 2, (1 - cap) / 2
    caps = 2 * np.pi * (flat**2 * r + np.pi / 2 * flat * r**2 + 2 / 3 * r**3)
    assert mesh.extents[0] == pytest.approx(4)
    assert mesh.volume == pytest.approx(np.pi / 4 * (4 - 2 * r) + caps, rel=0.01)


def test_a_hexagonal_rod_has_the_cross_section_of_a_round_one():
    mesh = rod(RodSettings(aspect=(6, 6), cap=(0, 0), sides=6), seed=0)
    assert ConvexHull(mesh.vertices[:, 1:]).volume == pytest.approx(np.pi / 4, rel=1e-6)


def test_an_octahedron_has_the_volume_of_steiner_s_formula():
    mesh = truncated_octahedron(OctahedronSettings(truncation=(0, 0), deformation=0), seed=0)
    r = 0.06
    a = (1 - r) * np.sqrt(6)
    volume = np.sqrt(2) / 3 * a**3 + 2 * np.sqrt(3) * a**2 * r + 6 * a * np.arccos(1 / 3) * r**2 + 4 / 3 * np.pi * r**3
    height = (6 * volume / np.pi) ** (-1 / 3)  # of the facets, after scaling to unit equivalent diameter
    assert -mesh.bounds[0, 1] == pytest.approx(height, rel=1e-3)
    assert mesh.extents[1] == pytest.approx(2 * height, rel=1e-3)


def test_a_cuboctahedron_has_fourteen_facets():
    mesh = truncated_octahedron(OctahedronSettings(truncation=(1, 1), deformation=0), seed=0)
    assert (mesh.facets_area > 0.02).sum() == 14


def test_a_grain_is_convex_and_the_sharper_the_flatter():
    def flat(roundness):
        mesh = grain(GrainSettings(facets=(10, 10), aspect=(1.3, 1.3), roundness=roundness), seed=1)
        assert ConvexHull(mesh.vertices).volume == pytest.approx(mesh.volume, rel=0.02)
        bent = np.arccos(np.einsum("ij,ij->i", *mesh.face_normals[mesh.face_adjacency].swapaxes(0, 1)).clip(-1, 1))
        return (bent < np.radians(1)).mean()

    assert flat(1.0) < 0.3 < 0.6 < flat(0.05)


def test_a_share_of_grains_is_bumpy_and_its_radii_deviate_as_said():
    smooth, some = (generate_meshes(GrainSettings(count=200, bumpy=bumpy)) for bumpy in (0.0, 0.3))
    deviations = np.array(
        [
            np.log(np.linalg.norm(a.vertices, axis=1) / np.linalg.norm(b.vertices, axis=1)).std()
            for a, b in zip(some, smooth, strict=True)
        ]
    )
    assert (deviations > 0).mean() == pytest.approx(0.3, abs=0.1)
    assert deviations[deviations > 0] == pytest.approx(BUMPS, rel=0.2)  # about a centroid that the bumps moved a little


def test_a_platelet_lies_flat_and_is_as_wide_as_asked():
    mesh = platelet(PlateletSettings(aspect=(6, 6), roundness=0), seed=4)
    area = ConvexHull(mesh.vertices[:, [0, 2]]).volume
    assert 2 * np.sqrt(area / np.pi) / mesh.extents[1] == pytest.approx(6, rel=0.01)


@pytest.mark.parametrize(
    ("generator", "asked", "share"),
    [
        (truncated_octahedron, OctahedronSettings(), 0.5),
        (platelet, PlateletSettings(roundness=0.1), 0.5),
        (rod, RodSettings(sides=6, cap=(0, 0)), 0.5),
        (uneven_sphere, SphereSettings(), 0.0),
    ],
)
def test_facets_are_shaded_flat_and_spheres_are_not(generator, asked, share):
    mesh = generator(asked, seed=2)
    turned = np.einsum("ijk,ik->ij", mesh.vertex_normals[mesh.faces], mesh.face_normals)
    flat = mesh.area_faces[turned.min(axis=1) > np.cos(np.radians(0.1))].sum() / mesh.area
    assert flat > share if share else flat == 0


def test_wires_are_thinner_at_their_ends():
    mesh = wire(WireSettings(aspect=(20, 20), taper=(0.5, 0.5), bend_deg=(0, 0)), seed=0)
    x = mesh.vertices[:, 0]
    reach = mesh.vertices[:, 1]
    middle, end = np.abs(x) < 1, np.abs(x) > 9
    assert 2 * reach[middle].max() == pytest.approx(1, rel=0.05)
    assert 2 * reach[end].max() == pytest.approx(0.55, abs=0.08)


def test_a_wire_turns_by_the_angle_asked_for():
    mesh = wire(WireSettings(aspect=(30, 30), taper=(0, 0), bend_deg=(90, 90)), seed=5)
    ends = mesh.vertices[-2:]
    inward = [mesh.vertex_normals[k] for k in (-2, -1)]
    assert np.degrees(np.arccos(-inward[0] @ inward[1])) == pytest.approx(90, abs=2)
    assert np.linalg.norm(ends[1] - ends[0]) < 30


@pytest.mark.parametrize("shape", [OctahedronSettings, PlateletSettings, RodSettings, WireSettings, SphereSettings])
def test_a_budget_below_the_least_is_refused_with_the_least(shape):
    asked = shape(max_triangles=12)
    with pytest.raises(MeshError, match=r"needs at least \d+ triangles, got max_triangles 12") as error:
        GENERATORS[asked.shape](asked, seed=0)
    least = int(str(error.value).split("at least ")[1].split()[0])
    assert len(GENERATORS[asked.shape](shape(max_triangles=least), seed=0).faces) <= least


@pytest.mark.parametrize("shape", GENERATORS)
def test_same_seed_same_shapes(shape):
    material = load_experiment("twin", overrides={"meshes.shape": shape, "meshes.count": 3}).material
    first, second = make_meshes(material), make_meshes(material)
    assert all(np.array_equal(a.vertices, b.vertices) for a, b in zip(first, second, strict=True))


def test_unusable_meshes_are_refused():
    with pytest.raises(MeshError, match="no faces"):
        normalise(trimesh.Trimesh(np.zeros((3, 3)), np.zeros((0, 3), dtype=int)))
    cube = trimesh.creation.box()
    with pytest.raises(MeshError, match="open"):
        normalise(trimesh.Trimesh(cube.vertices, cube.faces[:-1]))


def test_inside_out_mesh_is_turned():
    cube = trimesh.creation.box()
    turned = normalise(trimesh.Trimesh(cube.vertices, cube.faces[:, ::-1], process=False))
    assert turned.volume == pytest.approx(np.pi / 6)
