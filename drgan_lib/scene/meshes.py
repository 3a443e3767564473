"""Particle shapes: cubes deformed by their corners and smoothed, as the paper modelled TiO2 by hand in Blender.

Convention: a mesh is centred at its centroid, has unit equivalent diameter (its volume is that of a sphere of diameter
1), is watertight, and its normals point outwards. A layout's scale is then the particle's equivalent diameter in scene
units.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from drgan_lib.config import ROOT, CubeSettings, Material
from drgan_lib.files import atomic_path

MESH_FILES = (".ply", ".obj", ".stl", ".glb", ".gltf")


class MeshError(ValueError):
    """A mesh that cannot be a particle; the message says why and what to do."""


def deformed_cube(settings: CubeSettings, *, seed: int) -> trimesh.Trimesh:
    """One smoothed cube whose corners were moved at random, in the module's convention.

    The cube's surface is subdivided as far as `settings.max_triangles` allows, its eight corners are displaced by up to
    `deformation` half-edges (the surface follows by trilinear interpolation), its axes are stretched, and it is blended
    with the sphere by `roundness` and smoothed.
    """
    rng = np.random.default_rng(seed)
    cube = trimesh.creation.box(extents=(2.0, 2.0, 2.0))
    while 4 * len(cube.faces) <= settings.max_triangles:
        cube = cube.subdivide()
    points = np.asarray(cube.vertices)
    directions = points / np.linalg.norm(points, axis=1, keepdims=True)
    rounded = (1 - settings.roundness) * points + settings.roundness * 1.3 * directions

    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    displacement = settings.deformation * rng.uniform(-1, 1, size=(8, 3))
    weights = np.prod(1 + points[:, None, :] * corners[None], axis=2) / 8  # trilinear, rows sum to 1
    stretch = np.exp(settings.deformation * rng.normal(size=3))
    moved = (rounded + weights @ displacement) * stretch

    mesh = trimesh.Trimesh(moved, cube.faces, process=False)
    trimesh.smoothing.filter_laplacian(mesh, lamb=0.5, iterations=3)
    return normalise(mesh)


def normalise(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """`mesh` in the module's convention; `MeshError` if it has no faces, is open, or has no volume."""
    if len(mesh.faces) == 0:
        raise MeshError("the mesh has no faces; export it as a surface, not as a point cloud")
    if not mesh.is_watertight:
        raise MeshError("the mesh is open (an edge has only one face); close its holes before using it as a particle")
    trimesh.repair.fix_normals(mesh)
    if not mesh.volume > 1e-12:
        raise MeshError(f"the mesh encloses no volume ({mesh.volume:.3g}); a particle needs one")
    mesh.apply_translation(-mesh.center_mass)
    mesh.apply_scale((6 * mesh.volume / np.pi) ** (-1 / 3))
    return mesh


def make_meshes(material: Material) -> list[trimesh.Trimesh]:
    """The material's shapes, the same for the same settings: generated, or read from the folder `meshes.path`."""
    settings = material.meshes
    if settings.path is not None:
        return read_meshes(settings.path)
    seeds = np.random.SeedSequence(settings.seed).generate_state(settings.count)
    return [deformed_cube(settings, seed=int(seed)) for seed in seeds]


def mesh_folder(material: Material) -> Path:
    """Where `drgan meshes` writes the material's shapes."""
    return ROOT / "meshes" / material.name


def write_meshes(material: Material, folder: Path | None = None) -> list[Path]:
    """Writes the material's shapes as binary PLY files and returns their paths."""
    folder = folder or mesh_folder(material)
    paths = []
    for number, mesh in enumerate(make_meshes(material)):
        paths.append(folder / f"{material.meshes.shape}_{number:03d}.ply")
        with atomic_path(paths[-1]) as temporary:
            mesh.export(temporary, file_type="ply")
    return paths


def read_mesh(path: Path) -> trimesh.Trimesh:
    """A mesh file in the module's convention; `MeshError` names the file if it cannot be used."""
    if not path.is_file():
        raise MeshError(f"{path} does not exist; write the material's meshes with `drgan meshes`")
    try:
        mesh = trimesh.load(path, force="mesh", process=True)
        return normalise(mesh)
    except MeshError as error:
        raise MeshError(f"{path}: {error}") from None
    except Exception as error:
        raise MeshError(f"{path} is not a readable mesh ({error}); expected PLY, OBJ, STL or glTF") from error


def read_meshes(folder: Path) -> list[trimesh.Trimesh]:
    """All mesh files of a folder in name order; `MeshError` names the first that cannot be used."""
    paths = sorted(path for path in folder.expanduser().glob("*") if path.suffix.lower() in MESH_FILES)
    if not paths:
        raise MeshError(f"{folder} holds no mesh files ({', '.join(MESH_FILES)}); correct meshes.path")
    return [read_mesh(path) for path in paths]
