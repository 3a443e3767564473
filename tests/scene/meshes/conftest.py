"""What several tests of meshes do with them."""

import manifold3d
import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from drgan_lib.scene.meshes import convex_parts


def moved(mesh: trimesh.Trimesh, seed: int, scale: float = 1.0) -> trimesh.Trimesh:
    """A copy, turned, scaled and moved at random."""
    rng = np.random.default_rng(seed)
    transform = np.eye(4)
    transform[:3, :3] = scale * Rotation.random(rng=rng).as_matrix()
    transform[:3, 3] = rng.normal(size=3)
    return mesh.copy().apply_transform(transform)


def volume_of_parts(mesh: trimesh.Trimesh) -> float:
    """Volume of the union of the convex hulls of a mesh's parts, by Manifold."""
    hulls = [manifold3d.Manifold.hull_points(mesh.vertices[part].astype(np.float32)) for part in convex_parts(mesh)]
    return manifold3d.Manifold.batch_boolean(hulls, manifold3d.OpType.Add).volume()
