"""The user's mesh files: read, repaired, reported, and written as PLY."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh

from drgan_lib.config import CubeSettings
from drgan_lib.files import atomic_path
from drgan_lib.scene.meshes.convention import MeshError
from drgan_lib.scene.meshes.formats import open_gltf, read_gltf, read_obj, read_ply, read_stl, triangulate
from drgan_lib.scene.meshes.measures import SAME, differences
from drgan_lib.scene.meshes.mend import repair

READERS = {".ply": read_ply, ".obj": read_obj, ".stl": read_stl, ".glb": read_gltf, ".gltf": read_gltf}
MESH_FILES = tuple(READERS)
MAX_BYTES = 100 * 2**20
MAX_FACES = 1_000_000
BUDGET = CubeSettings().max_triangles
TOO_LARGE = "simplify it (Blender: the modifier Decimate) or save it as binary; a particle is a few hundred triangles"
logger = logging.getLogger(__name__)


def read_mesh(path: Path, *, max_triangles: int = BUDGET) -> tuple[trimesh.Trimesh, list[str]]:
    """A mesh file as a particle, and what had to be repaired or decided.

    `MeshError` names the file if it cannot be used.
    """
    try:
        mesh, read = _load(path)
        mesh, repaired = repair(mesh, max_triangles=max_triangles)
    except MeshError as error:
        raise MeshError(f"{path}: {error}") from None
    return mesh, read + repaired


def read_meshes(folder: Path, *, max_triangles: int = BUDGET) -> list[trimesh.Trimesh]:
    """All mesh files of a folder in name order, repaired; findings go to the log, as warnings.

    `MeshError` names the first file that cannot be used, or two that hold the same shape.
    """
    paths = mesh_files(folder)
    if not paths:
        raise MeshError(f"{folder} holds no mesh files ({', '.join(MESH_FILES)}); correct meshes.path")
    return _read_all(paths, max_triangles, logger.warning, quiet=True)


def mesh_files(folder: Path) -> list[Path]:
    """All mesh files of a folder in name order; none if it does not exist."""
    return sorted(path for path in folder.expanduser().glob("*") if path.suffix.lower() in MESH_FILES)


def import_meshes(paths: list[Path], folder: Path, *, log: Callable = print) -> list[Path]:
    """Repairs mesh files, logs a line for each, and writes them to `folder` as binary PLY under their own names.

    Nothing is written if a file cannot be used, if two hold the same shape, or if a file would be overwritten.
    """
    targets: dict[Path, Path] = {}
    for path in paths:
        target = folder / f"{path.stem}.ply"
        if target in targets:
            raise MeshError(f"{targets[target]} and {path} would both become {target}; rename one")
        if target.exists():
            raise MeshError(f"{target} exists; remove it, or choose another folder")
        targets[target] = path
    meshes = _read_all(paths, BUDGET, log, quiet=False)
    for mesh, target in zip(meshes, targets, strict=True):
        write_mesh(mesh, target)
    return list(targets)


def write_mesh(mesh: trimesh.Trimesh, path: Path) -> None:
    """Stores a mesh as binary PLY."""
    with atomic_path(path) as temporary:
        mesh.export(temporary, file_type="ply")


def _read_all(paths: list[Path], max_triangles: int, log: Callable, *, quiet: bool) -> list[trimesh.Trimesh]:
    meshes = []
    for path in paths:
        mesh, findings = read_mesh(path, max_triangles=max_triangles)
        meshes.append(mesh)
        if findings or not quiet:
            log(f"{path.name}: {len(mesh.faces)} triangles; {'; '.join(findings) or 'nothing to repair'}")
    alike = np.argwhere(np.triu(differences(meshes) < SAME, k=1))
    if len(alike):
        first, second = (paths[k].name for k in alike[0])
        raise MeshError(f"{first} and {second} hold the same shape (but for place, turn and size); remove one of them")
    return meshes


def _load(path: Path) -> tuple[trimesh.Trimesh, list[str]]:
    """The triangles of all bodies of a file as they stand in it, and what there is to say of them."""
    if not path.is_file():
        raise MeshError("there is no such file; correct the path")
    if path.suffix.lower() not in MESH_FILES:
        raise MeshError(f"expected a file of {', '.join(MESH_FILES)}; export the mesh as one of these")
    try:
        _require_small(*_announced(path))
        polygons = READERS[path.suffix.lower()](path)
    except MeshError:
        raise
    except Exception as error:  # damaged in a way that a reader did not expect
        raise MeshError(f"not a readable mesh ({error!r}); expected PLY, OBJ, STL or glTF") from error
    _require_small(0, len(polygons.sizes))
    return triangulate(polygons)


def _require_small(n_bytes: int, n_faces: int) -> None:
    if n_bytes > MAX_BYTES:
        raise MeshError(f"{n_bytes / 2**20:.0f} MiB, at most {MAX_BYTES / 2**20:.0f} are read; {TOO_LARGE}")
    if n_faces > MAX_FACES:
        raise MeshError(f"{n_faces} faces, at most {MAX_FACES} are read; {TOO_LARGE}")


def _announced(path: Path) -> tuple[int, int]:
    """Bytes of a file (of a glTF: with the buffers it names), and its faces as far as its head gives them, else 0."""
    n_bytes, kind = path.stat().st_size, path.suffix.lower()
    if kind == ".gltf" and n_bytes <= MAX_BYTES:
        return n_bytes + sum(part.get("byteLength", 0) for part in open_gltf(path)[0].get("buffers", [])), 0
    with path.open("rb") as file:
        head = file.read(4096)
    if kind == ".ply" and (match := re.search(rb"element face (\d+)", head)):
        return n_bytes, int(match[1])
    if kind == ".stl" and not head.startswith(b"solid"):
        return n_bytes, (n_bytes - 84) // 50
    return n_bytes, 0
