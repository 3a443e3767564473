"""What is measured on a mesh: crossings with itself, how two shapes differ, the thickness of rods and wires."""

import manifold3d
import numpy as np
import trimesh
from scipy.spatial import ConvexHull, QhullError

from drgan_lib.scene.meshes.convention import shaded

BINS = 32  # of a shape's description
SAME = 1e-4  # shapes nearer than this are taken for the same: float32 files and turned copies stay well below
MIDDLE = 0.1  # share of the length in which the thickness is measured
SLICES = (1, 2, 4, 8, 16)  # tried for the parts
CLOSE = 1.05  # volume of all parts, as a share of the mesh's, that is close enough


def self_intersections(mesh: trimesh.Trimesh) -> int:
    """Pairs of triangles without a common vertex of which an edge of one passes through the other."""
    corners = np.asarray(mesh.triangles)
    low, high = corners.min(axis=1), corners.max(axis=1)
    near = [((low[i + 1 :] <= high[i]) & (high[i + 1 :] >= low[i])).all(axis=1) for i in range(len(low))]
    first = np.repeat(np.arange(len(low)), [row.sum() for row in near])
    second = np.concatenate([i + 1 + np.flatnonzero(row) for i, row in enumerate(near)])
    apart = (mesh.faces[first][:, :, None] != mesh.faces[second][:, None]).all(axis=(1, 2))
    first, second = corners[first[apart]], corners[second[apart]]
    return int((_pierced(first, second) | _pierced(second, first)).sum())


def _pierced(edges: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """bool [n]: whether an edge of the first triangle [n, 3, 3] passes through the inside of the second."""
    a, b, c = (triangles[:, None, k] for k in range(3))
    start, end = edges, np.roll(edges, -1, axis=1)

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray, s: np.ndarray) -> np.ndarray:
        volume = np.einsum("nij,nij->ni", np.cross(q - p, r - p), s - p)
        return np.sign(np.where(np.abs(volume) < 1e-14, 0, volume))

    crosses = side(a, b, c, start) * side(a, b, c, end) < 0
    turns = [side(start, end, p, q) for p, q in ((a, b), (b, c), (c, a))]
    inside = (turns[0] == turns[1]) & (turns[1] == turns[2]) & (turns[0] != 0)
    return (crosses & inside).any(axis=1)


def descriptor(mesh: trimesh.Trimesh) -> np.ndarray:
    """float64 [35]: a description that does not change when the mesh is turned, mirrored, moved or scaled.

    How far the surface is from the centroid (means of the innermost 32nd of its area, of the next, and so on) and the
    body's three principal radii of gyration, in equivalent diameters.
    """
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
    return float(differences(meshes)[np.triu_indices(len(meshes), 1)].min(initial=np.inf))


def thickness(mesh: trimesh.Trimesh) -> float:
    """Diameter of the circle that has the area of the cross-section, the mean of the middle tenth of the length.

    The length is that along the principal axis. Bent evenly, the middle is parallel to it; caps, tapered ends and the
    bend elsewhere do not count.
    """
    axis = _axis(mesh)
    along = mesh.vertices @ axis
    middle, half = (along.min() + along.max()) / 2, MIDDLE * np.ptp(along) / 2
    solid = manifold3d.Manifold(manifold3d.Mesh64(mesh.vertices.astype(float), mesh.faces.astype(np.uint64)))
    slab = solid.trim_by_plane(axis, middle - half).trim_by_plane(-axis, -(middle + half))
    return float(np.sqrt(4 * slab.volume() / (2 * half) / np.pi))


def as_elongated(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """`mesh` scaled in place to unit thickness, with convex parts if it is bent."""
    factor = 1 / thickness(mesh)
    mesh.apply_scale(factor)
    if shaded(mesh) is not mesh:
        shaded(mesh).apply_scale(factor)
    parts = _slices(mesh)
    if len(parts) > 1:
        mesh.metadata["parts"] = parts
    return mesh


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
