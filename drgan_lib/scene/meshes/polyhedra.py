"""Faceted shapes: Wulff-like truncated octahedra, and platelets.

A convex polyhedron is the intersection of half-spaces n.x <= d. Its edges and corners are rounded as a ball of radius r
would: the polyhedron of the half-spaces n.x <= d - r, widened by r. A facet then is a flat polygon, an edge a piece of
a cylinder, a corner a piece of a sphere. A renderer averages the normals of the faces around a vertex; a second outline
within each polygon keeps the flat part flat, so that only a narrow rim is shaded as round.
"""

import itertools

import numpy as np
import trimesh
from scipy.spatial import HalfspaceIntersection

from drgan_lib.config import OctahedronSettings, PlateletSettings
from drgan_lib.scene.meshes.convention import MeshError, normalise, require_budget

RIM = 0.15  # share of a polygon between its outline and the second one
EDGE = 0.06  # radius of an octahedron's edges, in distances of its {111} facets: 3 % of its diameter
FINEST = 6  # steps across an edge


def truncated_octahedron(settings: OctahedronSettings, *, seed: int) -> trimesh.Trimesh:
    """A polyhedron with the facets {111} and {100} of a cubic crystal, lying on the widest of its {111}.

    The tips of the octahedron are cut at 1 - truncation / 2 of their height; then every facet's distance is varied.
    """
    rng = np.random.default_rng(seed)
    octants = np.array(list(itertools.product((-1, 1), repeat=3))) / np.sqrt(3)
    normals = np.concatenate([octants, np.eye(3), -np.eye(3)])
    tips = np.sqrt(3) * (1 - rng.uniform(*settings.truncation) / 2)
    distances = np.concatenate([np.ones(8), np.full(6, tips)])
    distances *= np.exp(settings.deformation * rng.normal(size=14))
    radius, budget = EDGE * distances.min(), settings.max_triangles
    mesh = rounded_polyhedron(normals, distances, radius, max_triangles=budget, shape="an octahedron")
    areas = [mesh.area_faces[mesh.face_normals @ normal > 1 - 1e-6].sum() for normal in octants]
    mesh.apply_transform(trimesh.geometry.align_vectors(octants[np.argmax(areas)], [0, -1, 0]))
    return mesh


def platelet(settings: PlateletSettings, *, seed: int) -> trimesh.Trimesh:
    """A flat prism with normal y on an uneven polygon, its rim rounded with `roundness` half thicknesses.

    Its width is the diameter of the circle of the polygon's area, `aspect` times its thickness. Sides are moved by some
    8 % and turned by some 3 degrees, so no two platelets are the same.
    """
    rng = np.random.default_rng(seed)
    sides = int(rng.integers(settings.sides[0], settings.sides[1] + 1))
    aspect = rng.uniform(*settings.aspect)
    angles = 2 * np.pi * np.arange(sides) / sides + rng.normal(scale=0.05, size=sides).clip(-0.12, 0.12)
    outline = np.exp(rng.normal(scale=0.08, size=sides).clip(-0.16, 0.16))
    normals = np.column_stack([np.cos(angles), np.zeros(sides), np.sin(angles)])
    normals = np.concatenate([normals, [[0, 1, 0], [0, -1, 0]]])
    prism = HalfspaceIntersection(np.column_stack([normals, -np.append(outline, [0.5, 0.5])]), np.zeros(3))
    area = trimesh.convex.convex_hull(prism.intersections).volume  # the prism is 1 thick
    distances = np.append(outline * aspect / (2 * np.sqrt(area / np.pi)), [0.5, 0.5])
    radius = (0.06 + 0.92 * settings.roundness) * distances.min()
    return rounded_polyhedron(
        normals, distances, radius, max_triangles=settings.max_triangles, shape=f"a platelet with {sides} sides"
    )


def rounded_polyhedron(
    normals: np.ndarray, distances: np.ndarray, radius: float, *, max_triangles: int, shape: str
) -> trimesh.Trimesh:
    """The polyhedron n.x <= d of float64 [n, 3] `normals` and [n] `distances`, its edges rounded with `radius`.

    Edges get as many steps as the budget allows, at most `FINEST`.
    """
    corners, facets = _corners_and_facets(normals, distances - radius)
    loops = sum(len(loop) for loop in facets.values())
    flat = 2 * loops + sum(len(loop) - 2 for loop in facets.values())
    fans = loops - 2 * len(corners)
    counts = {steps: flat + loops * steps + fans * steps**2 for steps in range(1, FINEST + 1)}
    require_budget(max_triangles, counts[1], shape)
    steps = max(steps for steps, count in counts.items() if count <= max_triangles)
    points, faces = _Rounding(corners, facets, normals, radius, steps).surface()
    return normalise(trimesh.Trimesh(points, faces, process=False))


