"""Figures of the layouts: as rendered, in numbers, and in the scene seen from outside."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from skimage.color import label2rgb

from drgan_lib.config import Material
from drgan_lib.scene.layout import Layout, size_cdf
from drgan_lib.scene.lights import ring_light_mesh
from drgan_lib.scene.liveness import at_position
from drgan_lib.scene.panel import START
from drgan_lib.scene.render import Renderer


def layout_gallery(renderer: Renderer, layouts: list[Layout], n: int = 4) -> Figure:
    """Rendered layouts above their instance ids, at the middle of the lower half of the bounds."""
    figure, axes = plt.subplots(2, n, figsize=(2.6 * n, 5.4), squeeze=False)
    parameters = at_position(renderer.material, START)
    for column, layout in zip(axes.T, layouts[:n], strict=False):
        image = renderer.image(parameters, layout, seed=0).clamp(0, 1).cpu().numpy()
        ids = renderer.instance_ids(layout)
        column[0].imshow(image, cmap="gray", vmin=0, vmax=1)
        column[0].set_title(f"{len(layout)} placed, {len(np.unique(ids)) - 1} visible", fontsize=9)
        column[1].imshow(label2rgb(ids, bg_label=0))
    for axis in axes.flat:
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def layout_statistics(layouts: list[Layout], covered: list[float], material: Material) -> Figure:
    """Particles per layout, their sizes with the law that was asked for, and the share of each image they cover."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3))
    counts = [len(layout) for layout in layouts]
    left.hist(counts, bins=np.arange(min(counts), max(counts) + 2) - 0.5, color="#7b98b8")
    left.set(xlabel="particles per layout", ylabel="layouts")
    diameters = np.concatenate([layout.transforms[:, 3] for layout in layouts])
    _, edges, _ = middle.hist(diameters, bins=40, density=True, color="#7b98b8", label="placed")
    # The law's share of each bin, which is finite for a law without spread too.
    middle.stairs(np.diff(size_cdf(material, edges)) / np.diff(edges), edges, color="#b8433b", label="law")
    middle.set(xlabel="size, scene units", ylabel="density")
    middle.legend(frameon=False)
    right.hist(covered, bins=15, color="#7b98b8")
    right.set(xlabel="coverage of the image", ylabel="layouts")
    figure.tight_layout()
    return figure


def scene_from_outside(renderer: Renderer, layout: Layout) -> Figure:
    """Stage, ring light, upper light and camera with its field of view, cut open towards the viewer."""
    settings = renderer.material.scene
    figure = plt.figure(figsize=(7, 5.2))
    axes = figure.add_subplot(projection="3d")
    ring = ring_light_mesh(settings)
    far_half = ring.triangles_center[:, 2] > -0.3 * settings.torus_radius
    axes.add_collection3d(Poly3DCollection(ring.triangles[far_half][:, :, [0, 2, 1]], facecolor="#ffd98a", alpha=0.35))
    for y, half, colour in (
        (settings.stage_y, settings.stage_half_extent, "#8c8c8c"),
        (settings.top_y, settings.top_half_extent, "#ffd98a"),
    ):
        square = np.array([[-half, -half, y], [half, -half, y], [half, half, y], [-half, half, y]])
        axes.add_collection3d(Poly3DCollection([square], facecolor=colour, alpha=0.35))
    half = settings.half_field
    apex = (0, 0, settings.camera_y)
    for x, z in ((-half, -half), (half, -half), (half, half), (-half, half)):
        axes.plot([apex[0], x], [apex[1], z], [apex[2], settings.stage_y], color="#2b6cb0", lw=1)
    axes.scatter(*apex, color="#2b6cb0", s=40)
    axes.text(0.6, 0, settings.camera_y, "camera", color="#2b6cb0")
    axes.text(-9, 9, settings.top_y + 0.5, f"upper light, radiance {settings.top_radiance:g}", fontsize=8)
    axes.text(-9, 14, settings.torus_y, f"ring light, radiance {settings.torus_radiance:g}", fontsize=8)
    axes.text(6, -10, settings.stage_y - 1.5, "stage", fontsize=8)
    centres = layout.transforms
    axes.scatter(centres[:, 0], centres[:, 2], centres[:, 1], s=30 * centres[:, 3] ** 2, color="#444444")
    limit = settings.torus_radius
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), zlim=(settings.stage_y - 1, settings.top_y + 1))
    axes.set_box_aspect((2 * limit, 2 * limit, settings.top_y - settings.stage_y + 2))
    axes.view_init(elev=18, azim=-70)
    axes.set_xlabel("x")
    axes.set_ylabel("z")
    axes.set_zlabel("y (up)")
    figure.tight_layout()
    return figure
