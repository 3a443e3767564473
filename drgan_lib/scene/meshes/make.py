"""All shapes of a material: generated from its settings, or read from its folder."""

from pathlib import Path

import numpy as np
import trimesh

from drgan_lib.config import ELONGATED, Material, ShapeSettings
from drgan_lib.scene.meshes.compact import deformed_cube, ellipsoid, grain, uneven_sphere
from drgan_lib.scene.meshes.convention import MeshError
from drgan_lib.scene.meshes.elongated import rod, wire
from drgan_lib.scene.meshes.files import mesh_files, read_meshes, write_mesh
from drgan_lib.scene.meshes.measures import as_elongated
from drgan_lib.scene.meshes.polyhedra import platelet, truncated_octahedron

GENERATORS = {
    "cube": deformed_cube,
    "sphere": uneven_sphere,
    "ellipsoid": ellipsoid,
    "rod": rod,
    "wire": wire,
    "octahedron": truncated_octahedron,
    "platelet": platelet,
    "grain": grain,
}


def make_meshes(material: Material) -> list[trimesh.Trimesh]:
    """The material's shapes, the same for the same settings: generated, or read from the folder `meshes.path`.

    Those read are of the unit size of the kind `meshes.shape`, whatever they look like.
    """
    settings = material.meshes
    if settings.path is None:
        return generate_meshes(settings)
    meshes = read_meshes(settings.path, max_triangles=settings.max_triangles)
    return [as_elongated(mesh) for mesh in meshes] if settings.shape in ELONGATED else meshes


def generate_meshes(settings: ShapeSettings) -> list[trimesh.Trimesh]:
    """`settings.count` different meshes of the kind `settings.shape`."""
    seeds = np.random.SeedSequence(settings.seed).generate_state(settings.count)
    return [GENERATORS[settings.shape](settings, seed=int(seed)) for seed in seeds]


def write_meshes(material: Material, folder: Path | None = None) -> list[Path]:
    """Writes the material's shapes as binary PLY files, by default to meshes/<material>, and returns their paths.

    `MeshError` if mesh files are there already: some would be overwritten, the others be taken for these shapes.
    """
    folder = folder or Path("meshes") / material.name
    if there := mesh_files(folder):
        raise MeshError(f"{folder} holds {len(there)} mesh files already; remove them, or choose another folder")
    name = material.meshes.shape if material.meshes.path is None else "file"
    meshes = make_meshes(material)
    paths = [folder / f"{name}_{number:03d}.ply" for number in range(len(meshes))]
    for mesh, path in zip(meshes, paths, strict=True):
        write_mesh(mesh, path)
    return paths
