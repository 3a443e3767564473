"""The paper's virtual scene as a Mitsuba scene: support ("stage"), ring light, upper light, camera, particles.

y is up and the camera looks down. All particles of a layout form one mesh with one BSDF, and the table `owners` tells
which particle a triangle belongs to. The scene is built once; another layout replaces the triangles of that mesh.

The ring light is a bright torus around the support, stretched in height; above is a weak square. Only the torus's inner
half (the faces nearer to the axis than its tube's centre) can light the support, so only that half is built. It is cut
into bands of equal elevation, each an emitter of its own: Mitsuba chooses an emitter first, so most rays can go to the
bands that light the support most. The light is the same; at equal time the image has half the noise (importance
sampling: Veach, Robust Monte Carlo methods for light transport simulation, 1997, ch. 2).
"""

from dataclasses import dataclass, replace

import numpy as np
import trimesh

from drgan_lib.config import PARTICLE_PARAMETERS, Material, SceneSettings
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.layout import Layout
from drgan_lib.scene.meshes import shaded
from drgan_lib.scene.terms import FIXED_ROUGHNESS

SEGMENTS, TUBE_SEGMENTS = 64, 16
BANDS = TUBE_SEGMENTS // 2
DEFENSIVE = 0.1  # share of the rays that is spread evenly, for what faces another way than the support
PARTICLE_BSDF = "particles.bsdf"
STAGE_BSDF = "stage.bsdf"
# Where each learned parameter lives in `mi.traverse(scene)`; noise_sigma belongs to the detector, not to the scene.
SCENE_KEYS = {
    **{name: (f"{PARTICLE_BSDF}.{name}.value",) for name in PARTICLE_PARAMETERS},
    "stage_base_color": (f"{STAGE_BSDF}.base_color.value",),
    "torus_radiance": tuple(f"ring_light_{k}.emitter.radiance.value" for k in range(BANDS)),
    "top_radiance": ("top_light.emitter.radiance.value",),
}
# Learned values that the BSDF has a default for, which is 0: they are part of it only where they are learned.
OPTIONAL = ("sheen", "sheen_tint", "spec_tint", "metallic", "clearcoat", "flatness")


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


@dataclass(frozen=True)
class BuiltScene:
    """A Mitsuba scene, its parameters, and the particle (instance id) that owns each triangle."""

    scene: mi.Scene
    params: mi.SceneParameters
    owners: np.ndarray  # uint32 [n_triangles], 1-based

    def owner(self, hit: mi.SurfaceInteraction3f | mi.PreliminaryIntersection3f) -> mi.UInt32:
        """The particle (instance id) that each ray hits, 0 elsewhere."""
        particles = next(shape for shape in self.scene.shapes() if shape.id() == "particles")
        here = hit.is_valid() & (hit.shape == mi.ShapePtr(particles))
        return dr.select(here, dr.gather(mi.UInt32, mi.UInt32(self.owners), hit.prim_index, here), 0)


def merge_particles(layout: Layout, meshes: list[trimesh.Trimesh]) -> tuple[np.ndarray, ...]:
    """World-space (vertices [V, 3], normals [V, 3], faces [F, 3], owners [F]) of all particles of a layout."""
    parts, offset = [], 0
    for number, (m, rotation, transform) in enumerate(layout, 1):
        mesh = shaded(meshes[m])
        vertices = transform[3] * (mesh.vertices @ rotation.T) + transform[:3]
        owners = np.full(len(mesh.faces), number)
        parts.append((vertices, mesh.vertex_normals @ rotation.T, mesh.faces + offset, owners))
        offset += len(vertices)
    vertices, normals, faces, owners = map(np.concatenate, zip(*parts, strict=True))
    return vertices.astype(np.float32), normals.astype(np.float32), faces.astype(np.uint32), owners.astype(np.uint32)


def mitsuba_mesh(name: str, vertices, faces, normals=None, **properties) -> mi.Mesh:
    """A Mitsuba mesh of arrays [V, 3], [F, 3] and, for smooth shading, [V, 3]."""
    props = mi.Properties()
    for key, value in properties.items():
        props[key] = value
    mesh = mi.Mesh(name, len(vertices), len(faces), has_vertex_normals=normals is not None, props=props)
    params = mi.traverse(mesh)
    params["vertex_positions"] = mi.Float(np.ravel(vertices).astype(np.float32))
    params["faces"] = mi.UInt32(np.ravel(faces).astype(np.uint32))
    if normals is not None:
        params["vertex_normals"] = mi.Float(np.ravel(normals).astype(np.float32))
    params.update()
    return mesh


