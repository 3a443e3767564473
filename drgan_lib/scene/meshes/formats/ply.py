"""PLY, text or binary, of either byte order: polygons and strips of triangles."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from drgan_lib.scene.meshes.convention import MeshError
from drgan_lib.scene.meshes.formats.polygons import Polygons, alternating, decimals

CORNERS = ("vertex_indices", "vertex_index")  # both names are in use
OLD = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
}
NEW = {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
TYPES = OLD | NEW | {"float32": "f4", "float64": "f8"}
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
LEAST = 13  # bytes of a triangle, at least; fewer at the end of a file are padding
CUT = "the file is cut off or damaged, export it again"


@dataclass
class Element:
    """The rows of one kind; a field has a type, and a list also one for its length."""

    name: str
    count: int
    fields: list[tuple[str, str, str | None]] = field(default_factory=list)
    values: dict[str, Sequence] = field(default_factory=dict)


def read_ply(path: Path) -> Polygons:
    """The faces and strips of a file; `MeshError` if it has others, or is cut off."""
    content = path.read_bytes()
    first = re.match(rb"ply[ \t]*(\r\n|\n|\r)", content)
    head, mark, body = content.partition((first[1] if first else b"\n") + b"end_header")
    if not (first and mark):
        raise MeshError("not a readable mesh: expected a head from 'ply' to 'end_header'; export it again")
    order, elements = _described(head.decode("latin-1"))
    if order:
        _read_binary(body.partition(first[1])[2], order, elements)
    else:
        _read_text(body.decode("latin-1"), elements)
    named = {element.name: element for element in elements}
    faces = _lists(named["face"]) if "face" in named else []
    if "tristrips" in named:
        faces += [triangle for strip in _lists(named["tristrips"]) for run in _runs(strip) for triangle in run]
    if not faces and set(named) - {"vertex", "face", "tristrips"}:
        raise MeshError(f"no faces: expected the element face or tristrips, got {', '.join(named)}; export a surface")
    have = named["vertex"].values if "vertex" in named else {}
    if not set("xyz") <= set(have):
        raise MeshError(f"expected vertices with x, y and z, got {', '.join(have) or 'no vertices'}; export it again")
    return Polygons.of_lists(np.column_stack([decimals(have[axis], "vertices") for axis in "xyz"]), faces)


def _described(head: str) -> tuple[str, list[Element]]:
    """Byte order, empty for a text, and the elements that a head announces."""
    order, elements = None, []
    for words in map(str.split, re.split(r"\r\n|\n|\r", head)):
        match words:
            case ["format", name, "1.0"] if name in ORDERS:
                order = ORDERS[name]
            case ["element", name, count] if count.isdecimal():
                elements.append(Element(name, int(count)))
            case ["property", "list", length, kind, name] if elements and {length, kind} <= set(TYPES):
                elements[-1].fields.append((name, TYPES[kind], TYPES[length]))
            case ["property", kind, name] if elements and kind in TYPES:
                elements[-1].fields.append((name, TYPES[kind], None))
            case [("format" | "element" | "property"), *_]:
                raise MeshError(f"not a readable mesh: {' '.join(words)!r} in the head of a PLY file; export it again")
    if order is None:
        raise MeshError("not a readable mesh: the head of a PLY file names no format; export it again")
    return order, elements


def _read_text(body: str, elements: list[Element]) -> None:
    rows = [row for row in map(str.split, body.splitlines()) if row]
    if (announced := sum(element.count for element in elements)) != len(rows):
        raise MeshError(f"its head announces {announced} lines, but {len(rows)} follow; {CUT}")
    for element in elements:
        parts = [_split(row, element) for row in rows[: element.count]]
        element.values = {name: [part[k] for part in parts] for k, (name, _, _) in enumerate(element.fields)}
        del rows[: element.count]


def _split(row: list[str], element: Element) -> list:
    """The word, or list of words, of each field in a line."""
    values: list = []
    at = 0
    try:
        for _, _, length in element.fields:
            size = int(row[at]) if length else 1
            values.append(row[at + 1 : at + 1 + size] if length else row[at])
            at += size + bool(length)
    except (IndexError, ValueError):
        at = -1
    if at != len(row):
        raise MeshError(f"a line of {element.name} is not as its head says: {' '.join(row)[:60]!r}; {CUT}")
    return values


def _read_binary(body: bytes, order: str, elements: list[Element]) -> None:
    at = 0
    for element in elements:
        sizes = _sizes(body, at, order, element)
        rows = np.frombuffer(body, _row(order, element, sizes), count=0)
        if at + element.count * rows.itemsize <= len(body):
            rows = np.frombuffer(body, rows.dtype, element.count, at)
        lengths = [rows[f"length of {name}"] for name, _, length in element.fields if length]
        if len(rows) == element.count and all((have == size).all() for have, size in zip(lengths, sizes, strict=True)):
            element.values = {name: rows[name] for name, _, _ in element.fields}
            at += element.count * rows.itemsize
            continue
        single = []  # lists of several lengths, row by row
        for _ in range(element.count):
            kind = _row(order, element, _sizes(body, at, order, element))
            if at + kind.itemsize > len(body):
                raise MeshError(f"ends after {len(single)} of {element.count} {element.name}; {CUT}")
            single.append(np.frombuffer(body, kind, 1, at)[0])
            at += kind.itemsize
        element.values = {name: [row[name] for row in single] for name, _, _ in element.fields}
    if len(body[at:].strip(b"\0\r\n ")) >= LEAST:
        raise MeshError(f"{len(body) - at} bytes more than its head announces; {CUT}")


def _sizes(body: bytes, at: int, order: str, element: Element) -> list[int]:
    """Lengths of the lists in the row that begins at a byte."""
    sizes: list[int] = []
    for _, kind, length in element.fields:
        if length:
            part = body[at : at + np.dtype(length).itemsize]
            sizes.append(int(np.frombuffer(part, order + length)[0]) if len(part) == np.dtype(length).itemsize else 0)
            at += len(part) + max(sizes[-1], 0) * np.dtype(kind).itemsize
        else:
            at += np.dtype(kind).itemsize
    if min(sizes, default=0) < 0 or max(sizes, default=0) > len(body):
        raise MeshError(f"a list of {element.name} has {max(sizes, key=abs)} entries; {CUT}")
    return sizes


def _row(order: str, element: Element, sizes: list[int]) -> np.dtype:
    """Type of a row with lists of these lengths."""
    left, columns = list(sizes), []
    for name, kind, length in element.fields:
        if length:
            columns += [(f"length of {name}", order + length), (name, order + kind, (left.pop(0),))]
        else:
            columns.append((name, order + kind))
    return np.dtype(columns)


def _lists(element: Element) -> list[np.ndarray]:
    """Vertices of each face or strip."""
    name = next((name for name in CORNERS if name in element.values), None)
    if name is None:
        have = ", ".join(element.values) or "nothing"
        raise MeshError(f"expected {' or '.join(CORNERS)} of {element.name}, got {have}; export it again")
    return [np.asarray(corners, dtype=float).astype(np.int64) for corners in element.values[name]]


def _runs(strip: np.ndarray) -> list[np.ndarray]:
    """int64 [k, 3] each, triangles of the strips that one with ends in it (-1) stands for."""
    return [alternating(run[run >= 0]) for run in np.split(strip, np.flatnonzero(strip < 0))]
