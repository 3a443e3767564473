"""Whether triangles have the shape of the polygons that they were cut from: volume, silhouettes, and face by face."""

from collections.abc import Iterator, Sequence

import manifold3d
import numpy as np

from drgan_lib.scene.meshes.convention import MeshError
from drgan_lib.scene.meshes.formats.polygons import Polygons

SAID, REFUSED = 0.01, 0.1  # changes of volume or silhouettes that are told, and that are too large
LEAST = 1e-3  # volumes count as at least this share of the cube around the mesh, silhouettes as of its square
OVERLAP = 1e-3  # of the area of a face, by which what it covers may differ
SLIVER = 1e-5  # area of a face in squared lengths of its outline, below which it has no normal
BLOCK = 1000  # faces whose silhouettes are taken at once, for the time needed grows with the square
MOST = 5000  # faces of which silhouettes are taken (seconds); volume, and each face by itself, must do for more
ADVICE = "triangulate it (Blender: the modifier Triangulate), look at it, and export it again"


def compare(polygons: Polygons, triangles: np.ndarray, owners: np.ndarray) -> list[str]:
    """What to say if triangles int [t, 3] of the faces `owners` int [t] change the shape; `MeshError` if too much."""
    cut = polygons.sizes > 3
    if not cut.any():
        return []
    vectors = polygons.area_vectors()
    places = polygons.vertices[triangles]
    pieces = np.cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]) / 2
    _require_no_overlap(polygons, vectors, pieces, owners)

    origin = polygons.vertices[polygons.corners].mean(axis=0)
    size = np.ptp(polygons.vertices[polygons.corners], axis=0).max()
    expected = ((polygons.middles() - origin) * vectors).sum() / 3  # cones over the faces, which need no cutting
    volume = np.linalg.det(places - origin).sum() / 6
    change = abs(volume - expected) / max(abs(expected), LEAST * size**3)
    seen, uncut = np.zeros(3), np.zeros(3)
    for faces, parts in _blocks(polygons, triangles, owners) if len(cut) <= MOST else ():
        uncut += silhouettes(polygons.vertices, faces)
        seen += silhouettes(polygons.vertices, parts)
    change = max(change, *(np.abs(seen - uncut) / np.maximum(uncut, LEAST * size**2)))
    if not change > SAID:
        return []
    what = (
        f"faces of more than three corners are far from flat; their cutting changes the shape by {100 * change:.2g} %"
    )
    if change > REFUSED:
        raise MeshError(f"{what}; {ADVICE}")
    return [what]


def silhouettes(vertices: np.ndarray, faces: Sequence[np.ndarray]) -> np.ndarray:
    """float64 [3], area that faces, given by their vertices, cover together as seen along x, y and z."""
    used = vertices[np.concatenate(faces)]
    if not np.isfinite(used).all():
        return np.full(3, np.nan)
    low, size = used.min(axis=0), np.ptp(used, axis=0).max() or 1.0
    areas = []
    for axes in ([1, 2], [2, 0], [0, 1]):
        outlines = []
        for x, y in (((vertices[face] - low)[:, axes] / size).T for face in faces):
            turn = 1 if (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0 else -1
            outlines.append(np.column_stack([x, y])[::turn])
        areas.append(manifold3d.CrossSection(outlines, manifold3d.FillRule.NonZero).area() * size**2)
    return np.array(areas)


def _require_no_overlap(polygons: Polygons, vectors: np.ndarray, pieces: np.ndarray, owners: np.ndarray) -> None:
    """In the plane of a flat face, its triangles must add up to its area, none of them turned over."""
    edges = polygons.vertices[polygons.corners[polygons.following()]] - polygons.vertices[polygons.corners]
    least = SLIVER * polygons.per_face(np.linalg.norm(edges, axis=1)) ** 2
    areas = np.linalg.norm(vectors, axis=1)
    normals = vectors / np.maximum(areas, np.finfo(float).tiny)[:, None]
    seen = np.where(
        areas[owners] > least[owners], np.abs((pieces * normals[owners]).sum(axis=1)), np.linalg.norm(pieces, axis=1)
    )
    difference = np.abs(np.bincount(owners, seen, len(areas)) - areas)
    if (wrong := (difference > np.maximum(OVERLAP * areas, least)) & ~polygons.bent()).any():
        face = int(np.argmax(wrong))
        raise MeshError(f"face {face + 1} ({polygons.sizes[face]} corners) crosses itself; {ADVICE}")


def _blocks(
    polygons: Polygons, triangles: np.ndarray, owners: np.ndarray
) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
    """Vertices of the faces of each block, and of its triangles."""
    order = np.argsort(owners, kind="stable")
    for first in range(0, len(polygons.sizes), BLOCK):
        starts, sizes = polygons.starts[first : first + BLOCK], polygons.sizes[first : first + BLOCK]
        faces = [polygons.corners[start : start + size] for start, size in zip(starts, sizes, strict=True) if size > 2]
        low, high = np.searchsorted(owners, (first, first + BLOCK), sorter=order)
        if faces:
            yield faces, triangles[order[low:high]]
