"""The two lights of the paper's scene: a bright torus around the support, stretched in height, and a weak square above.

Only the torus's inner half (the faces nearer to the axis than its tube's centre) can light the support, so only that
half is built. It is cut into bands of equal elevation, each an emitter of its own: Mitsuba chooses an emitter first, so
most rays can go to the bands that light the support most. The light is the same; at equal time the image has half the
noise (importance sampling: Veach, Robust Monte Carlo methods for light transport simulation, 1997, ch. 2).
"""

from dataclasses import dataclass

import numpy as np
import trimesh

from drgan_lib.config import SceneSettings

SEGMENTS, TUBE_SEGMENTS = 64, 16
BANDS = TUBE_SEGMENTS // 2
DEFENSIVE = 0.1  # share of the rays that is spread evenly, for what faces another way than the support


@dataclass(frozen=True)
class Light:
    """One emitter: name, surface, and the irradiance that unit radiance gives to the support's centre."""

    name: str
    mesh: trimesh.Trimesh
    irradiance: float


def ring_light_mesh(settings: SceneSettings) -> trimesh.Trimesh:
    """Inner half of the stretched torus, axis along y, normals towards the support."""
    torus = trimesh.creation.torus(settings.torus_radius, settings.torus_tube, SEGMENTS, TUBE_SEGMENTS)
    vertices = torus.vertices[:, [0, 2, 1]] * [1, settings.torus_stretch, 1] + [0, settings.torus_y, 0]
    centres = vertices[torus.faces].mean(axis=1)
    inner = np.flatnonzero(np.hypot(centres[:, 0], centres[:, 2]) < settings.torus_radius)
    # Swapping y and z mirrors the mesh, so the winding is turned to keep the normals outside the tube.
    torus = trimesh.Trimesh(vertices, torus.faces[:, ::-1], process=False)
    return torus.submesh([inner], append=True, repair=False)


def ring_bands(settings: SceneSettings) -> list[Light]:
    """The ring light as `BANDS` emitters from bottom to top, the faces of each in the order of their azimuth."""
    ring = ring_light_mesh(settings)
    x, y, z = ring.triangles_center.T
    inwards = settings.torus_radius - np.hypot(x, z)
    elevation = np.arctan2((y - settings.torus_y) / settings.torus_stretch, inwards) / np.pi + 0.5
    band = np.clip((elevation * BANDS).astype(int), 0, BANDS - 1)
    order, irradiance = np.lexsort((np.arctan2(z, x), band)), _irradiance(ring, settings)
    groups = [order[band[order] == k] for k in range(BANDS)]
    meshes = zip(groups, ring.submesh(groups, repair=False), strict=True)
    return [Light(f"ring_light_{k}", mesh, float(irradiance[own].sum())) for k, (own, mesh) in enumerate(meshes)]


def top_light(settings: SceneSettings) -> Light:
    """The square above the support, facing down."""
    mesh = square(settings.top_half_extent, settings.top_y, facing_up=False)
    return Light("top_light", mesh, float(_irradiance(mesh, settings).sum()))


def square(half_extent: float, y: float, *, facing_up: bool) -> trimesh.Trimesh:
    """Horizontal square of two triangles around the y axis."""
    corners = half_extent * np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]]) + [0, y, 0]
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    return trimesh.Trimesh(corners, faces if facing_up else faces[:, ::-1], process=False)


def sampling_weights(lights: list[Light], radiances: list[float]) -> list[float]:
    """How often Mitsuba is to choose each emitter: mostly in proportion to what it gives to the support's centre."""
    power = np.array([light.irradiance * radiance for light, radiance in zip(lights, radiances, strict=True)])
    shining = np.array(radiances) > 0
    even = power.sum() / max(1, shining.sum()) * shining
    return np.maximum((1 - DEFENSIVE) * power + DEFENSIVE * even, 1e-6).tolist()


def _irradiance(mesh: trimesh.Trimesh, settings: SceneSettings) -> np.ndarray:
    """Irradiance of the support's centre by each triangle at unit radiance, from the triangles' centres."""
    way = mesh.triangles_center - [0, settings.stage_y, 0]
    distance = np.linalg.norm(way, axis=1)
    leaving = -(mesh.face_normals * way).sum(axis=1) / distance
    return mesh.area_faces * np.maximum(leaving, 0) * np.maximum(way[:, 1] / distance, 0) / distance**2
