"""Rods and wires: a cross-section swept along a plane curve, closed by rounded caps.

They lie along x and bend in the x-z plane. The cross-section of the middle has the area of a circle of diameter 1: up
to 8 sides it is a polygon with slightly rounded corners, one side down, above that it counts as round. The curvature
never changes its sign, no axis turns by more than 180 degrees, and its radius is nowhere below one diameter, so the
surface does not meet itself.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.integrate import cumulative_simpson

from drgan_lib.config import RodSettings, WireSettings
from drgan_lib.scene.meshes.convention import centre, require_budget

PRISM = 8  # most sides of a cross-section with corners
SHARP = 0.12  # radius of the edge of a flat cap, in radii of the rod
WIRE_CAP = 0.7  # the caps of wires, as `RodSettings.cap`
SLACK = 0.05  # diameters by which the convex hull of a part may leave the axis's curve
SUPPORT = 0.06  # diameters between a cap and the ring that keeps the side straight up to it


def rod(settings: RodSettings, *, seed: int) -> trimesh.Trimesh:
    """A cylinder or prism of even thickness; bent, it follows a circle."""
    rng = np.random.default_rng(seed)
    length = rng.uniform(*settings.aspect)
    cap = rng.uniform(*settings.cap)
    axis = _Axis(length, np.radians(rng.uniform(*settings.bend_deg)), 0.0)
    return _sweep(axis, (0.0, 0.0), cap, settings.sides, settings.max_triangles, "a rod")


def wire(settings: WireSettings, *, seed: int) -> trimesh.Trimesh:
    """A long rod, thinner towards each end by a share of its own, bent more in one half than in the other."""
    rng = np.random.default_rng(seed)
    length = rng.uniform(*settings.aspect)
    tapers = tuple(rng.uniform(*settings.taper, size=2))
    axis = _Axis(length, np.radians(rng.uniform(*settings.bend_deg)), rng.uniform(-0.9, 0.9))
    return _sweep(axis, tapers, WIRE_CAP, settings.sides, settings.max_triangles, "a wire")


@dataclass(frozen=True)
class _Axis:
    """A plane curve of unit speed; its curvature goes linearly from (1 - uneven) to (1 + uneven) times the mean."""

    length: float
    asked: float  # radians between the directions of its ends
    uneven: float

    @property
    def turn(self) -> float:
        """What was asked for, or less if the curve is too short for a radius of one diameter."""
        return min(self.asked, self.length / (1 + abs(self.uneven)))

    def at(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [n, 2] in the plane (x, z) and directions [n] in radians at the distances s from the start."""

        def direction(s: np.ndarray) -> np.ndarray:
            w = 2 * s / self.length - 1
            return self.turn / 2 * (w + self.uneven * (w**2 - 1) / 2)

        fine = np.linspace(0, self.length, 1001)
        along = [cumulative_simpson(f(direction(fine)), x=fine, initial=0) for f in (np.cos, np.sin)]
        return np.column_stack([np.interp(s, fine, part) for part in along]), direction(s)

    def n_parts(self) -> int:
        """Pieces into which the axis is cut so that none is off its chord by more than `SLACK`."""
        return int(np.ceil(np.sqrt(self.length * self.turn * (1 + abs(self.uneven)) / (8 * SLACK)))) or 1


def _sweep(axis: _Axis, tapers, cap: float, sides: int, max_triangles: int, shape: str) -> trimesh.Trimesh:
    """The closed surface around an axis; `tapers` are those of its start and end."""
    section = _cross_section(sides)
    least = 1 if axis.turn + max(tapers) < 1e-6 else max(4, axis.n_parts(), int(np.ceil(np.degrees(axis.turn) / 20)))
    wanted = max(least, int(np.ceil(np.degrees(axis.turn) / 3)), 12 if max(tapers) > 0 else 1)

    def stations(steps: int, body: int) -> tuple[np.ndarray, np.ndarray]:
        start, end = (_cap(cap, (1 - taper) / 2, steps) for taper in tapers)
        reach = start[-1, 0], axis.length - end[-1, 0]
        middle = np.linspace(*reach, body + 1)[1:-1]
        if reach[1] - reach[0] > 4 * SUPPORT:
            middle = np.sort(np.concatenate([middle, [reach[0] + SUPPORT, reach[1] - SUPPORT]]))
        elif reach[1] - reach[0] < 1e-6:
            start = start[:-1]
        u = 2 * middle / axis.length - 1
        thickness = (1 - np.where(u < 0, tapers[0], tapers[1]) * u**2) / 2
        s = np.concatenate([start[:, 0], middle, axis.length - end[::-1, 0]])
        return s, np.concatenate([start[:, 1], thickness, end[::-1, 1]])

    def triangles(steps: int, body: int) -> int:
        return 2 * len(section) * len(stations(steps, body)[0])

    require_budget(max_triangles, triangles(2, least), f"{shape} with {sides} sides, bent by the angle asked for,")
    steps = max(steps for steps in range(2, 7) if steps == 2 or triangles(steps, least) <= max_triangles)
    body = max(body for body in range(least, wanted + 1) if body == least or triangles(steps, body) <= max_triangles)
    return _tube(axis, *stations(steps, body), section)


