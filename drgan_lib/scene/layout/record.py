"""What a layout is, and the file that keeps many."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from drgan_lib.files import atomic_path


class LayoutError(RuntimeError):
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


def write_layouts(path: Path, layouts: list[Layout]) -> None:
    """Stores layouts as one .npz without pickling."""
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            counts=np.array([len(layout) for layout in layouts]),
            missing=np.array([layout.missing for layout in layouts]),
            missing_clusters=np.array([layout.missing_clusters for layout in layouts]),
            transforms=np.concatenate([layout.transforms for layout in layouts]),
            rotations=np.concatenate([layout.rotations for layout in layouts]),
            mesh_index=np.concatenate([layout.mesh_index for layout in layouts]),
        )


def read_layouts(path: Path) -> list[Layout]:
    """Layouts of a file by `write_layouts`."""
    with np.load(path, allow_pickle=False) as stored:
        cuts = np.cumsum(stored["counts"])[:-1]
        parts = (np.split(stored[name], cuts) for name in ("transforms", "rotations", "mesh_index"))
        missing = (stored[name].tolist() for name in ("missing", "missing_clusters"))
        return [Layout(*values) for values in zip(*parts, *missing, strict=True)]
