"""Where particles lie: anywhere, agglomerated or packed around Poisson-disk seeds; flat, piled up, or floating.

Where they do not find room, their size distribution must not suffer: all sizes are drawn beforehand, and a layout that
gets stuck is begun anew with the same ones, the largest first. If that does not help, it goes on with the first drawn,
as many as found a place, whatever their sizes; the others are left out, and counted. So are, from the beginning, those
that would stand up to the camera.

What is set onto others is lowered until it touches one of them. It keeps its orientation: a wire that crosses another
lies level on it, it does not tilt until its end rests on the support.

Sintered particles are the exception to all this: when each has its place, clear of the others, those of an agglomerate
are drawn together.
"""

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from drgan_lib.config import LayoutSettings, Material
from drgan_lib.scene.layout.contact import CLEARANCE, NOWHERE, Body, Crowd
from drgan_lib.scene.layout.record import Layout, LayoutError
from drgan_lib.scene.layout.room import cover, require_room
from drgan_lib.scene.layout.sizes import size_distribution

ATTEMPTS = 30  # tries to place one particle in its cluster, then in any, then (heaps) beside for on top or the reverse
WIDE = 0.9  # quantile of the widths of particles for which the places of a packed layer are wide enough
ASKEW_DEG = 8.0  # standard deviation of the directions of aligned particles
BEGINNINGS = 6  # of a layout before it is taken as it is
UP = np.array([0.0, 1.0, 0.0])


def sample_layout(material: Material, meshes: list[trimesh.Trimesh], *, seed: int) -> Layout:
    """A random layout of the material, the same for the same seed.

    `ConfigError` for sizes that cannot be used (see `size_distribution`) or cannot fit; `LayoutError` with the counts
    if fewer particles found a place than are asked for at least.
    """
    settings, asked = material.layout, size_distribution(material)
    require_room(asked, meshes, material)
    rng = np.random.default_rng(seed)
    n = int(rng.integers(settings.n_particles[0], settings.n_particles[1] + 1))
    sizes = asked.sample(n, rng)
    mesh_index = rng.integers(len(meshes), size=n)
    rotations = _orientations(settings, n, rng)
    bodies = [Body(meshes[m], r, size) for m, r, size in zip(mesh_index, rotations, sizes, strict=True)]
    height = material.scene.camera_y - material.scene.stage_y
    lower = [k for k, body in enumerate(bodies) if body.high[1] - body.low[1] < height - 2 * CLEARANCE]
    if len(lower) < settings.n_particles[0]:
        raise LayoutError(
            f"only {len(lower)} of {n} particles are lower than the camera, {height:g} scene units, and at least "
            f"{settings.n_particles[0]} are asked for; lower layout.sizes"
        )
    placer = _place([bodies[k] for k in lower], sizes[lower], material, asked.median, rng)
    if len(placer.centres) < settings.n_particles[0]:
        raise LayoutError(
            f"only {len(placer.centres)} of {n} particles found a place (at least {settings.n_particles[0]} are asked "
            f"for); side by side they would cover {cover(n, asked, meshes, material):.0%} of the field; lower "
            "layout.n_particles or layout.sizes, or raise layout.field_margin"
        )
    found = sorted(placer.centres)
    placed = np.array(lower)[found]
    centres = np.array([placer.centres[k] for k in found])
    if settings.sintering[1] > 0:
        floors = np.array([placer.floor(bodies[k]) for k in placed])
        centres = _draw_together(centres, floors, placer.cluster[found], rng.uniform(*settings.sintering))
    transforms = np.column_stack([centres, sizes[placed]]).astype(np.float32)
    rotations = rotations[placed].astype(np.float32)
    return Layout(transforms, rotations, mesh_index[placed], n - len(placed), placer.missing_clusters)


