"""The lights: a bright torus around the support, stretched in height, and a weak square above; and how to sample them.

Only the torus's inner half (the faces nearer to the axis than its tube's centre) can light the support, so only that
half is built. Places on the lights are drawn as they count for a surface with a given normal in the middle of the
support: a grid of triangles covers both lights, and a table says how likely each is to be drawn, for normals in the
cells of an octahedral map (Meyer et al., Comput. Graph. Forum 29, 1405, 2010). Each place is weighted by one over its
probability, so that the light is the same for any surface, wherever it is; only the noise differs (importance sampling:
Veach, Robust Monte Carlo methods for light transport simulation, 1997, ch. 2).
"""

from dataclasses import dataclass

import numpy as np
import trimesh

from drgan_lib.config import Material, SceneSettings
from drgan_lib.scene.backend import dr, mi

COLUMNS, TOP_COLUMNS, ROWS = 64, 8, 16  # the ring's cells around its axis, the square's, and cells across each of them
LIGHTS = ("torus_radiance", "top_radiance")
NORMALS = 16  # cells of the map of normals, per side
INSIDE = 3  # normals per side of a cell, of which its probabilities are the mean
DEFENSIVE = 0.1  # share of the rays that is spread without regard to the normal
LEAST = 1e-9  # of the greatest share of a triangle: none has the probability 0


def ring_light(settings: SceneSettings) -> np.ndarray:
    """float64 [COLUMNS, 2 ROWS, 3, 3]: triangles of the torus's inner half, from bottom to top, facing the axis."""
    around = np.linspace(0, 2 * np.pi, COLUMNS + 1)[:, None]
    tube = np.linspace(1.5 * np.pi, 0.5 * np.pi, ROWS + 1)
    radius = settings.torus_radius + settings.torus_tube * np.cos(tube)
    height = settings.torus_y + settings.torus_stretch * settings.torus_tube * np.sin(tube)
    return _triangles(radius * np.cos(around), height, radius * np.sin(around))


def top_light(settings: SceneSettings) -> np.ndarray:
    """float64 [TOP_COLUMNS, 2 ROWS, 3, 3]: triangles of the square above the support, facing down."""
    x, z = (np.linspace(-settings.top_half_extent, settings.top_half_extent, n + 1) for n in (TOP_COLUMNS, ROWS))
    return _triangles(x[:, None], settings.top_y, z)


def _triangles(x: np.ndarray, y: np.ndarray | float, z: np.ndarray) -> np.ndarray:
    """[c, 2 r, 3, 3]: the triangles between points of a grid, whose coordinates are broadcast to [c + 1, r + 1]."""
    points = np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(float)
    a, b, c, d = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    both = np.stack([np.stack([a, b, c], axis=-2), np.stack([a, c, d], axis=-2)], axis=2)
    return both.reshape(len(a), -1, 3, 3)


def as_mesh(triangles: np.ndarray) -> trimesh.Trimesh:
    """One mesh of triangles [..., 3, 3]."""
    return trimesh.Trimesh(**trimesh.triangles.to_kwargs(triangles.reshape(-1, 3, 3)))


def probabilities(triangles: np.ndarray, radiances: np.ndarray, normals: np.ndarray, place: np.ndarray) -> np.ndarray:
    """[n, c, r]: how likely each triangle [c, r, 3, 3] is to be drawn for a surface at `place` with a normal [n, 3].

    Mostly in proportion to the irradiance that its centre gives there, at the columns' `radiances` [c].
    """
    way = triangles.mean(axis=2) - place
    distance = np.linalg.norm(way, axis=-1, keepdims=True)
    way /= distance
    leaving = -(0.5 * np.cross(*_edges(triangles)) * way).sum(axis=-1)  # area times cosine
    share = radiances[:, None] * np.maximum(leaving, 0) / distance[..., 0] ** 2
    share = np.maximum(share, LEAST * share.max() or 1.0)
    facing = share * np.maximum(np.einsum("nk,crk->ncr", normals, way), 0)
    facing /= np.maximum(facing.sum(axis=(1, 2), keepdims=True), np.finfo(float).tiny)
    mixed = (1 - DEFENSIVE) * facing + DEFENSIVE * share / share.sum()
    return mixed / mixed.sum(axis=(1, 2), keepdims=True)


