"""Compact shapes: deformed cubes, as the paper modelled TiO2 by hand in Blender, uneven spheres, ellipsoids, grains."""

import numpy as np
import trimesh
from scipy.special import sph_harm_y

from drgan_lib.config import CubeSettings, EllipsoidSettings, GrainSettings, SphereSettings
from drgan_lib.scene.meshes.convention import normalise, require_budget
from drgan_lib.scene.meshes.measures import self_intersections

# Of grains: the power of the norm at roundness 1, the deviation of ln(distance) of a facet, and that of its direction,
# over the root of their number.
SHARPEST, FACET_SPREAD, UNEVEN = 5.0, 0.1, 0.6
BUMPS, BUMP_PERIODS = 0.05, (0.5, 1.2)  # of bumpy grains: the deviation of ln(radius), and periods of waves, in radii
UNEVENNESS = range(2, 6)  # degrees of the spherical harmonics: 1 would be a shift, higher ones a rough skin


def deformed_cube(settings: CubeSettings, *, seed: int) -> trimesh.Trimesh:
    """A smoothed cube with corners moved at random by up to `deformation` half-edges, and blended with the sphere.

    Where the surface would cut through itself, as for some near a `deformation` of 1, the corners are taken back by a
    quarter until it does not.
    """
    rng = np.random.default_rng(seed)
    cube = trimesh.creation.box(extents=(2.0, 2.0, 2.0))
    while 4 * len(cube.faces) <= settings.max_triangles:
        cube = cube.subdivide()
    points = np.asarray(cube.vertices)
    directions = points / np.linalg.norm(points, axis=1, keepdims=True)
    rounded = (1 - settings.roundness) * points + settings.roundness * 1.3 * directions

    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    displacement = settings.deformation * rng.uniform(-1, 1, size=(8, 3))
    weights = np.prod(1 + points[:, None, :] * corners[None], axis=2) / 8  # trilinear, rows sum to 1
    stretch = np.exp(settings.deformation * rng.normal(size=3))
    while True:
        moved = (rounded + weights @ displacement) * stretch
        mesh = trimesh.Trimesh(moved, cube.faces, process=False)
        trimesh.smoothing.filter_laplacian(mesh, lamb=0.5, iterations=3)
        if not self_intersections(mesh):
            return normalise(mesh)
        displacement *= 0.75


def uneven_sphere(settings: SphereSettings, *, seed: int) -> trimesh.Trimesh:
    """A sphere with broad bumps: ln(radius) is a random sum of spherical harmonics of low degree.

    Its standard deviation over the surface is `settings.deformation`; at 0 the sphere is even.
    """
    rng = np.random.default_rng(seed)
    ball = _icosphere(settings.max_triangles, "a sphere")
    x, y, z = ball.vertices.T
    bumps = np.zeros(len(ball.vertices))
    for degree in UNEVENNESS:
        for order in range(degree + 1):
            real, imaginary = rng.normal(size=2) / degree**2  # broad bumps are the higher ones
            harmonic = sph_harm_y(degree, order, np.arccos(y), np.arctan2(z, x))
            bumps += real * harmonic.real + imaginary * harmonic.imag
    radius = np.exp(settings.deformation * (bumps - bumps.mean()) / bumps.std())
    return normalise(trimesh.Trimesh(ball.vertices * radius[:, None], ball.faces, process=False))


def ellipsoid(settings: EllipsoidSettings, *, seed: int) -> trimesh.Trimesh:
    """An ellipsoid lying flat: its longest axis is x, its shortest y, and z is anything between."""
    rng = np.random.default_rng(seed)
    aspect = rng.uniform(*settings.aspect)
    ball = _icosphere(settings.max_triangles, "an ellipsoid")
    axes = (aspect, 1.0, aspect ** rng.uniform())
    return normalise(trimesh.Trimesh(ball.vertices * axes, ball.faces, process=False))


def grain(settings: GrainSettings, *, seed: int) -> trimesh.Trimesh:
    """A grain: where the p-norm of a place's heights over all facets, in units of their distances, is 1.

    With a large p this is the intersection of half-spaces, a polyhedron; with a smaller one its edges are round. Facets
    face in directions that are spread as evenly as Fibonacci's spiral does, but for chance. Of the share
    `settings.bumpy`, ln(radius) has a sum of plane waves of all directions on top; the others are convex.
    """
    rng = np.random.default_rng(seed)
    aspect, n = rng.uniform(*settings.aspect), int(rng.integers(settings.facets[0], settings.facets[1] + 1))
    height, turn = 1 - (2 * np.arange(n) + 1) / n, np.pi * (3 - 5**0.5) * np.arange(n)
    width = np.sqrt(1 - height**2)
    normals = np.column_stack([width * np.cos(turn), height, width * np.sin(turn)])
    normals += UNEVEN * n**-0.5 * rng.normal(size=normals.shape)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    ball, p = _icosphere(settings.max_triangles, "a grain"), SHARPEST / settings.roundness
    heights = ball.vertices @ (normals * np.exp(FACET_SPREAD * rng.normal(size=(n, 1)))).T
    radius = (heights.clip(0) ** p).sum(axis=1) ** (-1 / p)
    axes = (aspect, 1.0, aspect ** rng.uniform())
    if rng.uniform() < settings.bumpy:
        waves = 2 * np.pi / rng.uniform(*BUMP_PERIODS, size=(64, 1)) * trimesh.unitize(rng.normal(size=(64, 3)))
        bumps = np.cos(ball.vertices @ waves.T + 2 * np.pi * rng.uniform(size=64)).sum(axis=1)
        radius *= np.exp(BUMPS * bumps / bumps.std())
    return normalise(trimesh.Trimesh(ball.vertices * radius[:, None] * axes, ball.faces, process=False))


def _icosphere(max_triangles: int, shape: str) -> trimesh.Trimesh:
    """The unit sphere as an icosahedron, divided as often as the budget allows."""
    require_budget(max_triangles, 20, shape)
    return trimesh.creation.icosphere(subdivisions=int(np.log(max_triangles / 20) / np.log(4) + 1e-9))