def _corners_and_facets(normals: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, dict[int, list[int]]]:
    """float64 [v, 3] corners, and the corners of each facet in order, counter-clockwise from outside."""
    if not distances.min() > 0:
        raise MeshError(f"expected facets around the origin, got a distance of {distances.min():.3g}")
    found = HalfspaceIntersection(np.column_stack([normals, -distances]), np.zeros(3))
    # Where four facets meet, the library gives a corner for each three of them.
    same = np.abs(found.intersections[:, None] - found.intersections).max(axis=2) < 1e-6
    first, number = np.unique(same.argmax(axis=1), return_inverse=True)
    points, loops = found.intersections[first], {}
    for i, normal in enumerate(normals):
        on = np.unique(number[[i in facets for facets in found.dual_facets]])
        if len(on) >= 3:
            loops[i] = on[_order(points[on], normal)].tolist()
    return points, loops


def _order(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """int64 [n]: the order of points [n, 3] around an axis through their mean, counter-clockwise seen against it."""
    right = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    offset = points - points.mean(axis=0)
    return np.argsort(np.arctan2(offset @ np.cross(axis, right), offset @ right))


class _Rounding:
    """Collects the surface of a rounded polyhedron; a vertex is named by its corner and a mixture of normals."""

    def __init__(self, corners, facets, normals, radius, steps):
        self.corners, self.facets, self.normals = corners, facets, normals
        self.radius, self.steps = radius, steps
        self.points: list[np.ndarray] = []
        self.faces: list[tuple[int, int, int]] = []
        self.names: dict[tuple, int] = {}

    def surface(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices float64 [v, 3] and faces int64 [f, 3]."""
        for i, loop in self.facets.items():
            self._flat(i, loop)
            for a, b in zip(loop, [*loop[1:], loop[0]], strict=True):
                j = next(j for j, other in self.facets.items() if j != i and a in other and b in other)
                if i < j:
                    self._edge(a, b, i, j)
        for corner in range(len(self.corners)):
            meeting = np.array([i for i, loop in self.facets.items() if corner in loop])
            first, *rest = meeting[_order(self.normals[meeting], self.normals[meeting].mean(axis=0))].tolist()
            for j, k in itertools.pairwise(rest):
                self._corner(corner, first, j, k)
        return np.array(self.points), np.array(self.faces)

    def _vertex(self, corner: int, mixture: dict[int, int]) -> int:
        """The vertex above `corner` towards a mixture {facet: weight} of normals."""
        name = (corner, frozenset((i, weight) for i, weight in mixture.items() if weight))
        if name not in self.names:
            direction = sum(weight * self.normals[i] for i, weight in mixture.items())
            self.names[name] = self._add(self.corners[corner] + self.radius * direction / np.linalg.norm(direction))
        return self.names[name]

    def _add(self, point: np.ndarray) -> int:
        self.points.append(point)
        return len(self.points) - 1

    def _quad(self, a: int, b: int, c: int, d: int) -> None:
        self.faces += [(a, b, c), (a, c, d)]

    def _flat(self, i: int, loop: list[int]) -> None:
        outer = [self._vertex(corner, {i: self.steps}) for corner in loop]
        points = np.array([self.points[k] for k in outer])
        inner = [self._add(point) for point in (1 - RIM) * points + RIM * points.mean(axis=0)]
        for k in range(len(loop)):
            after = (k + 1) % len(loop)
            self._quad(outer[k], outer[after], inner[after], inner[k])
        self.faces += [(inner[0], inner[k], inner[k + 1]) for k in range(1, len(loop) - 1)]

    def _edge(self, a: int, b: int, i: int, j: int) -> None:
        n = self.steps
        rows = [[self._vertex(corner, {i: n - s, j: s}) for s in range(n + 1)] for corner in (a, b)]
        for s in range(n):
            self._quad(rows[1][s], rows[0][s], rows[0][s + 1], rows[1][s + 1])

    def _corner(self, corner: int, i: int, j: int, k: int) -> None:
        def at(s: int, t: int) -> int:
            return self._vertex(corner, {i: self.steps - s - t, j: s, k: t})

        for s, t in itertools.product(range(self.steps), repeat=2):
            if s + t < self.steps:
                self.faces.append((at(s, t), at(s + 1, t), at(s, t + 1)))
            if s + t < self.steps - 1:
                self.faces.append((at(s + 1, t), at(s + 1, t + 1), at(s, t + 1)))
