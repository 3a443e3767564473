"""Wavefront OBJ: polygons of any number of corners, indices from the beginning or back from where they stand."""

import re
from pathlib import Path

from drgan_lib.scene.meshes.convention import MeshError
from drgan_lib.scene.meshes.formats.polygons import Polygons, decimals

FREE_FORM = {"surf", "curv", "curv2", "cstype", "bzp", "bsp", "cdc", "cdp", "res"}
FACES = {"f", "fo"}  # `fo` is an old name


def read_obj(path: Path) -> Polygons:
    """The faces of all objects of a file; lines and points are left out. `MeshError` names the line it cannot use."""
    words: list[str] = []
    faces: list[list[int]] = []
    text = re.sub(r"\\[ \t]*\n", " ", path.read_text(encoding="utf-8-sig", errors="replace"))
    for line in text.split("\n"):
        keyword, *rest = line.partition("#")[0].split() or [""]
        if keyword == "v":
            if len(rest) < 3:
                raise MeshError(f"expected a vertex as 'v x y z', got {line.strip()!r}; export it again")
            words += rest[:3]
        elif keyword in FACES:
            faces.append([_vertex(corner, len(words) // 3, line) for corner in rest])
        elif keyword in FREE_FORM:
            raise MeshError(f"holds free-form surfaces ({keyword}), which are not read; export it as polygons")
        elif keyword == "call":
            raise MeshError(f"refers to another file ({line.strip()!r}), which is not read; export all in one")
    if not faces and not words:
        raise MeshError("no vertices and no faces in it; expected lines 'v x y z' and 'f i j k'")
    return Polygons.of_lists(decimals(words, "vertices").reshape(-1, 3), faces)


def _vertex(corner: str, so_far: int, line: str) -> int:
    """Vertex of a corner `v/vt/vn`, counted from 0; a negative one counts back from the last vertex before the line."""
    try:
        index = int(corner.partition("/")[0])
    except ValueError:
        index = 0
    if index == 0 or index < -so_far:
        raise MeshError(f"expected vertices from 1 on or back from -1 on, got {corner!r} in {line.strip()!r}")
    return index - 1 if index > 0 else so_far + index
