"""From polygons to triangles: concave ones are cut by ear clipping, and the outcome is checked."""

import manifold3d
import numpy as np
import trimesh

from drgan_lib.scene.meshes.convention import MeshError
from drgan_lib.scene.meshes.formats.polygons import Polygons
from drgan_lib.scene.meshes.formats.same import ADVICE, OVERLAP, SLIVER, compare

TURN = 1e-7  # a corner that turns the wrong way by less, in squared lengths of the outline, is straight


def triangulate(polygons: Polygons) -> tuple[trimesh.Trimesh, list[str]]:
    """The same surface in triangles, on the same vertices, and what there is to say of it, nothing if faces are flat.

    Faces of one or two corners become triangles without area. `MeshError` if a face crosses itself, or if faces are
    so far from flat that volume or silhouettes depend on how they are cut.
    """
    with np.errstate(invalid="ignore"):  # vertices that are not finite are the repair's to refuse
        triangles, owners = _cut(polygons)
        findings = compare(polygons, triangles, owners)
    return trimesh.Trimesh(polygons.vertices, triangles, process=False), findings


def _cut(polygons: Polygons) -> tuple[np.ndarray, np.ndarray]:
    """int64 [t, 3], triangles by their vertices, and int64 [t], the face that each is part of."""
    flat, convex = _flattened(polygons)
    sizes = np.where(convex, np.maximum(polygons.sizes - 2, polygons.sizes > 0), 0)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    step = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    last = polygons.sizes[owners] - 1  # a face of one or two corners repeats its last one
    around = np.column_stack([0 * step, np.minimum(step + 1, last), np.minimum(step + 2, last)])
    triangles, parts = [polygons.corners[polygons.starts[owners, None] + around]], [owners]
    bent = polygons.bent()
    for face in np.flatnonzero(~convex):
        place = slice(polygons.starts[face], polygons.starts[face] + polygons.sizes[face])
        triangles.append(polygons.corners[place][_clipped(flat[place], int(face), bent[face])])
        parts.append(np.full(len(triangles[-1]), face))
    return np.concatenate(triangles), np.concatenate(parts)


def _flattened(polygons: Polygons) -> tuple[np.ndarray, np.ndarray]:
    """float64 [m, 2], corners in the plane of their face, counter-clockwise, and bool [k], which faces are convex."""
    vectors = polygons.area_vectors()
    normals = vectors / np.maximum(np.linalg.norm(vectors, axis=1), np.finfo(float).tiny)[:, None]
    across = np.cross(normals, np.eye(3)[np.argmin(np.abs(normals), axis=1)])
    across /= np.maximum(np.linalg.norm(across, axis=1), np.finfo(float).tiny)[:, None]
    places = polygons.vertices[polygons.corners] - np.repeat(polygons.middles(), polygons.sizes, axis=0)
    axes = np.repeat(np.stack([across, np.cross(normals, across)], axis=1), polygons.sizes, axis=0)
    flat = np.einsum("mij,mj->mi", axes, places)

    after = polygons.following()
    edge = flat[after] - flat
    cross = edge[:, 0] * edge[after][:, 1] - edge[:, 1] * edge[after][:, 0]
    outline = np.repeat(polygons.per_face(np.linalg.norm(edge, axis=1)), polygons.sizes)
    back = polygons.per_face((cross < -TURN * outline**2).astype(float)) > 0
    turns = polygons.per_face(np.arctan2(cross, (edge * edge[after]).sum(axis=1)))
    twice = turns > 3 * np.pi  # a convex outline turns by 2 pi, a star drawn in one stroke by 4 pi
    return flat, ~(back | twice) | (polygons.sizes < 4)


def _clipped(outline: np.ndarray, face: int, bent: bool) -> np.ndarray:
    """int64 [t, 3], triangles of a face by its corners; its outline [n, 2] is counter-clockwise.

    A bent one may seem to cross itself; it is cut as a fan, and `compare` judges.
    """
    x, y = outline.T
    area = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
    size = np.ptp(outline, axis=0).max()
    inside = manifold3d.CrossSection([outline / size], manifold3d.FillRule.NonZero).area() * size**2
    if abs(inside - area) > max(OVERLAP * area, SLIVER * size**2):
        if bent:
            step = np.arange(1, len(outline) - 1)
            return np.column_stack([0 * step, step, step + 1])
        raise MeshError(f"the outline of face {face + 1} ({len(outline)} corners) crosses itself; {ADVICE}")
    return manifold3d.triangulate([outline / size])
