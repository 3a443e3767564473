"""The faces of a mesh file as they stand in it, and what they measure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drgan_lib.scene.meshes.convention import MeshError

BENT = 0.01  # lengths of its outline, by which corners may lie off the plane of a face that counts as flat


@dataclass(frozen=True)
class Polygons:
    """Faces with any number of corners; `MeshError` if a corner is no vertex of the mesh."""

    vertices: np.ndarray  # float64 [n, 3], in the unit of the file
    corners: np.ndarray  # int64 [m], vertex of each corner, face by face, counter-clockwise seen from outside
    sizes: np.ndarray  # int64 [k], corners of each face

    def __post_init__(self) -> None:
        wrong = (self.corners < 0) | (self.corners >= len(self.vertices))
        if wrong.any():
            corner = int(np.argmax(wrong))
            face = int(np.searchsorted(np.cumsum(self.sizes), corner, side="right"))
            raise MeshError(
                f"face {face + 1} has the vertex {self.corners[corner] + 1}, but there are {len(self.vertices)}; the "
                "file is damaged, export it again"
            )

    @classmethod
    def of_lists(cls, vertices: np.ndarray, faces: Sequence[Sequence[int]]) -> "Polygons":
        """Faces that are given as a list of vertices each."""
        sizes = np.fromiter(map(len, faces), dtype=np.int64, count=len(faces))
        corners = np.concatenate([np.asarray(face, dtype=np.int64) for face in faces]) if len(faces) else sizes
        return cls(np.asarray(vertices, dtype=float), corners, sizes)

    @classmethod
    def of_triangles(cls, vertices: np.ndarray, triangles: np.ndarray) -> "Polygons":
        """Faces that are int [k, 3]."""
        return cls(
            np.asarray(vertices, dtype=float),
            np.asarray(triangles, dtype=np.int64).ravel(),
            np.full(len(triangles), 3, dtype=np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence["Polygons"]) -> "Polygons":
        """All faces of at least one part."""
        shifts = np.cumsum([0, *(len(part.vertices) for part in parts)])
        return cls(
            np.concatenate([part.vertices for part in parts]),
            np.concatenate([part.corners + shift for part, shift in zip(parts, shifts, strict=False)]),
            np.concatenate([part.sizes for part in parts]),
        )

    @property
    def starts(self) -> np.ndarray:
        """int64 [k], where the corners of each face begin."""
        return np.cumsum(self.sizes) - self.sizes

    def following(self) -> np.ndarray:
        """int64 [m], the place in `corners` of the next corner around the same face."""
        after = np.arange(1, len(self.corners) + 1)
        filled = self.sizes > 0
        after[(self.starts + self.sizes - 1)[filled]] = self.starts[filled]
        return after

    def per_face(self, values: np.ndarray) -> np.ndarray:
        """[k, ...], values [m, ...] of the corners, added up for each face."""
        total = np.zeros((len(self.sizes), *values.shape[1:]))
        np.add.at(total, np.repeat(np.arange(len(self.sizes)), self.sizes), values)
        return total

    def middles(self) -> np.ndarray:
        """float64 [k, 3], mean of the corners of each face."""
        return self.per_face(self.vertices[self.corners]) / np.maximum(self.sizes, 1)[:, None]

    def area_vectors(self) -> np.ndarray:
        """float64 [k, 3], area along the normal of each face: its components are the areas seen along the axes."""
        places = self.vertices[self.corners] - np.repeat(self.middles(), self.sizes, axis=0)
        return self.per_face(np.cross(places, places[self.following()])) / 2

    def bent(self) -> np.ndarray:
        """bool [k], whether corners lie off the plane of their face by more than `BENT` lengths of its outline."""
        vectors = self.area_vectors()
        normals = vectors / np.maximum(np.linalg.norm(vectors, axis=1), np.finfo(float).tiny)[:, None]
        places = self.vertices[self.corners]
        off = ((places - np.repeat(self.middles(), self.sizes, axis=0)) * np.repeat(normals, self.sizes, axis=0)).sum(
            axis=1
        )
        length = self.per_face(np.linalg.norm(places[self.following()] - places, axis=1))
        return self.per_face((np.abs(off) > BENT * np.repeat(length, self.sizes)).astype(float)) > 0


def alternating(strip: np.ndarray) -> np.ndarray:
    """int64 [k, 3], triangles of a strip, every second one turned; those that only stitch strips together left out."""
    triangles = np.lib.stride_tricks.sliding_window_view(strip, 3).copy() if len(strip) > 2 else np.empty((0, 3), int)
    triangles[1::2] = triangles[1::2, [1, 0, 2]]
    a, b, c = triangles.T
    return triangles[(a != b) & (b != c) & (c != a)].astype(np.int64)


def decimals(words: Sequence[str], what: str) -> np.ndarray:
    """float64, numbers with a decimal point; `MeshError` says which word of `what` is none."""
    try:
        return np.array(words, dtype=float)
    except ValueError:
        pass
    for word in words:
        try:
            float(word)
        except ValueError:
            comma = ": numbers have decimal commas; export it with decimal points" if re.search(r"\d,\d", word) else ""
            raise MeshError(f"expected numbers as {what}, got {word!r}{comma}") from None
    raise AssertionError(words)
