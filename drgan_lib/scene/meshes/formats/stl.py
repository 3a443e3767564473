"""STL, text or binary. A text has no zero bytes; the number of triangles in a binary file of any sane size has."""

import re
from pathlib import Path

import numpy as np

from drgan_lib.scene.meshes.convention import MeshError
from drgan_lib.scene.meshes.formats.polygons import Polygons, decimals

HEAD = 84  # bytes of header and number of triangles
RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
LINE = re.compile(r"^[ \t]*(facet|vertex|endfacet)\b(.*)$", re.IGNORECASE | re.MULTILINE)  # not a word in a name


def read_stl(path: Path) -> Polygons:
    """The facets of all solids of a file, three vertices each; `MeshError` if it ends early or holds more."""
    data = path.read_bytes()
    places, sizes = _binary(data) if b"\0" in data[:HEAD] else _text(data.decode("utf-8-sig", errors="replace"))
    return Polygons(places, np.arange(len(places)), sizes)


def _binary(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    count = int.from_bytes(data[HEAD - 4 : HEAD], "little")
    end = HEAD + count * RECORD.itemsize
    if end > len(data):
        whole = max(len(data) - HEAD, 0) // RECORD.itemsize
        raise MeshError(f"announces {count} triangles, but ends after {whole}; the file is cut off, export it again")
    if len(data) - end >= RECORD.itemsize and any(data[end:]):
        raise MeshError(
            f"announces {count} triangles, but {len(data) - end} bytes follow them (a second file?); export it again"
        )
    records = np.frombuffer(data, RECORD, count, offset=HEAD)
    return records["corners"].reshape(-1, 3).astype(float), np.full(count, 3)


def _text(text: str) -> tuple[np.ndarray, np.ndarray]:
    words: list[str] = []
    sizes: list[int] = []
    inside = False
    for match in LINE.finditer(text):
        keyword, rest = match[1].lower(), match[2].split()
        if inside == (keyword == "facet") or (keyword == "vertex" and len(rest) != 3):
            line = text.count("\n", 0, match.start(1)) + 1
            raise MeshError(f"line {line}: expected facets of three vertices, x y z each, got {match[0].strip()!r}")
        inside = keyword != "endfacet"
        if keyword == "facet":
            sizes.append(0)
        elif keyword == "vertex":
            sizes[-1] += 1
            words += rest
    if inside:
        raise MeshError(f"ends within facet {len(sizes)}; the file is cut off, export it again")
    if min(sizes, default=3) < 3:
        raise MeshError(f"facet {int(np.argmin(sizes)) + 1} has {min(sizes)} vertices, expected three; export it again")
    if not sizes and text.strip():
        raise MeshError("no faces: neither a text with facets nor binary; export a surface as STL again")
    return decimals(words, "vertices").reshape(-1, 3), np.array(sizes, dtype=np.int64)
