"""Whether a surface cuts through itself."""

from __future__ import annotations

import numpy as np
import trimesh


def self_intersections(mesh: trimesh.Trimesh) -> int:
    """Pairs of triangles without a common vertex of which an edge of one passes through the other."""
    corners = np.asarray(mesh.triangles)
    low, high = corners.min(axis=1), corners.max(axis=1)
    order = np.argsort(low[:, 0])
    pairs = []
    for position, i in enumerate(order):  # sweep along x: only triangles that begin before i ends
        end = np.searchsorted(low[order, 0], high[i, 0], side="right")
        others = order[position + 1 : end]
        near = ((low[others, 1:] <= high[i, 1:]) & (high[others, 1:] >= low[i, 1:])).all(axis=1)
        pairs.append(np.column_stack([np.full(near.sum(), i), others[near]]))
    pairs = np.concatenate(pairs)
    apart = (mesh.faces[pairs[:, 0]][:, :, None] != mesh.faces[pairs[:, 1]][:, None]).all(axis=(1, 2))
    first, second = corners[pairs[apart, 0]], corners[pairs[apart, 1]]
    return int((_pierced(first, second) | _pierced(second, first)).sum())


def _pierced(edges: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """bool [n]: whether an edge of the first triangle [n, 3, 3] passes through the inside of the second."""
    a, b, c = (triangles[:, None, k] for k in range(3))
    start, end = edges, np.roll(edges, -1, axis=1)

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray, s: np.ndarray) -> np.ndarray:
        volume = np.einsum("nij,nij->ni", np.cross(q - p, r - p), s - p)
        return np.sign(np.where(np.abs(volume) < 1e-14, 0, volume))

    crosses = side(a, b, c, start) * side(a, b, c, end) < 0
    turns = [side(start, end, p, q) for p, q in ((a, b), (b, c), (c, a))]
    inside = (turns[0] == turns[1]) & (turns[1] == turns[2]) & (turns[0] != 0)
    return (crosses & inside).any(axis=1)