def uniform(value: float) -> dict:
    """Mitsuba's description of one value for all wavelengths and places."""
    return {"type": "uniform", "value": float(value)}


def bsdf_dicts(material: Material) -> dict[str, dict]:
    """The two principled BSDFs: the material's constants, 0.5 for now where a value is learned, else Mitsuba's 0."""

    def principled(roughness: float, specular: float) -> dict:
        color = uniform(0.5)
        return {"type": "principled", "base_color": color, "roughness": uniform(roughness), "specular": specular}

    settings = material.scene
    learned = {name: uniform(0.5) for name in OPTIONAL if name in material.bounds}
    return {
        PARTICLE_BSDF: principled(FIXED_ROUGHNESS, settings.particle_specular) | learned,
        STAGE_BSDF: principled(settings.stage_roughness, settings.stage_specular),
    }


def camera(settings: SceneSettings, *, spp: int) -> dict:
    """Perspective camera above the support's centre, looking down; image rows run along +z."""
    origin, target = [0, settings.camera_y, 0], [0, settings.stage_y, 0]
    return {
        "type": "perspective",
        "fov": settings.fov_deg,
        "to_world": mi.ScalarTransform4f().look_at(origin=origin, target=target, up=[0, 0, -1]),
        "film": {
            "type": "hdrfilm",
            "width": settings.size_px,
            "height": settings.size_px,
            "pixel_format": "luminance",
            "component_format": "float32",
            "rfilter": {"type": "box"},
        },
        "sampler": {"type": "multijitter", "sample_count": spp},
    }


def _emitters(material: Material) -> dict[str, mi.Mesh]:
    """The bands of the ring light and the upper light; a learned radiance is sampled as if at its upper bound."""
    settings = material.scene
    lights = [*ring_bands(settings), top_light(settings)]
    names = ["torus_radiance"] * BANDS + ["top_radiance"]
    highest = [material.bounds.get(name, (0, getattr(settings, name)))[1] for name in names]
    meshes = {}
    for light, name, weight in zip(lights, names, sampling_weights(lights, highest), strict=True):
        emitter = {"type": "area", "radiance": uniform(getattr(settings, name)), "sampling_weight": weight}
        mesh = light.mesh
        meshes[light.name] = mitsuba_mesh(light.name, mesh.vertices, mesh.faces, emitter=mi.load_dict(emitter))
    return meshes


def build_scene(material: Material, meshes: list[trimesh.Trimesh], layout: Layout, *, spp: int) -> BuiltScene:
    """The material's scene holding the particles of `layout`."""
    settings = material.scene
    vertices, normals, faces, owners = merge_particles(layout, meshes)
    bsdfs = {name: mi.load_dict(bsdf, optimize=False) for name, bsdf in bsdf_dicts(material).items()}
    support = square(settings.stage_half_extent, settings.stage_y, facing_up=True)
    description = {
        "type": "scene",
        # Light is sampled only at the emitters: the samples do not depend on the BSDF, so the derivative of the
        # estimate is the estimate of the derivative, for roughness too (`direct` with BSDF samples is biased there).
        "integrator": {"type": "direct", "emitter_samples": 1, "bsdf_samples": 0},
        "sensor": camera(settings, spp=spp),
        "stage": mitsuba_mesh("stage", support.vertices, support.faces, bsdf=bsdfs[STAGE_BSDF]),
        **_emitters(material),
        "particles": mitsuba_mesh("particles", vertices, faces, normals, bsdf=bsdfs[PARTICLE_BSDF]),
    }
    scene = mi.load_dict(description, optimize=False)  # the loader's merging would rename the shapes
    return BuiltScene(scene, mi.traverse(scene), owners)


def replace_particles(built: BuiltScene, meshes: list[trimesh.Trimesh], layout: Layout) -> BuiltScene:
    """`built` with the particles of another layout in place of its own; everything else stays as it is."""
    vertices, normals, faces, owners = merge_particles(layout, meshes)
    built.params["particles.vertex_positions"] = mi.Float(vertices.ravel())
    built.params["particles.vertex_normals"] = mi.Float(normals.ravel())
    built.params["particles.faces"] = mi.UInt32(faces.ravel())
    built.params.update()
    return replace(built, owners=owners)
