"""Figures of the particle shapes."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import trimesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from pydantic import TypeAdapter

from drgan_lib.config import SHAPES, MeshSettings
from drgan_lib.scene.meshes import generate_meshes

COLOUR = "#c9d3df"


def mesh_gallery(meshes: list[trimesh.Trimesh], n: int = 12) -> Figure:
    """The first n shapes, in one scale."""
    columns = min(6, n)
    rows = -(-min(n, len(meshes)) // columns)
    figure = plt.figure(figsize=(1.7 * columns, 1.7 * rows))
    reach = 0.65 * max(np.abs(mesh.bounds).max() for mesh in meshes[:n])
    for i, mesh in enumerate(meshes[:n]):
        axes = figure.add_subplot(rows, columns, i + 1, projection="3d")
        _draw(axes, mesh, reach)
        axes.set_title(f"shape {i}", fontsize=8)
    figure.tight_layout()
    return figure


def shape_library(n: int = 4) -> Figure:
    """n meshes of every kind of shape, by its default settings, each kind in its own scale."""
    figure = plt.figure(figsize=(1.7 * len(SHAPES), 1.6 * n))
    for column, shape in enumerate(SHAPES):
        settings = TypeAdapter(MeshSettings).validate_python({"shape": shape, "count": n})
        meshes = generate_meshes(settings)
        reach = 0.65 * max(np.abs(mesh.bounds).max() for mesh in meshes)
        for row, mesh in enumerate(meshes):
            axes = figure.add_subplot(n, len(SHAPES), row * len(SHAPES) + column + 1, projection="3d")
            _draw(axes, mesh, reach)
            if row == 0:
                axes.set_title(shape, fontsize=9)
    figure.tight_layout()
    return figure


def _draw(axes, mesh: trimesh.Trimesh, reach: float, *, elevation: float = 30, azimuth: float = -60) -> None:
    """A mesh with y up, shaded by its normals, in a cube of half-width `reach`."""
    up, side = np.radians(elevation), np.radians(azimuth)
    towards_viewer = np.array([np.cos(up) * np.cos(side), np.sin(up), np.cos(up) * np.sin(side)])
    seen = mesh.face_normals @ towards_viewer > 0  # Matplotlib sorts faces by their centres, which is not enough
    brightness = 0.5 + 0.5 * mesh.face_normals[seen] @ np.array([0.65, 0.75, 0.1])
    colours = np.clip(brightness, 0.15, 1)[:, None] * np.array(to_rgb(COLOUR))
    triangles = mesh.triangles[seen][:, :, [0, 2, 1]]
    axes.add_collection3d(Poly3DCollection(triangles, facecolors=colours, edgecolors=colours, linewidths=0.3))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    axes.set_proj_type("ortho")
    axes.view_init(elev=elevation, azim=azimuth)
    axes.set_box_aspect((1, 1, 1))
    axes.set_axis_off()
