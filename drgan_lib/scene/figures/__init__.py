"""Figures of chapter 02: the shapes, the layouts, what each learned parameter does, and the images it weighs."""

from drgan_lib.scene.figures.layouts import layout_gallery, layout_statistics, scene_from_outside
from drgan_lib.scene.figures.parameters import micrographs, parameter_effects
from drgan_lib.scene.figures.shapes import mesh_gallery, shape_library
from drgan_lib.scene.figures.transport import basis_images, particles_apart

__all__ = [
    "basis_images",
    "layout_gallery",
    "layout_statistics",
    "mesh_gallery",
    "micrographs",
    "parameter_effects",
    "particles_apart",
    "scene_from_outside",
    "shape_library",
]
