"""What a layout is, and the file that keeps many."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from drgan_lib.errors import DrganError
from drgan_lib.files import atomic_path

ARRAYS = ("transforms", "rotations", "mesh_index")
COUNTS = ("missing", "missing_clusters")


class LayoutError(DrganError, RuntimeError):
    """Particles that do not fit; the message gives the counts."""


@dataclass(frozen=True)
class Layout:
    """Placement of n particles in the scene: particle k has instance id k + 1 in every label image."""

    transforms: np.ndarray  # float32 [n, 4]: x, y, z of the centroid and the size of the mesh, scene units
    rotations: np.ndarray  # float32 [n, 3, 3]
    mesh_index: np.ndarray  # int64 [n]: which of the material's meshes
    missing: int = 0  # particles that were drawn too, but found no place
    missing_clusters: int = 0  # likewise, of agglomerates

    def __len__(self) -> int:
        return len(self.transforms)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Index of the mesh, rotation [3, 3] and transform [4] of each particle."""
        return zip(self.mesh_index, self.rotations, self.transforms, strict=True)

    @cached_property
    def key(self) -> str:
        """32 hexadecimal digits that change with any placement."""
        parts = (np.ascontiguousarray(getattr(self, name)).tobytes() for name in ARRAYS)
        return hashlib.sha256(b"".join(parts)).hexdigest()[:32]

    @property
    def seed(self) -> int:
        """Seed of the Monte Carlo samples of its precomputed light transport, 28 bits of `key`."""
        return int(self.key[:7], 16)

    def vector(self, n_max: int) -> np.ndarray:
        """float32 [n_max * 4]: the flattened transformation tensor, padded with zeros; the regressor's input."""
        if len(self) > n_max:
            raise LayoutError(f"expected at most {n_max} particles, got {len(self)}; raise layout.n_particles")
        return np.pad(self.transforms, ((0, n_max - len(self)), (0, 0))).ravel()


def write_layouts(path: Path, layouts: list[Layout]) -> None:
    """Stores layouts as one .npz without pickling."""
    arrays = {name: np.concatenate([getattr(layout, name) for layout in layouts]) for name in ARRAYS}
    counts = {name: np.array([getattr(layout, name) for layout in layouts]) for name in COUNTS}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, counts=np.array([len(layout) for layout in layouts]), **counts, **arrays)


def read_layouts(path: Path) -> list[Layout]:
    """Layouts of a file by `write_layouts`."""
    with np.load(path, allow_pickle=False) as stored:
        cuts = np.cumsum(stored["counts"])[:-1]
        arrays = (np.split(stored[name], cuts) for name in ARRAYS)
        counts = (stored[name].tolist() for name in COUNTS)
        return [Layout(*values) for values in zip(*arrays, *counts, strict=True)]
