"""glTF 2.0, text or binary: the triangles of the scene that the file shows, at rest, each node in its place."""

from pathlib import Path

import numpy as np
import trimesh

from drgan_lib.scene.meshes.convention import MeshError
from drgan_lib.scene.meshes.formats.accessors import Accessors, open_gltf
from drgan_lib.scene.meshes.formats.polygons import Polygons, alternating

HARMLESS = ("material", "texture", "light", "KHR_mesh_quantization")  # in names of extensions that leave shapes alone
TRIANGLES, STRIP, FAN = 4, 5, 6  # modes of a primitive; the others are points and lines


def read_gltf(path: Path) -> Polygons:
    """The triangles of the default scene. `MeshError` if its shapes depend on what is not read, or a part is absent."""
    tree, chunk = open_gltf(path)
    _require_readable(tree)
    accessors = Accessors(tree, chunk, path.parent)
    parts = [
        part
        for node, transform in _placed(tree)
        for part in _primitives(tree["meshes"][node["mesh"]], node, transform, accessors)
    ]
    if not parts:
        raise MeshError("no faces: the scene of the file shows no mesh of triangles; export one with faces")
    return Polygons.joined(parts)


def _require_readable(tree: dict) -> None:
    """`MeshError` names the version or extension without which the shapes would be others."""
    version = tree.get("asset", {}).get("version", "1.0")
    if not version.startswith("2."):
        raise MeshError(f"glTF {version} is not read, expected 2.0; export it again")
    needed = [name for name in tree.get("extensionsRequired", []) if not any(word in name for word in HARMLESS)]
    instanced = [name for node in tree.get("nodes", []) for name in node.get("extensions", {}) if "instancing" in name]
    if needed or instanced:
        raise MeshError(
            f"the extension {(needed + instanced)[0]} is not read; export it again without (compression off)"
        )


def _placed(tree: dict) -> list[tuple[dict, np.ndarray]]:
    """The nodes with a mesh in the scene of the file, each with its float64 [4, 4] transform."""
    nodes = tree.get("nodes", [])
    if tree.get("scenes"):
        roots = tree["scenes"][tree.get("scene", 0)].get("nodes", [])
    else:
        roots = set(range(len(nodes))) - {child for node in nodes for child in node.get("children", [])}
    found, seen = [], set()
    waiting = [(index, np.eye(4)) for index in sorted(roots, reverse=True)]
    while waiting:
        index, above = waiting.pop()
        if index in seen:
            raise MeshError(f"node {index} has two places in the scene, expected one; export it again")
        seen.add(index)
        transform = above @ _transform(nodes[index])
        waiting += [(child, transform) for child in reversed(nodes[index].get("children", []))]
        if "mesh" in nodes[index]:
            found.append((nodes[index], transform))
    return found


def _transform(node: dict) -> np.ndarray:
    """float64 [4, 4], place of a node relative to the one above."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=float).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    transform = trimesh.transformations.quaternion_matrix((w, x, y, z))
    transform[:3, :3] *= node.get("scale", (1, 1, 1))
    transform[:3, 3] = node.get("translation", (0, 0, 0))
    return transform


def _primitives(mesh: dict, node: dict, transform: np.ndarray, accessors: Accessors) -> list[Polygons]:
    """The parts of a mesh that are made of triangles, in the place of its node."""
    if "skin" in node:
        raise MeshError(
            "a skeleton (skin) moves its vertices, which is not read; apply it (Blender: modifier Armature)"
        )
    weights = node.get("weights", mesh.get("weights", []))
    parts = []
    for primitive in mesh["primitives"]:
        if (mode := primitive.get("mode", TRIANGLES)) < TRIANGLES or "POSITION" not in primitive["attributes"]:
            continue
        vertices = accessors.read(primitive["attributes"]["POSITION"])
        for weight, target in zip(weights, primitive.get("targets", []), strict=False):
            if weight and "POSITION" in target:
                vertices = vertices + weight * accessors.read(target["POSITION"])
        if "indices" in primitive:
            corners = accessors.read(primitive["indices"]).astype(np.int64).ravel()
        else:
            corners = np.arange(len(vertices))
        triangles = _triangles(corners, mode)
        if np.linalg.det(transform[:3, :3]) < 0:  # mirrored, so the other way round
            triangles = triangles[:, ::-1]
        parts.append(Polygons.of_triangles(vertices @ transform[:3, :3].T + transform[:3, 3], triangles))
    return parts


def _triangles(corners: np.ndarray, mode: int) -> np.ndarray:
    """int64 [k, 3], triangles of a primitive."""
    if mode == STRIP:
        return alternating(corners)
    if mode == FAN:
        return np.column_stack([np.full(max(len(corners) - 2, 0), corners[0]), corners[1:-1], corners[2:]])
    if len(corners) % 3:
        raise MeshError(
            f"a primitive of triangles has {len(corners)} corners, expected a multiple of 3; export it again"
        )
    return corners.reshape(-1, 3)