def _orientations(settings: LayoutSettings, n: int, rng: np.random.Generator) -> np.ndarray:
    """float64 [n, 3, 3]: any rotation; or lying ones about the vertical, some alike, half upside down."""
    if settings.orientation == "free":
        return Rotation.random(n, rng=rng).as_matrix()
    flips = Rotation.from_rotvec(np.pi * np.outer(rng.integers(2, size=n), [1, 0, 0]))
    angles = rng.uniform(0, 2 * np.pi, size=n)
    if settings.alignment[1] > 0:
        aligned = rng.random(n) < rng.uniform(*settings.alignment)
        angles[aligned] = rng.uniform(0, 2 * np.pi) + rng.normal(scale=np.radians(ASKEW_DEG), size=aligned.sum())
    return (Rotation.from_rotvec(np.outer(angles, UP)) * flips).as_matrix()


def _draw_together(centres: np.ndarray, floors: np.ndarray, cluster: np.ndarray, share: float) -> np.ndarray:
    """`centres` [n, 3] nearer by `share` to the middle of their `cluster` [n], and as much to their `floors` [n]."""
    moved = centres.copy()
    for number in np.unique(cluster):
        own = cluster == number
        towards = np.broadcast_to(centres[own].mean(axis=0), (own.sum(), 3)).copy()
        towards[:, 1] = floors[own]
        moved[own] += share * (towards - centres[own])
    return moved


