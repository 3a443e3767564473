"""How different shapes are: a description that does not change when a mesh is turned, mirrored, moved or scaled."""

from __future__ import annotations

import numpy as np
import trimesh

BINS = 32
SAME = 1e-4  # shapes nearer than this are taken for the same: float32 files and turned copies stay well below


def descriptor(mesh: trimesh.Trimesh) -> np.ndarray:
    """float64 [35]: how far the surface is from the centroid (means of the innermost 32nd of its area, of the next,
    and so on) and the body's three principal radii of gyration, in equivalent diameters."""
    # Quadrature that is exact to the second degree: the middles of the three edges of each triangle.
    middles = (mesh.triangles + np.roll(mesh.triangles, 1, axis=1)) / 2
    distances = np.linalg.norm(middles.reshape(-1, 3) - mesh.center_mass, axis=1)
    order = np.argsort(distances)
    weights = np.repeat(mesh.area_faces, 3)[order] / (3 * mesh.area)
    share, sums = (np.append(0, np.cumsum(part)) for part in (weights, weights * distances[order]))
    means = BINS * np.diff(np.interp(np.linspace(0, 1, BINS + 1), share, sums))
    inertia = np.sort(mesh.principal_inertia_components) / mesh.volume
    radii = np.sqrt(np.maximum(inertia.sum() / 2 - inertia, 0))
    return np.concatenate([means, radii]) / np.cbrt(6 * mesh.volume / np.pi)


def differences(meshes: list[trimesh.Trimesh]) -> np.ndarray:
    """float64 [n, n]: greatest difference between two meshes' descriptions, in equivalent diameters; 0 if the same."""
    described = np.array([descriptor(mesh) for mesh in meshes])
    return np.abs(described[:, None] - described[None]).max(axis=2)


def variety(meshes: list[trimesh.Trimesh]) -> float:
    """Smallest difference between any two of the meshes, in equivalent diameters; infinite for a single one."""
    table = differences(meshes)
    np.fill_diagonal(table, np.inf)
    return float(table.min())
