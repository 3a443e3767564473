"""Arrays of a glTF file: its buffers, wherever they are, and what its accessors make of them."""

import base64
import json
import struct
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from drgan_lib.scene.meshes.convention import MeshError

KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def open_gltf(path: Path) -> tuple[dict, bytes]:
    """The description in a file, and the bytes after it in a binary one."""
    data = path.read_bytes()
    if not data.startswith(b"glTF"):
        return json.loads(data.decode("utf-8-sig")), b""
    _, version, length = struct.unpack_from("<4sII", data)
    if version != 2:
        raise MeshError(f"glTF {version} is not read, expected 2; export it again")
    if length > len(data):
        raise MeshError(f"announces {length} bytes, but has {len(data)}; the file is cut off, export it again")
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, at)
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    return json.loads(chunks[b"JSON"]), chunks.get(b"BIN\0", b"")


class Accessors:
    """Reads accessors of a glTF file by number; `MeshError` names a buffer that is absent or too short."""

    def __init__(self, tree: dict, chunk: bytes, folder: Path) -> None:
        self._tree, self._chunk, self._folder = tree, chunk, folder
        self._buffers: dict[int, bytes] = {}

    def read(self, index: int) -> np.ndarray:
        """float64 [count, width]: whole numbers that stand for fractions are made such, sparse values put in."""
        accessor = self._tree["accessors"][index]
        count, width, kind = accessor["count"], WIDTHS[accessor["type"]], KINDS[accessor["componentType"]]
        values = np.zeros((count, width))
        if "bufferView" in accessor:
            values[:] = self._view(accessor, count, width, kind)
        if sparse := accessor.get("sparse"):
            places = self._view(sparse["indices"], sparse["count"], 1, KINDS[sparse["indices"]["componentType"]])
            values[places.ravel()] = self._view(sparse["values"], sparse["count"], width, kind)
        if accessor.get("normalized") and (dtype := np.dtype(kind)).kind in "iu":
            values = np.maximum(values / np.iinfo(dtype).max, -1)
        return values

    def _view(self, place: dict, count: int, width: int, kind: str) -> np.ndarray:
        """[count, width] of a type, from the buffer view that an accessor or a part of it names."""
        view = self._tree["bufferViews"][place["bufferView"]]
        data, row = self._buffer(view["buffer"]), width * np.dtype(kind).itemsize
        stride, within = view.get("byteStride", row), place.get("byteOffset", 0)
        start = view.get("byteOffset", 0) + within
        if count and within + stride * (count - 1) + row > view["byteLength"]:
            raise MeshError(f"{count} values do not fit into {view['byteLength']} bytes; the file is damaged")
        return np.ndarray((count, width), kind, data, start, (stride, np.dtype(kind).itemsize))

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            buffer = self._tree["buffers"][index]
            data = self._fetch(buffer["uri"]) if "uri" in buffer else self._chunk
            if len(data) < buffer["byteLength"]:
                raise MeshError(
                    f"buffer {index} should have {buffer['byteLength']} bytes, got {len(data)}; the file is cut off, "
                    "export it again"
                )
            self._buffers[index] = data[: buffer["byteLength"]]
        return self._buffers[index]

    def _fetch(self, uri: str) -> bytes:
        """Bytes that stand in the address itself, or in a file beside the glTF, whose name may be escaped."""
        if uri.startswith("data:"):
            head, _, body = uri.partition(",")
            return base64.b64decode(unquote(body)) if head.endswith(";base64") else unquote(body).encode("latin-1")
        if len(urlsplit(uri).scheme) > 1:  # one letter is a drive
            raise MeshError(
                f"its buffer is given as an address ({uri}), expected a file beside it; export it as one file, .glb"
            )
        names = (unquote(uri), uri)
        path = next((self._folder / name for name in names if (self._folder / name).is_file()), None)
        if path is None:
            raise MeshError(f"its buffer {names[0]} is not beside it; put it there, or export it as one file, .glb")
        return path.read_bytes()
