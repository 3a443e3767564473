"""The paper's virtual scene as a Mitsuba scene: stage, ring light, upper light, camera, particles.

y is up and the camera looks down. The ring light is a torus around the stage, stretched in height; only its inner half
(the faces nearer to the axis than its tube's centre) can light the stage, so only that half is built: the same light
for half the samples. All particles of a layout form one mesh with one BSDF, and the table `owners` tells which
particle a triangle belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from drgan_lib.config import PARTICLE_PARAMETERS, Material, SceneSettings
from drgan_lib.scene.backend import mi
from drgan_lib.scene.layout import Layout

PARTICLE_BSDF = "particles.bsdf"
STAGE_BSDF = "stage.bsdf"
# Where each learned parameter lives in `mi.traverse(scene)`; noise_sigma belongs to the detector, not to the scene.
SCENE_KEYS = {
    **{name: f"{PARTICLE_BSDF}.{name}.value" for name in PARTICLE_PARAMETERS},
    "stage_base_color": f"{STAGE_BSDF}.base_color.value",
}


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
        mesh, rotation, transform = meshes[layout.mesh_index[k]], layout.rotations[k], layout.transforms[k]
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


def ring_light_mesh(settings: SceneSettings) -> trimesh.Trimesh:
    """Inner half of the stretched torus, axis along y, normals towards the stage."""
    torus = trimesh.creation.torus(settings.torus_radius, settings.torus_tube, 64, 16)
    vertices = torus.vertices[:, [0, 2, 1]] * [1, settings.torus_stretch, 1] + [0, settings.torus_y, 0]
    centres = vertices[torus.faces].mean(axis=1)
    inner = np.hypot(centres[:, 0], centres[:, 2]) < settings.torus_radius
    # Swapping y and z mirrors the mesh, so the winding is turned to keep the normals outside the tube.
    ring = trimesh.Trimesh(vertices, torus.faces[inner][:, ::-1], process=False)
    ring.remove_unreferenced_vertices()
    return ring


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


def _uniform(value: float) -> dict:
    return {"type": "uniform", "value": float(value)}


def _area_light(radiance: float, area: float) -> dict:
    return {
        "type": "area",
        "radiance": _uniform(radiance),
        "sampling_weight": max(1e-6, radiance * float(area)),
    }


def bsdf_dicts(material: Material) -> dict[str, dict]:
    """The two principled BSDFs: the material's constants, 0.5 for now where a value is learned, else Mitsuba's 0."""
    settings = material.scene
    learned = {name: _uniform(0.5) for name in ("sheen", "sheen_tint", "spec_tint") if name in material.bounds}
    particle = {
        "type": "principled",
        "base_color": _uniform(0.5),
        "roughness": _uniform(0.5),
        "specular": settings.particle_specular,
        **learned,
    }
    stage = {
        "type": "principled",
        "base_color": _uniform(0.5),
        "roughness": _uniform(settings.stage_roughness),
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
            "rfilter": {"type": "gaussian", "stddev": settings.filter_std_px},
        },
        "sampler": {"type": "stratified", "sample_count": spp},
    }


def build_scene(material: Material, meshes: list[trimesh.Trimesh], layout: Layout, *, spp: int) -> BuiltScene:
    """The material's scene holding the particles of `layout`."""
    settings = material.scene
    vertices, normals, faces, owners = merge_particles(layout, meshes)
    bsdfs = {name: mi.load_dict(bsdf, optimize=False) for name, bsdf in bsdf_dicts(material).items()}
    ring = ring_light_mesh(settings)
    # Lights are sampled in proportion to their power.
    ring_light = mi.load_dict(_area_light(settings.torus_radiance, ring.area))
    top_light = _area_light(settings.top_radiance, (2 * settings.top_half_extent) ** 2)
    T = mi.ScalarTransform4f
    description = {
        "type": "scene",
        # Light is sampled only at the emitters: the samples do not depend on the BSDF, so the derivative of the
        # estimate is the estimate of the derivative, for roughness too (`direct` with BSDF samples is biased there).
        "integrator": {"type": "direct", "emitter_samples": 1, "bsdf_samples": 0},
        "sensor": camera(settings, spp=spp),
        "stage": {
            "type": "rectangle",
            "to_world": T()
            .translate([0, settings.stage_y, 0])
            .rotate([1, 0, 0], -90)
            .scale(settings.stage_half_extent),
            "bsdf": bsdfs[STAGE_BSDF],
        },
        "ring_light": _mitsuba_mesh("ring_light", ring.vertices, ring.faces, emitter=ring_light),
        "top_light": {
            "type": "rectangle",
            "to_world": T().translate([0, settings.top_y, 0]).rotate([1, 0, 0], 90).scale(settings.top_half_extent),
            "emitter": top_light,
        },
        "particles": _mitsuba_mesh("particles", vertices, faces, normals, bsdf=bsdfs[PARTICLE_BSDF]),
    }
    scene = mi.load_dict(description, optimize=False)  # the loader's merging would rename the shapes
    return BuiltScene(scene, mi.traverse(scene), owners)