def poisson_disk_seeds(
    n: int, radius: float, low: np.ndarray, high: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """float64 [<= n, d]: random points of the box from `low` to `high`, at least `radius` apart, n where they fit."""
    seeds: list[np.ndarray] = []
    for _ in range(ATTEMPTS * n):
        point = rng.uniform(low, high)
        if all(np.linalg.norm(point - seed) >= radius for seed in seeds):
            seeds.append(point)
        if len(seeds) == n:
            break
    return np.array(seeds)


def triangular_lattice(spacing: float, half_width: float, rng: np.random.Generator) -> np.ndarray:
    """float64 [n, 2]: the places of a lattice, turned and shifted at random, in the square around 0."""
    reach = int(np.ceil(2 * (2**0.5 * half_width / spacing + 1))) + 1
    i, j = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1) + rng.random((2, 1))
    angle, points = rng.uniform(0, 2 * np.pi), spacing * np.column_stack([i + j / 2, 0.75**0.5 * j])
    points @= [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return points[np.abs(points).max(axis=1) <= half_width]


class _Placer:
    """Adds particles one by one, each clear of all before; `centres` [3] are by the particles' numbers."""

    def __init__(
        self, material: Material, looks: np.ndarray, median: float, bodies: list[Body], rng: np.random.Generator
    ):
        self.settings, self.stage_y, self.rng, n = material.layout, material.scene.stage_y, rng, len(bodies)
        self.tightness, self.stacking = looks
        self.floating = self.settings.space == "volume"
        half_width = self.settings.field_margin * material.scene.half_field
        self.ceiling = self.stage_y + self.settings.height * median
        self.low = np.array([-half_width, self.stage_y, -half_width])
        self.high = np.array([half_width, self.ceiling if self.floating else self.stage_y, half_width])
        self.camera_y = material.scene.camera_y
        self.crowd, self.centres, self.missing_clusters = Crowd(), {}, 0
        if self.settings.placement != "random":
            n_clusters = min(n, int(rng.integers(self.settings.clusters[0], self.settings.clusters[1] + 1)))
            self.seeds = poisson_disk_seeds(n_clusters, self.settings.seed_radius, self.low, self.high, rng)
            self.missing_clusters = n_clusters - len(self.seeds)
            self.cluster = rng.choice(len(self.seeds), size=n, p=rng.dirichlet(np.full(len(self.seeds), 2.0)))
        if self.settings.placement == "packed":
            widths = [(body.high - body.low)[[0, 2]].max() + CLEARANCE for body in bodies]
            places = triangular_lattice(np.quantile(widths, WIDE) / self.tightness, half_width, rng)
            away = np.linalg.norm(places[:, None] - self.seeds[:, [0, 2]], axis=2).min(axis=1)
            self.free = list(places[np.argsort(-away)])  # the next one last

    def place(self, k: int, body: Body) -> None:
        """Tries to find a place for the particle with the number k.

        Of an agglomerate, a share of `stacking` comes to lie on others, the rest beside them, as far as there is room.
        """
        settings, stacked = self.settings, self.settings.space == "stacked"
        on_top = stacked and self.rng.random() < self.stacking
        for attempt in range((3 if stacked and settings.placement == "agglomerated" else 2) * ATTEMPTS):
            if settings.placement == "packed" and not on_top and self.free:
                centre = np.insert(self.free.pop(), 1, self.floor(body))
                centre = centre if self.crowd.is_clear(body, centre) else None
            elif settings.placement == "agglomerated":
                at_rim, rises = attempt >= ATTEMPTS, on_top == (attempt < 2 * ATTEMPTS)
                if at_rim:
                    self.cluster[k] = self.rng.integers(len(self.seeds))
                near = self._in_cluster(body, self.cluster[k], at_rim=at_rim, on_top=rises)
                centre = self._settled(body, near, rises=rises)
            else:
                centre = self._settled(body, self._anywhere(body), rises=stacked)
            if centre is not None:
                self.crowd.add(body, centre, k)
                self.centres[k] = centre
                return

    def floor(self, body: Body) -> float:
        """Height of its centre when it lies on the support."""
        return self.stage_y - body.low[1] + CLEARANCE

    def _anywhere(self, body: Body) -> np.ndarray:
        centre, floor = self.rng.uniform(self.low, self.high), self.floor(body)
        # Floating: between lying on the support and the ceiling, both reached by the centre.
        centre[1] = self.rng.uniform(floor, max(floor, self.ceiling)) if self.floating else floor
        return centre

    def _in_cluster(self, body: Body, cluster: int, *, at_rim: bool, on_top: bool) -> np.ndarray:
        """Beside a random member of the cluster, looser by `tightness`, or partly on top of it.

        `at_rim`: where it stops when it comes from outside, whichever particle it meets first.
        """
        members = [k for k in self.centres if self.cluster[k] == cluster]
        settings, floor = self.settings, self.floor(body)
        if not members:
            centre = self.seeds[cluster] + self.rng.normal(scale=0.2 * settings.seed_radius, size=3)
            centre[[0, 2]] = np.clip(centre[[0, 2]], self.low[[0, 2]], self.high[[0, 2]])
            centre[1] = np.clip(centre[1], floor, max(floor, self.ceiling)) if self.floating else floor
            return centre
        parent = members[self.rng.integers(len(members))]
        start, direction = self.centres[parent].copy(), self.rng.normal(size=3)
        if not self.floating:
            start[1], direction[1] = floor, 0.0
        direction /= np.linalg.norm(direction)
        contact = max(0.0, self.crowd.stop(body, start, direction, owner=None if at_rim else parent))
        if on_top:
            contact *= self.rng.uniform(0.3, 0.9)
        elif not at_rim:
            contact *= self.rng.uniform(1.0, 1.0 / self.tightness)
        return start + contact * direction

    def _settled(self, body: Body, centre: np.ndarray, *, rises: bool) -> np.ndarray | None:
        """`centre`, raised to where the particle rests if it `rises`; None if it has no place there."""
        floor, below_camera = self.floor(body), self.camera_y - body.high[1] - CLEARANCE
        in_field = np.abs(centre[[0, 2]]).max() <= self.high[0] and floor <= centre[1] <= max(floor, self.ceiling)
        if not in_field or centre[1] > below_camera:
            return None
        if self.crowd.is_clear(body, centre):
            return centre
        if not rises:
            return None
        rise = self.crowd.stop(body, centre, UP)
        if rise == NOWHERE or centre[1] + rise > min(self.ceiling, below_camera):
            return None
        return centre + max(0.0, rise) * UP


def _place(
    bodies: list[Body], sizes: np.ndarray, material: Material, median: float, rng: np.random.Generator
) -> _Placer:
    """The placer of the layout to take: it found places for all bodies, or for the first ones, as many as fit."""
    looks = rng.spawn(1)[0].uniform(*np.transpose([material.layout.tightness, material.layout.stacking]))
    count = len(bodies)
    for beginning in range(BEGINNINGS):
        placer = _Placer(material, looks, median, bodies[:count], rng)
        for k in np.argsort(-sizes[:count], kind="stable") if beginning else range(count):
            placer.place(k, bodies[k])
        placed = len(placer.centres)
        if placed == count:
            break
        count = placed if beginning else count
        if count < material.layout.n_particles[0]:
            break
    return placer
