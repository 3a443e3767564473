"""The paper's virtual scene as a Mitsuba scene: support ("stage"), ring light, upper light, camera, particles.

y is up and the camera looks down. All particles of a layout form one mesh with one BSDF, and the table `owners` tells
which particle a triangle belongs to. The scene is built once; another layout replaces the triangles of that mesh.
The lights are no part of it, as they are sampled (`drgan_lib.scene.lights`) and keep no light off a place: rays that
need not be tested against them take a third of the time. Mitsuba's own integrators need a scene that is `lit`.
"""

from dataclasses import dataclass, replace

import numpy as np
import trimesh

from drgan_lib.config import PARTICLE_PARAMETERS, Material, SceneSettings
from drgan_lib.errors import DrganError
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.layout import Layout
from drgan_lib.scene.lights import Lights, as_mesh, ring_light, top_light
from drgan_lib.scene.meshes import shaded
from drgan_lib.scene.terms import FIXED_ROUGHNESS

PARTICLE_BSDF = "particles.bsdf"
STAGE_BSDF = "stage.bsdf"
# Where each learned parameter lives in `mi.traverse(scene)`; noise_sigma belongs to the detector, not to the scene.
SCENE_KEYS = {
    **{name: (f"{PARTICLE_BSDF}.{name}.value",) for name in PARTICLE_PARAMETERS},
    "stage_base_color": (f"{STAGE_BSDF}.base_color.value",),
}
LIGHT_KEYS = {
    "torus_radiance": ("ring_light.emitter.radiance.value",),
    "top_radiance": ("top_light.emitter.radiance.value",),
}  # of a scene that is lit
# Learned values that the BSDF has a default for, which is 0: they are part of it only where they are learned.
OPTIONAL = ("sheen", "sheen_tint", "spec_tint", "metallic", "clearcoat", "flatness")


def support(settings: SceneSettings) -> trimesh.Trimesh:
    """The horizontal square that the particles lie on, of two triangles, facing up."""
    half, y = settings.stage_half_extent, settings.stage_y
    corners = half * np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]]) + [0, y, 0]
    return trimesh.Trimesh(corners, np.array([[0, 2, 1], [0, 3, 2]]), process=False)


class SceneError(DrganError, ValueError):
    """A scene that cannot be rendered; the message says why and what to do."""


@dataclass(frozen=True)
class BuiltScene:
    """A Mitsuba scene, its parameters, and what tracing needs beside it."""

    scene: mi.Scene
    params: mi.SceneParameters
    lights: Lights
    owners: np.ndarray  # uint32 [n_triangles], 1-based: the particle (instance id) of each

    def shape(self, name: str) -> mi.Shape:
        """The shape of that name."""
        return next(shape for shape in self.scene.shapes() if shape.id() == name)

    def centre_rays(self, size: int) -> mi.Ray3f:
        """The camera's rays through the centres of `size` x `size` pixels, in rows."""
        index = dr.arange(mi.UInt32, size * size)
        centre = mi.Point2f(mi.Float(index % size) + 0.5, mi.Float(index // size) + 0.5) / size
        return self.scene.sensors()[0].sample_ray(0.0, 0.5, centre, mi.Point2f(0.5))[0]

    def owner(self, hit: mi.SurfaceInteraction3f | mi.PreliminaryIntersection3f) -> mi.UInt32:
        """The particle (instance id) that each ray hits, 0 elsewhere."""
        here = hit.is_valid() & (hit.shape == mi.ShapePtr(self.shape("particles")))
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


def _emitters(settings: SceneSettings) -> dict[str, mi.Mesh]:
    """The ring light and the upper light."""
    shapes = {"ring_light": (ring_light, settings.torus_radiance), "top_light": (top_light, settings.top_radiance)}
    meshes = {}
    for name, (triangles, radiance) in shapes.items():
        mesh, emitter = as_mesh(triangles(settings)), {"type": "area", "radiance": uniform(radiance)}
        meshes[name] = mitsuba_mesh(name, mesh.vertices, mesh.faces, emitter=mi.load_dict(emitter))
    return meshes


def build_scene(
    material: Material, meshes: list[trimesh.Trimesh], layout: Layout, *, spp: int, lit: bool = False
) -> BuiltScene:
    """The material's scene holding the particles of `layout`, and if `lit` the lights.

    Raises `SceneError` if the support does not fill the picture, so that the camera would see a light.
    """
    settings = material.scene
    vertices, normals, faces, owners = merge_particles(layout, meshes)
    bsdfs = {name: mi.load_dict(bsdf, optimize=False) for name, bsdf in bsdf_dicts(material).items()}
    stage = support(settings)
    description = {
        "type": "scene",
        "sensor": camera(settings, spp=spp),
        "stage": mitsuba_mesh("stage", stage.vertices, stage.faces, bsdf=bsdfs[STAGE_BSDF]),
        **(_emitters(settings) if lit else {}),
        "particles": mitsuba_mesh("particles", vertices, faces, normals, bsdf=bsdfs[PARTICLE_BSDF]),
    }
    scene = mi.load_dict(description, optimize=False)  # the loader's merging would rename the shapes
    built = BuiltScene(scene, mi.traverse(scene), Lights(material), owners)
    lights, rays = mi.load_dict({"type": "scene", **_emitters(settings)}), built.centre_rays(settings.size_px)
    to_light, to_surface = (mi.Float(one.ray_intersect_preliminary(rays).t) for one in (lights, built.scene))
    dr.eval(to_light)  # OptiX traces in one scene at a time
    if dr.any(to_light < to_surface):
        raise SceneError(
            "expected a support that fills the picture, but the camera sees a light; lower scene.fov_deg or raise "
            "scene.stage_half_extent"
        )
    return built


def replace_particles(built: BuiltScene, meshes: list[trimesh.Trimesh], layout: Layout) -> BuiltScene:
    """`built` with the particles of another layout in place of its own; everything else stays as it is."""
    vertices, normals, faces, owners = merge_particles(layout, meshes)
    built.params["particles.vertex_positions"] = mi.Float(vertices.ravel())
    built.params["particles.vertex_normals"] = mi.Float(normals.ravel())
    built.params["particles.faces"] = mi.UInt32(faces.ravel())
    built.params.update()
    return replace(built, owners=owners)
