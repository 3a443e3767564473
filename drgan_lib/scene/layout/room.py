"""How much of the field particles cover, and sizes and clusters that no field can hold."""

import numpy as np
import trimesh
from scipy.spatial import ConvexHull
from skimage.draw import polygon2mask

from drgan_lib.config import ConfigError, LayoutSettings, Material
from drgan_lib.scene.layout.record import Layout
from drgan_lib.scene.layout.sizes import SizeDistribution
from drgan_lib.scene.meshes import convex_parts

PACKED = {"planar": 0.84, "stacked": 0.64, "volume": 0.64}  # of area or volume: random close packing of discs and balls


def coverage(layout: Layout, meshes: list[trimesh.Trimesh], material: Material) -> float:
    """Share of the image that particles cover, as the camera sees them."""
    scene = material.scene
    image = np.zeros((scene.size_px, scene.size_px), dtype=bool)
    for m, rotation, transform in layout:
        seen = in_image(transform[3] * (meshes[m].vertices @ rotation.T) + transform[:3], material)
        for part in convex_parts(meshes[m]):
            image |= polygon2mask(image.shape, seen[part][ConvexHull(seen[part]).vertices])
    return float(image.mean())


def in_image(points: np.ndarray, material: Material) -> np.ndarray:
    """Row and column [n, 2] in px at which the camera sees `points` [n, 3] of the scene; pixels centre on integers."""
    scene = material.scene
    magnified = (scene.camera_y - scene.stage_y) / (scene.camera_y - points[:, 1])
    return points[:, [2, 0]] * magnified[:, None] * material.scene_unit_px + scene.size_px / 2 - 0.5


def footprint(mesh: trimesh.Trimesh, settings: LayoutSettings) -> float:
    """Area that a mesh of size 1 covers on the support; turned freely, the mean over all directions (Cauchy)."""
    if settings.orientation == "free":
        return mesh.area / 4
    return float(np.abs(mesh.area_faces * mesh.face_normals[:, 1]).sum() / 2)


def cover(n: int, sizes: SizeDistribution, meshes: list[trimesh.Trimesh], material: Material) -> float:
    """Area of n particles of the mean size, side by side, as a share of the area where they may lie."""
    area = n * sizes.mean**2 * np.mean([footprint(mesh, material.layout) for mesh in meshes])
    return area / _width(sizes, material) ** 2


def require_room(sizes: SizeDistribution, meshes: list[trimesh.Trimesh], material: Material) -> None:
    """`ConfigError` if the least number of particles or clusters is more than the field can hold, however they lie.

    So it is for particles that stand up to the camera, or that are all longer than the field is wide.
    """
    settings, camera = material.layout, material.scene.camera_y - material.scene.stage_y
    _require_view(sizes, meshes, material)
    _require_clusters(sizes, material)
    n, height = settings.n_particles[0], settings.height * sizes.median
    if settings.space != "planar" and height >= camera:
        raise ConfigError(
            f"layout.height: expected less than the camera's height, {camera:g} scene units, "
            f"got {settings.height:g} median sizes, which are {height:.3g}; lower it"
        )
    if settings.space == "planar":
        share, what = cover(n, sizes, meshes, material), "area"
    else:
        volume = n * sizes.mean**3 * np.mean([mesh.volume for mesh in meshes])
        share, what = volume / (_width(sizes, material) ** 2 * (height + sizes.mean)), "volume"
    if share > PACKED[settings.space]:
        raise ConfigError(
            f"layout.n_particles: {n} particles of the mean size {sizes.mean:.3g} (scene units) take {share:.0%} of "
            f"the field's {what}, and at most {PACKED[settings.space]:.0%} can be filled; lower layout.n_particles or "
            "layout.sizes, or raise layout.field_margin"
        )


def _require_view(sizes: SizeDistribution, meshes: list[trimesh.Trimesh], material: Material) -> None:
    """`ConfigError` if particles of the median size cannot be seen whole: the tallest, or the shortest of all."""
    scene, free = material.scene, material.layout.orientation == "free"
    camera, field = scene.camera_y - scene.stage_y, 2 * scene.half_field
    lengths = sizes.median * np.array([mesh.extents.max() for mesh in meshes])
    tallest = lengths.max() if free else sizes.median * max(mesh.extents[1] for mesh in meshes)
    what = f"layout.sizes: particles of the median size {sizes.median:.3g} (scene units)"
    smaller = "lower layout.sizes, which of rods and wires are the thickness, or the aspect of the meshes"
    if lengths.min() > field:
        raise ConfigError(
            f"{what} are at least {lengths.min():.3g} long, expected at most the width of the field, {field:.3g}, for "
            f"the shortest of the meshes; {smaller}"
        )
    if tallest >= camera:
        raise ConfigError(
            f"{what} {'turned upright ' if free else ''}are up to {tallest:.3g} high, expected less than the camera's "
            f"height, {camera:g}; {'set layout.orientation=lying, or ' if free else ''}{smaller}"
        )


def _require_clusters(sizes: SizeDistribution, material: Material) -> None:
    """`ConfigError` if not even the least number of clusters can keep their distance."""
    settings, radius = material.layout, material.layout.seed_radius
    n = min(settings.clusters[0], settings.n_particles[0])
    if settings.placement != "agglomerated" or n == 1:
        return
    box = np.full(2, 2 * settings.field_margin * material.scene.half_field)
    if settings.space == "volume":
        box = np.append(box, settings.height * sizes.median)
    # Discs or balls around the seeds that do not meet, in the box that is as much wider, filled at most as lattices do.
    ball, densest = (np.pi / 4, 0.907) if len(box) == 2 else (np.pi / 6, 0.741)
    if n * ball * radius ** len(box) > densest * np.prod(box + radius) or radius > np.linalg.norm(box):
        raise ConfigError(
            f"layout.clusters: {n} seeds cannot be layout.seed_radius={radius:g} apart in the field, "
            f"{' x '.join(f'{side:.3g}' for side in box)} scene units; lower one of the two"
        )


def _width(sizes: SizeDistribution, material: Material) -> float:
    """Side of the square in which particles lie, half a particle beyond that of their centres."""
    return 2 * material.layout.field_margin * material.scene.half_field + sizes.mean
