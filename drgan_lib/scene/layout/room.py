"""How much of the field particles cover, and laws that no field can hold."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial import ConvexHull
from skimage.draw import polygon2mask

from drgan_lib.config import ConfigError, LayoutSettings, Material
from drgan_lib.scene.layout.record import Layout
from drgan_lib.scene.layout.sizes import SizeLaw
from drgan_lib.scene.meshes import convex_parts

PACKED = {"planar": 0.84, "stacked": 0.64, "volume": 0.64}  # of area or volume: random close packing of discs and balls


def coverage(layout: Layout, meshes: list[trimesh.Trimesh], material: Material) -> float:
    """Share of the image that particles cover, as the camera sees them."""
    scene = material.scene
    image = np.zeros((scene.size_px, scene.size_px), dtype=bool)
    for m, rotation, transform in zip(layout.mesh_index, layout.rotations, layout.transforms, strict=True):
        points = transform[3] * (meshes[m].vertices @ rotation.T) + transform[:3]
        magnified = (scene.camera_y - scene.stage_y) / (scene.camera_y - points[:, 1])
        seen = points[:, [2, 0]] * magnified[:, None] * material.scene_unit_px + scene.size_px / 2 - 0.5
        for part in convex_parts(meshes[m]):
            outline = seen[part][ConvexHull(seen[part]).vertices]
            image |= polygon2mask(image.shape, outline)
    return float(image.mean())


def footprint(mesh: trimesh.Trimesh, settings: LayoutSettings) -> float:
    """Area that a mesh of size 1 covers on the stage; turned freely, the mean over all directions (Cauchy)."""
    if settings.orientation == "free":
        return mesh.area / 4
    return float(np.abs(mesh.area_faces * mesh.face_normals[:, 1]).sum() / 2)


def cover(n: int, law: SizeLaw, meshes: list[trimesh.Trimesh], material: Material) -> float:
    """Area of n particles of the mean size, side by side, as a share of the area where they may lie."""
    area = n * law.mean**2 * np.mean([footprint(mesh, material.layout) for mesh in meshes])
    return area / _width(law, material) ** 2


def require_room(law: SizeLaw, meshes: list[trimesh.Trimesh], material: Material) -> None:
    """`ConfigError` if the least number of particles is more than the field can hold, however they lie."""
    settings, scene = material.layout, material.scene
    n = settings.n_particles[0]
    if settings.space != "planar" and settings.height * law.median >= scene.camera_y - scene.stage_y:
        raise ConfigError(
            f"layout.height: expected less than the camera's height, {scene.camera_y - scene.stage_y:g} scene units, "
            f"got {settings.height:g} median sizes, which are {settings.height * law.median:.3g}; lower it"
        )
    if settings.space == "planar":
        share, what = cover(n, law, meshes, material), "area"
    else:
        volume = n * law.mean**3 * np.mean([mesh.volume for mesh in meshes])
        height = settings.height * law.median + law.mean
        share, what = volume / (_width(law, material) ** 2 * height), "volume"
    if share > PACKED[settings.space]:
        raise ConfigError(
            f"layout.n_particles: {n} particles of the mean size {law.mean:.3g} (scene units) take {share:.0%} of the "
            f"field's {what}, and at most {PACKED[settings.space]:.0%} can be filled; lower layout.n_particles or "
            "layout.sizes, or raise layout.field_margin"
        )


def _width(law: SizeLaw, material: Material) -> float:
    """Side of the square in which particles lie, half a particle beyond that of their centres."""
    return 2 * material.layout.field_margin * material.scene.half_field + law.mean
