"""Which particles lie where: sizes from a lognormal law, agglomerates grown from Poisson-disk seeds.

Particles are dropped along -y until they rest on the stage or on each other. They never overlap: two convex hulls are
disjoint if along some direction d the far end of one lies before the near end of the other, h_A(d) + h_B(-d) <=
d.(c_B - c_A) with the support functions h. Testing a fixed set of directions is conservative (a placement is only
accepted when a separating plane was found), and linear in the position, so contact distances and resting heights have
closed forms.
The seeds follow Bridson, Fast Poisson disk sampling in arbitrary dimensions (2007), which the paper cites.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from drgan_lib.config import LayoutSettings, Material
from drgan_lib.files import atomic_path

ATTEMPTS = 30  # tries to place one particle in its cluster, then as many in any, before the layout goes on without it
CLEARANCE = 1e-4  # gap left between surfaces, scene units


class LayoutError(RuntimeError):
    """Particles that do not fit; the message gives the counts."""


@dataclass(frozen=True)
class Layout:
    """Placement of n particles in the scene: particle k has instance id k + 1 in every label image."""

    transforms: np.ndarray  # float32 [n, 4]: x, y, z of the centroid and the equivalent diameter, scene units
    rotations: np.ndarray  # float32 [n, 3, 3]
    mesh_index: np.ndarray  # int64 [n]: which of the material's meshes

    def __len__(self) -> int:
        return len(self.transforms)

    @cached_property
    def key(self) -> str:
        """32 hexadecimal digits that change with any placement."""
        parts = (self.transforms, self.rotations, self.mesh_index)
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:32]

    @property
    def seed(self) -> int:
        """Seed of the Monte Carlo samples of its precomputed light transport, 28 bits of `key`."""
        return int(self.key[:7], 16)

    def vector(self, n_max: int) -> np.ndarray:
        """float32 [n_max * 4]: the flattened transformation tensor, padded with zeros; the regressor's input."""
        if len(self) > n_max:
            raise LayoutError(f"expected at most {n_max} particles, got {len(self)}; raise layout.n_particles")
        padded = np.zeros((n_max, 4), dtype=np.float32)
        padded[: len(self)] = self.transforms
        return padded.ravel()


def direction_set(n: int = 64) -> np.ndarray:
    """float64 [2 n, 3]: n evenly spread unit vectors (Fibonacci), then their opposites; the first is +y."""
    k = np.arange(n)
    y = 1 - k / n
    angle = np.pi * (3 - np.sqrt(5)) * k
    radius = np.sqrt(1 - y**2)
    half = np.stack([radius * np.cos(angle), y, radius * np.sin(angle)], axis=1)
    return np.concatenate([half, -half])


