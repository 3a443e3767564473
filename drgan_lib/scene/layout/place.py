"""Where particles lie: anywhere, or in agglomerates grown from Poisson-disk seeds; on the stage, piled up, or floating.

Where they do not find room, the law of their sizes must not suffer: all sizes are drawn beforehand, and a layout that
gets stuck is begun anew with the same ones, the largest first. If that does not help, it goes on with the first drawn,
as many as found a place, whatever their sizes; the others are left out, and counted. So are, from the beginning, those
that would stand up to the camera.

What is set onto others is lowered until it touches one of them. It keeps its orientation: a wire that crosses another
lies level on it, it does not tilt until its end rests on the stage.
"""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from drgan_lib.config import LayoutSettings, Material
from drgan_lib.scene.layout.contact import CLEARANCE, NOWHERE, Body, Crowd
from drgan_lib.scene.layout.record import Layout, LayoutError
from drgan_lib.scene.layout.room import cover, require_room
from drgan_lib.scene.layout.sizes import size_law

ATTEMPTS = 30  # tries to place one particle in its cluster, then as many in any
BEGINNINGS = 6  # of a layout before it is taken as it is
UP = np.array([0.0, 1.0, 0.0])


def sample_layout(material: Material, meshes: list[trimesh.Trimesh], *, seed: int) -> Layout:
    """A random layout of the material, the same for the same seed.

    `ConfigError` for a law of sizes that cannot be used (see `size_law`) or cannot fit; `LayoutError` with the counts
    if fewer particles found a place than are asked for at least.
    """
    settings = material.layout
    law = size_law(material)
    require_room(law, meshes, material)
    rng = np.random.default_rng(seed)
    n = int(rng.integers(settings.n_particles[0], settings.n_particles[1] + 1))
    sizes = law.sample(n, rng)
    mesh_index = rng.integers(len(meshes), size=n)
    rotations = orientations(settings, n, rng)
    bodies = [Body(meshes[m], r, size) for m, r, size in zip(mesh_index, rotations, sizes, strict=True)]
    height = material.scene.camera_y - material.scene.stage_y
    lower = [k for k, body in enumerate(bodies) if body.high[1] - body.low[1] < height - 2 * CLEARANCE]
    if len(lower) < settings.n_particles[0]:
        raise LayoutError(
            f"only {len(lower)} of {n} particles are lower than the camera, {height:g} scene units, and at least "
            f"{settings.n_particles[0]} are asked for; lower layout.sizes"
        )
    sizes, mesh_index, rotations, bodies = sizes[lower], mesh_index[lower], rotations[lower], [bodies[k] for k in lower]
    placer = _place(bodies, sizes, material, law.median, rng)
    best = placer.centres
    if len(best) < settings.n_particles[0]:
        raise LayoutError(
            f"only {len(best)} of {n} particles found a place (at least {settings.n_particles[0]} are asked for); side "
            f"by side they would cover {cover(n, law, meshes, material):.0%} of the field; lower layout.n_particles or "
            "layout.sizes, or raise layout.field_margin"
        )
    placed = sorted(best)
    transforms = np.column_stack([np.array([best[k] for k in placed]), sizes[placed]]).astype(np.float32)
    return Layout(
        transforms,
        rotations[placed].astype(np.float32),
        mesh_index[placed],
        missing=n - len(placed),
        missing_clusters=placer.missing_clusters,
    )


def _place(
    bodies: list[Body], sizes: np.ndarray, material: Material, median: float, rng: np.random.Generator
) -> _Placer:
    """The placer of the layout to take: it found places for all bodies, or for the first ones, as many as fit."""
    count, least = len(bodies), material.layout.n_particles[0]
    for beginning in range(BEGINNINGS):
        order = np.argsort(-sizes[:count], kind="stable") if beginning else np.arange(count)
        placer = _Placer(material, median, count, rng)
        placer.place(bodies, order)
        if len(placer.centres) == count:
            break
        count = len(placer.centres) if beginning else count
        if count < least:
            break
    return placer


def orientations(settings: LayoutSettings, n: int, rng: np.random.Generator) -> np.ndarray:
    """float64 [n, 3, 3]: any rotation, or lying ones, which turn about the vertical, half of them upside down."""
    if settings.orientation == "free":
        return Rotation.random(n, rng=rng).as_matrix()
    flips = Rotation.from_rotvec(np.pi * np.outer(rng.integers(2, size=n), [1, 0, 0]))
    return (Rotation.from_rotvec(np.outer(rng.uniform(0, 2 * np.pi, size=n), UP)) * flips).as_matrix()


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


