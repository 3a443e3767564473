"""What every particle mesh fulfils, and how a closed surface is brought into that form."""

import hashlib
from collections.abc import Sequence

import numpy as np
import trimesh

from drgan_lib.errors import DrganError


class MeshError(DrganError, ValueError):
    """A mesh that cannot be a particle; the message says why and what to do."""


def normalise(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """`mesh` turned outwards, centred and of unit equivalent diameter; `MeshError` if it is open or has no volume."""
    centre(mesh)
    mesh.apply_scale((6 * mesh.volume / np.pi) ** (-1 / 3))
    return mesh


def centre(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """`mesh` turned outwards and centred at its centroid, its size kept; `MeshError` as of `normalise`."""
    if len(mesh.faces) == 0:
        raise MeshError("the mesh has no faces; export it as a surface, not as a point cloud")
    if not mesh.is_watertight:
        raise MeshError("the mesh is open (an edge has only one face); close its holes before using it as a particle")
    trimesh.repair.fix_normals(mesh)
    if not mesh.volume > 1e-12:
        raise MeshError(f"the mesh encloses no volume ({mesh.volume:.3g}); a particle needs one")
    mesh.apply_translation(-mesh.center_mass)
    return mesh


def convex_parts(mesh: trimesh.Trimesh) -> list[np.ndarray]:
    """int64 [n_k] per part: vertices whose convex hulls together cover the mesh.

    Rods and wires know their parts if they are bent; any other mesh counts as its convex hull.
    """
    return mesh.metadata.get("parts") or [np.arange(len(mesh.vertices))]


def shaded(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh to render: of an imported one the same triangles, apart where an edge is sharp.

    Averaged over such an edge, normals would make it look round. Generated shapes need no such copy.
    """
    return mesh.metadata.get("shaded", mesh)


def meshes_digest(meshes: Sequence[trimesh.Trimesh]) -> str:
    """64 hexadecimal digits that change with anything of the meshes that a render shows."""
    shapes = hashlib.sha256()
    for mesh in map(shaded, meshes):
        for array, kind in ((mesh.vertices, "f4"), (mesh.vertex_normals, "f4"), (mesh.faces, "i8")):
            shapes.update(np.asarray(array, kind).tobytes())
    return shapes.hexdigest()


def require_budget(max_triangles: int, least: int, shape: str) -> None:
    """`MeshError` if a shape needs more triangles than it may have."""
    if max_triangles < least:
        raise MeshError(f"{shape} needs at least {least} triangles, got max_triangles {max_triangles}; raise it")
