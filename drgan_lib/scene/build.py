"""The paper's virtual scene as a Mitsuba scene: stage, ring light, upper light, camera, particles.

y is up and the camera looks down. All particles of a layout form one mesh with one BSDF, and the table `owners` tells
which particle a triangle belongs to. The scene is built once; another layout replaces the triangles of that mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from drgan_lib.config import PARTICLE_PARAMETERS, Material, SceneSettings
from drgan_lib.scene.backend import mi
from drgan_lib.scene.layout import Layout
from drgan_lib.scene.lights import BANDS, ring_bands, sampling_weights, square, top_light
from drgan_lib.scene.meshes import shaded
from drgan_lib.scene.spread import film_std_px
from drgan_lib.scene.terms import FIXED_ROUGHNESS

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
class BuiltScene:
    """A Mitsuba scene, its parameters, and the particle (instance id) that owns each triangle."""

    scene: mi.Scene
    params: mi.SceneParameters
    owners: np.ndarray  # uint32 [n_triangles], 1-based


def merge_particles(layout: Layout, meshes: list[trimesh.Trimesh]) -> tuple[np.ndarray, ...]:
    """World-space (vertices [V, 3], normals [V, 3], faces [F, 3], owners [F]) of all particles of a layout."""
    vertices, normals, faces, owners = [], [], [], []
    offset = 0
    for k in range(len(layout)):
        mesh, rotation, transform = shaded(meshes[layout.mesh_index[k]]), layout.rotations[k], layout.transforms[k]
        vertices.append(transform[3] * (mesh.vertices @ rotation.T) + transform[:3])
        normals.append(mesh.vertex_normals @ rotation.T)
        faces.append(mesh.faces + offset)
        owners.append(np.full(len(mesh.faces), k + 1))
        offset += len(mesh.vertices)
    return (
        np.concatenate(vertices).astype(np.float32),
        np.concatenate(normals).astype(np.float32),
        np.concatenate(faces).astype(np.uint32),
        np.concatenate(owners).astype(np.uint32),
    )


def _mitsuba_mesh(name, vertices, faces, normals=None, **properties) -> mi.Mesh:
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
    settings = material.scene
    learned = {name: uniform(0.5) for name in OPTIONAL if name in material.bounds}
    particle = {
        "type": "principled",
        "base_color": uniform(0.5),
        "roughness": uniform(FIXED_ROUGHNESS),
        "specular": settings.particle_specular,
        **learned,
    }
    stage = {
        "type": "principled",
        "base_color": uniform(0.5),
        "roughness": uniform(settings.stage_roughness),
        "specular": settings.stage_specular,
    }
    return {PARTICLE_BSDF: particle, STAGE_BSDF: stage}


def camera(settings: SceneSettings, *, spp: int) -> dict:
    """Perspective camera above the stage's centre, looking down; image rows run along +z."""
    return {
        "type": "perspective",
        "fov": settings.fov_deg,
        "to_world": mi.ScalarTransform4f().look_at(
            origin=[0, settings.camera_y, 0], target=[0, settings.stage_y, 0], up=[0, 0, -1]
        ),
        "film": {
            "type": "hdrfilm",
            "width": settings.size_px,
            "height": settings.size_px,
            "pixel_format": "luminance",
            "component_format": "float32",
            "rfilter": {"type": "gaussian", "stddev": film_std_px(settings)},
        },
        "sampler": {"type": "multijitter", "sample_count": spp},
    }


def _emitters(material: Material) -> dict[str, mi.Mesh]:
    """The bands of the ring light and the upper light; a learned radiance is sampled as if at its upper bound."""
    settings = material.scene
    lights = [*ring_bands(settings), top_light(settings)]
    names = ["torus_radiance"] * BANDS + ["top_radiance"]
    highest = [material.bounds.get(name, (0, getattr(settings, name)))[1] for name in names]
    weights = sampling_weights(lights, highest)
    meshes = {}
    for light, name, weight in zip(lights, names, weights, strict=True):
        emitter = {"type": "area", "radiance": uniform(getattr(settings, name)), "sampling_weight": weight}
        vertices, faces = light.mesh.vertices, light.mesh.faces
        meshes[light.name] = _mitsuba_mesh(light.name, vertices, faces, emitter=mi.load_dict(emitter))
    return meshes


def build_scene(material: Material, meshes: list[trimesh.Trimesh], layout: Layout, *, spp: int) -> BuiltScene:
    """The material's scene holding the particles of `layout`."""
    settings = material.scene
    vertices, normals, faces, owners = merge_particles(layout, meshes)
    bsdfs = {name: mi.load_dict(bsdf, optimize=False) for name, bsdf in bsdf_dicts(material).items()}
    stage = square(settings.stage_half_extent, settings.stage_y, facing_up=True)
    description = {
        "type": "scene",
        # Light is sampled only at the emitters: the samples do not depend on the BSDF, so the derivative of the
        # estimate is the estimate of the derivative, for roughness too (`direct` with BSDF samples is biased there).
        "integrator": {"type": "direct", "emitter_samples": 1, "bsdf_samples": 0},
        "sensor": camera(settings, spp=spp),
        "stage": _mitsuba_mesh("stage", stage.vertices, stage.faces, bsdf=bsdfs[STAGE_BSDF]),
        **_emitters(material),
        "particles": _mitsuba_mesh("particles", vertices, faces, normals, bsdf=bsdfs[PARTICLE_BSDF]),
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
    return BuiltScene(built.scene, built.params, owners)