class _Placer:
    """Adds particles one by one, each clear of all before; `centres` [3] are by the particles' numbers."""

    def __init__(self, material: Material, median: float, n: int, rng: np.random.Generator):
        self.settings, self.stage_y, self.rng = material.layout, material.scene.stage_y, rng
        half_width = self.settings.field_margin * material.scene.half_field
        floating = self.settings.space == "volume"
        self.ceiling = self.stage_y + self.settings.height * median
        self.low = np.array([-half_width, self.stage_y, -half_width])
        self.high = np.array([half_width, self.ceiling if floating else self.stage_y, half_width])
        self.axes = 3 if floating else 2  # of the directions in which agglomerates grow
        self.camera_y = material.scene.camera_y
        self.crowd, self.centres, self.missing_clusters = Crowd(), {}, 0
        self.members: dict[int, list[int]] = {}
        if self.settings.placement == "agglomerated":
            n_clusters = min(n, int(rng.integers(self.settings.clusters[0], self.settings.clusters[1] + 1)))
            self.seeds = poisson_disk_seeds(n_clusters, self.settings.seed_radius, self.low, self.high, rng)
            self.missing_clusters = n_clusters - len(self.seeds)
            self.cluster = rng.choice(len(self.seeds), size=n, p=rng.dirichlet(np.full(len(self.seeds), 2.0)))

    def place(self, bodies: list[Body], order: np.ndarray) -> None:
        """Tries to find a place for each body."""
        for k in order:
            for attempt in range(2 * ATTEMPTS):
                if self.settings.placement == "random":
                    centre = self._anywhere(bodies[k])
                else:
                    if attempt >= ATTEMPTS:
                        self.cluster[k] = self.rng.integers(len(self.seeds))
                    centre = self._in_cluster(bodies[k], self.cluster[k], at_rim=attempt >= ATTEMPTS)
                centre = self._settled(bodies[k], centre)
                if centre is not None:
                    self._keep(k, bodies[k], centre)
                    break

    def _keep(self, k: int, body: Body, centre: np.ndarray) -> None:
        self.crowd.add(body, centre, k)
        self.centres[k] = centre
        if self.settings.placement == "agglomerated":
            self.members.setdefault(self.cluster[k], []).append(k)

    def _floor(self, body: Body) -> float:
        """Height of its centre when it lies on the stage."""
        return self.stage_y - body.low[1] + CLEARANCE

    def _anywhere(self, body: Body) -> np.ndarray:
        centre = self.rng.uniform(self.low, self.high)
        floor = self._floor(body)
        # Floating: between lying on the stage and the ceiling, both reached by the centre.
        centre[1] = self.rng.uniform(floor, max(floor, self.ceiling)) if self.axes == 3 else floor
        return centre

    def _in_cluster(self, body: Body, cluster: int, *, at_rim: bool) -> np.ndarray:
        """Beside a random member of the cluster, looser by `tightness`, sometimes partly on top of it.

        `at_rim`: where it stops when it comes from outside, whichever particle it meets first.
        """
        members, settings, floor = self.members.get(cluster), self.settings, self._floor(body)
        if not members:
            centre = self.seeds[cluster] + self.rng.normal(scale=0.2 * settings.seed_radius, size=3)
            centre[1] = np.clip(centre[1], floor, max(floor, self.ceiling)) if self.axes == 3 else floor
            return np.clip(centre, [self.low[0], -np.inf, self.low[2]], [self.high[0], np.inf, self.high[2]])
        parent = members[self.rng.integers(len(members))]
        start, direction = self.centres[parent].copy(), self.rng.normal(size=3)
        if self.axes == 2:
            start[1], direction[1] = floor, 0.0
        direction /= np.linalg.norm(direction)
        contact = max(0.0, self.crowd.stop(body, start, direction, owner=None if at_rim else parent))
        if settings.space == "stacked" and self.rng.random() < settings.stacking:
            contact *= self.rng.uniform(0.3, 0.9)
        elif not at_rim:
            contact *= self.rng.uniform(1.0, 1.0 / settings.tightness)
        return start + contact * direction

    def _settled(self, body: Body, centre: np.ndarray) -> np.ndarray | None:
        """`centre`, raised to where the particle rests if it may; None if it has no place there."""
        floor, below_camera = self._floor(body), self.camera_y - body.high[1] - CLEARANCE
        in_field = np.abs(centre[[0, 2]]).max() <= self.high[0] and floor <= centre[1] <= max(floor, self.ceiling)
        if not in_field or centre[1] > below_camera:
            return None
        if self.crowd.is_clear(body, centre):
            return centre
        if self.settings.space != "stacked":
            return None
        rise = self.crowd.stop(body, centre, UP)
        if rise == NOWHERE or centre[1] + rise > min(self.ceiling, below_camera):
            return None
        return centre + max(0.0, rise) * UP
