"""The user's meshes as rods and wires: of unit thickness, and in convex parts."""

from __future__ import annotations

import manifold3d
import numpy as np
import trimesh
from scipy.spatial import ConvexHull, QhullError

MIDDLE = 0.1  # share of the length in which the thickness is measured
SLICES = (1, 2, 4, 8, 16)  # tried for the parts
CLOSE = 1.05  # volume of all parts, as a share of the mesh's, that is close enough


def as_elongated(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """`mesh` scaled in place to unit thickness, with convex parts if it is bent."""
    factor = 1 / thickness(mesh)
    for surface in {id(m): m for m in (mesh, mesh.metadata.get("shaded", mesh))}.values():
        surface.apply_scale(factor)
    parts = _slices(mesh)
    if len(parts) > 1:
        mesh.metadata["parts"] = parts
    return mesh


def thickness(mesh: trimesh.Trimesh) -> float:
    """Diameter of the circle that has the area of the cross-section, the mean of the middle tenth of the length.

    The length is that along the principal axis. Bent evenly, the middle is parallel to it; caps, tapered ends and the
    bend elsewhere do not count.
    """
    axis = _axis(mesh)
    along = mesh.vertices @ axis
    middle, half = (along.min() + along.max()) / 2, MIDDLE * np.ptp(along) / 2
    solid = manifold3d.Manifold(
        manifold3d.Mesh64(np.array(mesh.vertices, dtype=np.float64), np.array(mesh.faces, dtype=np.uint64))
    )
    slab = solid.trim_by_plane(axis, middle - half).trim_by_plane(-axis, -(middle + half))
    return float(np.sqrt(4 * slab.volume() / (2 * half) / np.pi))


def _axis(mesh: trimesh.Trimesh) -> np.ndarray:
    """Unit vector [3] of the length: about it the moment of inertia is least."""
    return mesh.principal_inertia_vectors[np.argmin(mesh.principal_inertia_components)]


def _slices(mesh: trimesh.Trimesh) -> list[np.ndarray]:
    """int64 [n_k] per part: the vertices of the faces of a slice along the axis, for as few slices as fit closely."""
    along = mesh.triangles_center @ _axis(mesh)
    edges = np.linspace(along.min(), along.max(), max(SLICES) + 1)
    place = np.clip(np.searchsorted(edges, along, side="right") - 1, 0, max(SLICES) - 1)
    best, least = [np.arange(len(mesh.vertices))], np.inf
    for n in SLICES:
        owners = place // (max(SLICES) // n)
        parts = [np.unique(mesh.faces[owners == k]) for k in np.unique(owners)]
        try:
            volume = sum(ConvexHull(mesh.vertices[part]).volume for part in parts)
        except QhullError:  # a slice of few faces, all in one plane
            continue
        if volume < least:
            best, least = parts, volume
        if least <= CLOSE * mesh.volume:
            break
    return best