def _cross_section(sides: int) -> np.ndarray:
    """float64 [m, 2]: (across, up) of an outline of unit-radius area, counter-clockwise, one side down."""
    corners = -np.pi / 2 + np.pi / sides * (1 + 2 * np.arange(sides))
    points = np.column_stack([np.cos(corners), np.sin(corners)])
    if sides <= PRISM:
        before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
        # Two points cut the corner, two more keep the sides flat up to there.
        cuts = (before, 0.16), (before, 0.06), (after, 0.06), (after, 0.16)
        points = np.stack([points + share * (other - points) for other, share in cuts], axis=1).reshape(-1, 2)
    after = np.roll(points, -1, axis=0)
    area = (points[:, 0] * after[:, 1] - points[:, 1] * after[:, 0]).sum() / 2
    return points * np.sqrt(np.pi / area)


def _cap(cap: float, radius: float, steps: int) -> np.ndarray:
    """float64 [k, 2]: distance from the tip, and radius, of the rings of a cap from the tip to the full radius."""
    rounding = max(cap, SHARP) * radius
    angles = np.linspace(0, np.pi / 2, steps + 1)
    arc = np.column_stack([rounding * (1 - np.cos(angles)), radius - rounding + rounding * np.sin(angles)])
    flat = radius - rounding
    if flat < 0.1 * radius:  # no disc worth a ring of its own: the tip takes its place
        return arc[1:]
    return np.concatenate([[[0.0, 0.85 * flat]], arc])


def _tube(axis: _Axis, s: np.ndarray, radii: np.ndarray, section: np.ndarray) -> trimesh.Trimesh:
    """The surface through rings at the distances s with the given radii, its ends closed by fans."""
    rings, m = len(s), len(section)
    tips = [0.0, axis.length]
    places, directions = axis.at(np.concatenate([s, tips]))
    centres = np.column_stack([places[:, 0], np.zeros(rings + 2), places[:, 1]])
    across = np.column_stack([-np.sin(directions), np.zeros(rings + 2), np.cos(directions)])[:rings, None]
    up = np.array([0.0, 1.0, 0.0])
    points = centres[:rings, None] + radii[:, None, None] * (section[:, :1] * across + section[:, 1:] * up)
    vertices = np.concatenate([points.reshape(-1, 3), centres[rings:]])

    k = np.arange(m)
    after = (k + 1) % m
    first = m * np.arange(rings - 1)[:, None]
    a, b, c, d = (corner.ravel() for corner in (first + k, first + after, first + m + after, first + m + k))
    last = m * (rings - 1)
    start = np.column_stack([after, k, np.full(m, rings * m)])
    end = np.column_stack([last + k, last + after, np.full(m, rings * m + 1)])
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d]), start, end])
    mesh = centre(trimesh.Trimesh(vertices, faces, process=False))
    if axis.turn > 1e-6:
        mesh.metadata["parts"] = _parts(axis, s, m)
    return mesh


def _parts(axis: _Axis, s: np.ndarray, m: int) -> list[np.ndarray]:
    """Vertices of consecutive rings, each part beginning with the ring that the one before ends with."""
    cuts = np.searchsorted(s, np.linspace(0, axis.length, axis.n_parts() + 1)[1:-1])
    cuts = np.unique(np.concatenate([[0], cuts, [len(s) - 1]]))
    parts = [np.arange(m * first, m * (last + 1)) for first, last in itertools.pairwise(cuts)]
    parts[0] = np.append(parts[0], m * len(s))
    parts[-1] = np.append(parts[-1], m * len(s) + 1)
    return parts