DIRECTIONS = direction_set()
OPPOSITE = np.roll(np.arange(len(DIRECTIONS)), len(DIRECTIONS) // 2)


def support(mesh: trimesh.Trimesh, rotation: np.ndarray, diameter: float) -> np.ndarray:
    """float64 [2 n]: how far the rotated, scaled mesh reaches from its centroid along each of `DIRECTIONS`."""
    return diameter * (np.asarray(mesh.vertices) @ (rotation.T @ DIRECTIONS.T)).max(axis=0)


def separation(layout: Layout, meshes: list[trimesh.Trimesh]) -> np.ndarray:
    """float64 [n, n]: the widest gap found between each pair along `DIRECTIONS`; positive: surely disjoint."""
    reach = _supports(layout, meshes)
    centres = layout.transforms[:, :3].astype(float)
    along = (centres[None, :] - centres[:, None]) @ DIRECTIONS.T  # [i, j, d]: d . (c_j - c_i)
    gaps = (along - reach[:, None] - reach[None, :, OPPOSITE]).max(axis=2)
    np.fill_diagonal(gaps, np.inf)
    return gaps


def _supports(layout: Layout, meshes: list[trimesh.Trimesh]) -> np.ndarray:
    return np.array(
        [
            support(meshes[m], r.astype(float), float(t[3]))
            for m, r, t in zip(layout.mesh_index, layout.rotations, layout.transforms, strict=True)
        ]
    )


def sample_sizes(settings: LayoutSettings, n: int, rng: np.random.Generator) -> np.ndarray:
    """float64 [n]: lognormal equivalent diameters in scene units."""
    return settings.sizes.median * rng.lognormal(0.0, settings.sizes.sigma, size=n)


def poisson_disk_seeds(n: int, radius: float, half_width: float, rng: np.random.Generator) -> np.ndarray:
    """float64 [<= n, 2]: random points of a square, at least `radius` apart where that many fit."""
    seeds: list[np.ndarray] = []
    for _ in range(ATTEMPTS * n):
        point = rng.uniform(-half_width, half_width, size=2)
        if all(np.hypot(*(point - seed)) >= radius for seed in seeds):
            seeds.append(point)
        if len(seeds) == n:
            break
    return np.array(seeds)


def sample_layout(material: Material, meshes: list[trimesh.Trimesh], *, seed: int) -> Layout:
    """A random layout of the material; `LayoutError` with the counts if fewer particles fit than asked for."""
    settings, scene = material.layout, material.scene
    rng = np.random.default_rng(seed)
    n = int(rng.integers(settings.n_particles[0], settings.n_particles[1] + 1))
    half_width = settings.field_margin * scene.half_field
    n_clusters = min(n, int(rng.integers(settings.clusters[0], settings.clusters[1] + 1)))
    seeds = poisson_disk_seeds(n_clusters, settings.seed_radius, half_width, rng)
    sizes = sample_sizes(settings, n, rng)
    mesh_index = rng.integers(len(meshes), size=n)
    rotations = Rotation.random(n, rng=rng).as_matrix()
    cluster = rng.choice(len(seeds), size=n, p=rng.dirichlet(np.full(len(seeds), 2.0)))

    grower = _Grower(settings, scene, seeds, half_width, rng)
    placed = []
    for k in range(n):
        reach = support(meshes[mesh_index[k]], rotations[k], sizes[k])
        if grower.place(reach, int(cluster[k])):
            placed.append(k)
    if len(placed) < settings.n_particles[0]:
        raise LayoutError(
            f"only {len(placed)} of {n} particles fit without overlap (at least {settings.n_particles[0]} are asked "
            "for); lower layout.n_particles or layout.sizes, or raise layout.field_margin"
        )
    transforms = np.column_stack([np.array(grower.centres), sizes[placed]])
    return Layout(transforms.astype(np.float32), rotations[placed].astype(np.float32), mesh_index[placed])


class _Grower:
    """Adds particles one by one, each beside or on top of one of its cluster."""

    def __init__(self, settings, scene, seeds, half_width, rng):
        self.settings, self.scene, self.seeds, self.half_width, self.rng = (
            settings,
            scene,
            seeds,
            half_width,
            rng,
        )
        self.centres: list[np.ndarray] = []
        self.reaches: list[np.ndarray] = []
        self.members: dict[int, list[int]] = {}

    def place(self, reach: np.ndarray, cluster: int) -> bool:
        """Whether a particle with support function `reach` found a place, in `cluster` or, if that is full, in any."""
        ceiling = self.scene.stage_y + self.settings.height * self.settings.sizes.median
        for attempt in range(2 * ATTEMPTS):
            if attempt >= ATTEMPTS:
                cluster = int(self.rng.integers(len(self.seeds)))
            position = self._beside(reach, cluster)
            centre = np.array([position[0], self._resting_height(position, reach), position[1]])
            if centre[1] <= ceiling and np.abs(position).max() <= self.half_width:
                self.members.setdefault(cluster, []).append(len(self.centres))
                self.centres.append(centre)
                self.reaches.append(reach)
                return True
        return False

    def _beside(self, reach: np.ndarray, cluster: int) -> np.ndarray:
        """(x, z) touching a random member of the cluster, looser by `tightness`, sometimes partly on top of it."""
        members = self.members.get(cluster)
        if not members:
            jitter = self.rng.normal(scale=0.2 * self.settings.seed_radius, size=2)
            return np.clip(self.seeds[cluster] + jitter, -self.half_width, self.half_width)
        parent = int(self.rng.choice(members))
        angle = self.rng.uniform(0, 2 * np.pi)
        outwards = np.array([np.cos(angle), np.sin(angle)])
        height = self.scene.stage_y + reach[OPPOSITE[0]] - self.centres[parent][1]
        along = DIRECTIONS[:, 0] * outwards[0] + DIRECTIONS[:, 2] * outwards[1]
        facing = along > 0.2
        needed = self.reaches[parent] + reach[OPPOSITE] - DIRECTIONS[:, 1] * height
        contact = max(0.0, (needed[facing] / along[facing]).min()) + CLEARANCE
        if self.rng.random() < self.settings.stacking:
            contact *= self.rng.uniform(0.3, 0.9)
        else:
            contact *= self.rng.uniform(1.0, 1.0 / self.settings.tightness)
        return self.centres[parent][[0, 2]] + contact * outwards

    def _resting_height(self, position: np.ndarray, reach: np.ndarray) -> float:
        """Lowest y at which the particle at (x, z) is above the stage and separated from every other."""
        floor = self.scene.stage_y + reach[OPPOSITE[0]] + CLEARANCE
        if not self.centres:
            return floor
        centres, reaches = np.array(self.centres), np.array(self.reaches)
        offset = (position[0] - centres[:, 0])[:, None] * DIRECTIONS[:, 0]
        offset = offset + (position[1] - centres[:, 2])[:, None] * DIRECTIONS[:, 2]
        lacking = reaches + reach[OPPOSITE] - offset + CLEARANCE  # still needed along d, from the heights alone
        up = DIRECTIONS[:, 1] > 1e-6
        lowest = (lacking[:, up] / DIRECTIONS[up, 1]).min(axis=1) + centres[:, 1]
        apart = (lacking - DIRECTIONS[:, 1] * (floor - centres[:, 1:2]) <= 0).any(axis=1)
        blocking = lowest[~apart]
        if blocking.size == 0:
            return floor
        # Raised above one neighbour, the particle may now meet one that it passed under: clear them all.
        return float(max(floor, lowest[self._near(position, reach)].max()))

    def _near(self, position: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """bool [n]: which placed particles no vertical plane separates from the one at (x, z)."""
        centres, reaches = np.array(self.centres), np.array(self.reaches)
        radial = np.hypot(position[0] - centres[:, 0], position[1] - centres[:, 2])
        return radial < reaches.max(axis=1) + reach.max()


def write_layouts(path: Path, layouts: list[Layout]) -> None:
    """Stores layouts as one .npz without pickling."""
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            counts=np.array([len(layout) for layout in layouts]),
            transforms=np.concatenate([layout.transforms for layout in layouts]),
            rotations=np.concatenate([layout.rotations for layout in layouts]),
            mesh_index=np.concatenate([layout.mesh_index for layout in layouts]),
        )


def read_layouts(path: Path) -> list[Layout]:
    """Layouts of a file by `write_layouts`."""
    with np.load(path, allow_pickle=False) as stored:
        cuts = np.cumsum(stored["counts"])[:-1]
        parts = (np.split(stored[name], cuts) for name in ("transforms", "rotations", "mesh_index"))
        return [Layout(*arrays) for arrays in zip(*parts, strict=True)]
