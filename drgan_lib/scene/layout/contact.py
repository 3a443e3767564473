"""Which particles touch: distances between convex parts (GJK, by the Flexible Collision Library).

A particle is the union of the convex hulls of its mesh's parts. Two particles are disjoint when every pair of parts is,
and one that moves along a line stops where the first of its parts meets one of another particle's. FCL proposes the
direction in which two parts are apart, all of their vertices confirm it: whatever FCL's tolerance, particles are placed
only where planes separate them.
"""

import itertools
from functools import lru_cache

import fcl
import numpy as np
import trimesh
from scipy.spatial import ConvexHull

from drgan_lib.scene.layout.record import Layout
from drgan_lib.scene.meshes import convex_parts

CLEARANCE = 1e-3  # gap left between surfaces, scene units (a thirtieth of a pixel)
STEPS = 50  # of Newton's method; contacts take less than ten
NOWHERE = -np.inf
# With all faces FCL would look for a path along the edges: at every new body that takes longer than all it then saves.
ONE_FACE = np.array([3, 0, 1, 2])
NEAREST_POINTS = fcl.DistanceRequest(enable_nearest_points=True)


class Part:
    """A convex part: its vertices about the particle's centroid, and where that is."""

    def __init__(self, points: np.ndarray):
        self.points, self.centre = points, np.zeros(3)
        self.shape = fcl.CollisionObject(fcl.Convex(points, 1, ONE_FACE))

    def move(self, centre: np.ndarray) -> None:
        self.centre = centre
        self.shape.setTranslation(centre)


class Body:
    """A mesh turned and scaled, as its convex parts about its centroid.

    `middles` [p, 3] and `radii` [p] are balls around the parts, `low` and `high` [3] the corners of the bounding box.
    """

    def __init__(self, mesh: trimesh.Trimesh, rotation: np.ndarray, size: float):
        self.parts = [Part(size * (vertices @ rotation.T)) for vertices in _hulls(mesh)]
        corners = np.array([(part.points.min(axis=0), part.points.max(axis=0)) for part in self.parts])
        self.middles = corners.mean(axis=1)
        balls = zip(self.parts, self.middles, strict=True)
        self.radii = np.array([np.linalg.norm(part.points - middle, axis=1).max() for part, middle in balls])
        self.low, self.high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)

    def move(self, centre: np.ndarray) -> None:
        for part in self.parts:
            part.move(centre)


@lru_cache(maxsize=1024)
def _hulls(mesh: trimesh.Trimesh) -> tuple[np.ndarray, ...]:
    """float64 [v, 3] per part of a mesh: the vertices of its convex hull."""
    parts = (np.asarray(mesh.vertices)[part] for part in convex_parts(mesh))
    return tuple(points[ConvexHull(points).vertices] for points in parts)


class Crowd:
    """Bodies that have found their places."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.owners = np.empty(0, dtype=int)
        self.middles, self.radii = np.empty((0, 3)), np.empty(0)

    def add(self, body: Body, centre: np.ndarray, owner: int) -> None:
        """Puts `body`, which is known by the number `owner`, at `centre`."""
        body.move(centre)
        self.parts += body.parts
        self.owners = np.append(self.owners, np.full(len(body.parts), owner))
        self.middles = np.concatenate([self.middles, body.middles + centre])
        self.radii = np.append(self.radii, body.radii)

    def is_clear(self, body: Body, centre: np.ndarray) -> bool:
        """Whether `body` at `centre` keeps its clearance to all others."""
        offsets = self.middles - (body.middles + centre)[:, None]
        near = np.linalg.norm(offsets, axis=2) < self.radii + body.radii[:, None] + CLEARANCE
        body.move(centre)
        return all(_gap(self.parts[other], body.parts[own])[0] >= CLEARANCE for own, other in np.argwhere(near))

    def stop(self, body: Body, start: np.ndarray, direction: np.ndarray, *, owner: int | None = None) -> float:
        """How far from `start` along the unit vector `direction` a body stops that comes from that side.

        From there on outwards it is clear of all others (of `owner` alone, if given); minus infinity if it never
        meets one.
        """
        others = np.flatnonzero(self.owners == owner) if owner is not None else np.arange(len(self.parts))
        offsets = self.middles[others] - (body.middles + start)[:, None]
        along = offsets @ direction
        beside = (offsets**2).sum(axis=2) - along**2
        reach = (self.radii[others] + body.radii[:, None] + CLEARANCE) ** 2
        meets = np.nonzero(beside < reach)
        far = along[meets] + np.sqrt(reach[meets] - beside[meets])  # where the balls around the parts meet
        best = NOWHERE
        for k in np.argsort(-far, kind="stable"):
            if far[k] <= best:
                break
            own, other = body.parts[meets[0][k]], self.parts[others[meets[1][k]]]
            best = max(best, _first_contact(other, own, start, direction, far[k], best))
        return float(best)


def _first_contact(still, moving, start: np.ndarray, direction: np.ndarray, t: float, least: float) -> float:
    """`t` reduced to where `moving` at start + t * direction has its clearance to `still`; no matter if below `least`.

    Newton's method: the gap is a convex function of t, so that the steps never pass the contact.
    """
    for _ in range(STEPS):
        moving.move(start + t * direction)
        gap, normal = _gap(still, moving)
        if gap <= 1.5 * CLEARANCE:
            return t
        closing = normal @ direction
        if closing <= 1e-9:  # it passes by
            return NOWHERE
        t -= (gap - 1.2 * CLEARANCE) / closing
        if t <= least:
            return NOWHERE
    return t


def _gap(a: Part, b: Part) -> tuple[float, np.ndarray]:
    """Distance of two convex parts, and the unit vector from `a` to `b`; -1 and zeros if they meet."""
    result = fcl.DistanceResult()
    if fcl.distance(a.shape, b.shape, NEAREST_POINTS, result) <= 0:
        return -1.0, np.zeros(3)
    on_a, on_b = result.nearest_points
    normal = (on_b - on_a) / np.linalg.norm(on_b - on_a)
    return float((b.points @ normal).min() - (a.points @ normal).max() + (b.centre - a.centre) @ normal), normal


def separation(layout: Layout, meshes: list[trimesh.Trimesh]) -> np.ndarray:
    """float64 [n, n]: the gap between each pair of particles in scene units, negative where they meet."""
    bodies = [Body(meshes[m], rotation.astype(float), float(transform[3])) for m, rotation, transform in layout]
    centres = layout.transforms[:, :3].astype(float)
    for body, centre in zip(bodies, centres, strict=True):
        body.move(centre)
    middles = [body.middles + centre for body, centre in zip(bodies, centres, strict=True)]
    gaps = np.full((len(bodies), len(bodies)), np.inf)
    for i, j in itertools.combinations(range(len(bodies)), 2):
        a, b = bodies[i], bodies[j]
        # Parts are at least as far apart as the balls around them; the nearest balls come first.
        least = np.linalg.norm(middles[j] - middles[i][:, None], axis=2) - a.radii[:, None] - b.radii
        for k in np.argsort(least, axis=None):
            own, other = np.unravel_index(k, least.shape)
            if gaps[i, j] < least[own, other]:
                break
            # FCL's direction may be off by half a degree, hardly ever in both orders: either proves its gap.
            gap = max(_gap(a.parts[own], b.parts[other])[0], _gap(b.parts[other], a.parts[own])[0])
            gaps[i, j] = gaps[j, i] = min(gaps[i, j], gap)
    return gaps