def _edges(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return triangles[..., 1, :] - triangles[..., 0, :], triangles[..., 2, :] - triangles[..., 0, :]


@dataclass(frozen=True)
class LightSample:
    """Places on the lights, for surfaces: `weight` times radiance times BSDF (with its cosine) estimates the image."""

    point: mi.Point3f
    direction: mi.Vector3f
    weight: mi.Float  # 0 where a light turns its back
    light: mi.UInt32  # index in LIGHTS


class Lights:
    """The lights of a material's scene, to be sampled; a learned radiance counts as if at its upper bound."""

    def __init__(self, material: Material):
        settings = material.scene
        triangles = np.concatenate([ring_light(settings), top_light(settings)])
        highest = [material.bounds.get(name, (0, getattr(settings, name)))[1] for name in LIGHTS]
        chances = probabilities(
            triangles,
            np.repeat(highest, (COLUMNS, TOP_COLUMNS)),
            _unfolded(NORMALS * INSIDE),
            np.array([0, settings.stage_y, 0]),
        )
        self._shape = columns, rows = triangles.shape[:2]
        chances = chances.reshape(NORMALS, INSIDE, NORMALS, INSIDE, columns, rows).mean(axis=(1, 3))
        of_column = chances.sum(axis=-1)
        self._columns = _as_floats(_cumulated(of_column))
        self._rows = _as_floats(_cumulated(chances / of_column[..., None]))
        first, second = _edges(triangles)
        parts = triangles[..., 0, :], first, second, -0.5 * np.cross(first, second)
        self._corner, self._first, self._second, self._area = (
            dr.unravel(mi.Vector3f, _as_floats(part)) for part in parts
        )

    def sample(self, si: mi.SurfaceInteraction3f, u: mi.Point2f, active: mi.Bool) -> LightSample:
        """One place for each surface point, from uniform random numbers `u`."""
        columns, rows = self._shape
        cell = _folded(si.sh_frame.n)
        column, along, p_column = _draw(self._columns, cell * columns, columns, u.x, active)
        row, across, p_row = _draw(self._rows, (cell * columns + column) * rows, rows, u.y, active)
        triangle = column * rows + row
        corner, first, second, area = (
            dr.gather(mi.Vector3f, part, triangle, active)
            for part in (self._corner, self._first, self._second, self._area)
        )
        root = dr.sqrt(along)
        point = mi.Point3f(corner + (1 - root) * first + root * across * second)
        way = point - si.p
        square = dr.squared_norm(way)
        direction = way * dr.rsqrt(square)
        leaving = dr.maximum(dr.dot(area, direction), 0)
        weight = dr.select(active, leaving / (square * p_column * p_row), 0)
        return LightSample(point, direction, weight, dr.select(column < COLUMNS, mi.UInt32(0), mi.UInt32(1)))


def _cumulated(chances: np.ndarray) -> np.ndarray:
    """Sums of `chances` along the last axis, from the first to each; the last is 1."""
    sums = chances.cumsum(axis=-1)
    return sums / sums[..., -1:]


def _as_floats(values: np.ndarray) -> mi.Float:
    return mi.Float(values.astype(np.float32).ravel())


def _draw(
    sums: mi.Float, start: mi.UInt32, n: int, u: mi.Float, active: mi.Bool
) -> tuple[mi.UInt32, mi.Float, mi.Float]:
    """The entry that `u` falls into of `n` cumulated chances from `start` on, where in it, and its chance."""
    found = dr.binary_search(0, n - 1, lambda k: dr.gather(mi.Float, sums, start + k, active) <= u)
    low = dr.gather(mi.Float, sums, start + found - 1, active & (found > 0))
    chance = dr.gather(mi.Float, sums, start + found, active) - low
    return found, dr.clip((u - low) / chance, 0, dr.one_minus_epsilon(mi.Float)), chance


def _unfolded(n: int) -> np.ndarray:
    """[n n, 3]: the normals at the centres of n x n cells of the octahedral map of the upper half-space."""
    u, v = np.meshgrid(*[(np.arange(n) + 0.5) / n * 2 - 1] * 2, indexing="ij")
    x, z = (u + v) / 2, (u - v) / 2
    normals = np.stack([x, 1 - np.abs(x) - np.abs(z), z], axis=-1).reshape(-1, 3)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _folded(normal: mi.Normal3f) -> mi.UInt32:
    """The cell of `NORMALS` x `NORMALS` that a normal lies in; one that points down counts as its mirror image."""
    scale = dr.rcp(dr.abs(normal.x) + dr.abs(normal.y) + dr.abs(normal.z))
    x, z = normal.x * scale, normal.z * scale
    row, column = (dr.clip(mi.Int32((side + 1) * (NORMALS / 2)), 0, NORMALS - 1) for side in (x + z, x - z))
    return mi.UInt32(row * NORMALS + column)
