"""Figures of chapter 02: the shapes, the layouts, what each learned parameter does, and the images it weighs."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
import trimesh
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from skimage.color import label2rgb

from drgan_lib.scene.layout import Layout
from drgan_lib.scene.lights import ring_light_mesh
from drgan_lib.scene.liveness import at_position
from drgan_lib.scene.panel import START, micrograph
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.transport import TransportRenderer


def _surface(axes, mesh: trimesh.Trimesh, colour: str, *, alpha: float = 1.0) -> None:
    """Draws a mesh with y up, shaded by its normals."""
    brightness = 0.55 + 0.45 * mesh.face_normals @ np.array([0.4, 0.8, 0.45])
    colours = np.clip(brightness, 0.15, 1)[:, None] * np.array(plt.matplotlib.colors.to_rgb(colour))
    triangles = mesh.triangles[:, :, [0, 2, 1]]
    axes.add_collection3d(
        Poly3DCollection(triangles, facecolors=np.column_stack([colours, np.full(len(colours), alpha)]))
    )


def mesh_gallery(meshes: list[trimesh.Trimesh], n: int = 12) -> Figure:
    """The first n shapes, all at unit equivalent diameter."""
    columns = min(6, n)
    rows = -(-min(n, len(meshes)) // columns)
    figure = plt.figure(figsize=(1.7 * columns, 1.7 * rows))
    for i, mesh in enumerate(meshes[:n]):
        axes = figure.add_subplot(rows, columns, i + 1, projection="3d")
        _surface(axes, mesh, "#c9d3df")
        axes.set(xlim=(-0.55, 0.55), ylim=(-0.55, 0.55), zlim=(-0.55, 0.55))
        axes.set_box_aspect((1, 1, 1))
        axes.set_axis_off()
        axes.set_title(f"shape {i}", fontsize=8)
    figure.tight_layout()
    return figure


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


def parameter_effects(renderer: Renderer, layout: Layout, positions=(0.02, 0.1, 0.2, 0.5, 1.0)) -> Figure:
    """One row per parameter of the scene: the layout as that parameter alone crosses its bounds."""
    material = renderer.material
    names = [name for name in material.parameters if name != "noise_sigma"]
    figure, axes = plt.subplots(len(names), len(positions), figsize=(1.9 * len(positions), 2.0 * len(names)))
    for row, name in zip(axes, names, strict=True):
        index = material.parameters.index(name)
        for axis, position in zip(row, positions, strict=True):
            parameters = at_position(material, START)
            parameters[index] = at_position(material, position)[index]
            image = renderer.image(parameters, layout, seed=0).clamp(0, 1).cpu().numpy()
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            axis.set_title(f"{name} = {parameters[index]:.2f}", fontsize=7)
            axis.set_axis_off()
    figure.tight_layout()
    return figure


def micrographs(renderer: Renderer, layouts: list[Layout], n: int = 6, *, seed: int = 2) -> Figure:
    """What the panel shows: n layouts with noise, at parameters drawn from the lower half of the bounds."""
    material = renderer.material
    shape = -(-n // 3), min(3, n)
    figure, axes = plt.subplots(*shape, figsize=(2.7 * shape[1], 3.2 * shape[0]), squeeze=False)
    draws = np.random.default_rng(seed).uniform(0, 0.5, size=(n, len(material.parameters)))
    low, high = np.array(list(material.bounds.values())).T
    for axis, layout, values in zip(axes.flat, layouts, low + draws * (high - low), strict=False):
        image = micrograph(renderer, torch.tensor(values, dtype=torch.float32), layout)
        axis.imshow(image.cpu().numpy(), cmap="gray", vmin=0, vmax=1)
        words = [f"{name} {value:.2g}" for name, value in zip(material.parameters, values, strict=True)]
        axis.set_title("\n".join(", ".join(words[k : k + 2]) for k in range(0, len(words), 2)), fontsize=8)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def basis_images(renderer: TransportRenderer, layout: Layout, n: int = 4) -> Figure:
    """The stage and up to n images of each term of the BSDF, each with a grey scale of its own."""
    basis, size = renderer.basis(layout), renderer.material.scene.size_px
    stage = basis.stage.sum(dim=0)
    rows = [[("stage, white less black", stage[1] - stage[0])]]
    terms = list(enumerate(renderer.terms.settings))
    for _, group in itertools.groupby(terms, key=lambda term: term[1].keys()):
        group = list(group)
        chosen = [group[i] for i in np.unique(np.linspace(0, len(group) - 1, n).round().astype(int))]
        row = []
        for i, setting in chosen:
            words = [f"{name} {value:.2g}" for name, value in setting.items() if name != "specular"]
            image = torch.zeros(size * size, device=basis.pixel.device)
            row.append(("\n".join(words), image.index_add(0, basis.pixel, basis.particles[i])))
        rows.append(row)
    figure, axes = plt.subplots(len(rows), n, figsize=(2.2 * n, 2.5 * len(rows)), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, images in zip(axes, rows, strict=True):
        for axis, (title, image) in zip(row, images, strict=False):
            image = image.view(size, size).cpu().numpy()
            # A mirror-like highlight is a few pixels; scaled to the brightest one, the rest would be black.
            axis.imshow(image, cmap="gray", vmin=0, vmax=np.quantile(image[image > 0], 0.99))
            axis.set_title(title, fontsize=8)
    figure.tight_layout()
    return figure


def particles_apart(renderer: TransportRenderer, layout: Layout, *, seed: int = 0) -> Figure:
    """A layout whose particles are alike, then with one parameter drawn for each particle."""
    bounds = renderer.material.bounds
    varied = [name for name in ("base_color", "roughness") if name in bounds]
    figure, axes = plt.subplots(1, 1 + len(varied), figsize=(3.2 * (1 + len(varied)), 3.5), squeeze=False)
    rng = np.random.default_rng(seed)
    for axis, name in zip(axes[0], [None, *varied], strict=True):
        draws = torch.from_numpy(rng.uniform(0, 0.5, size=len(layout)))
        each = {name: bounds[name][0] + draws * (bounds[name][1] - bounds[name][0])} if name else None
        image = renderer.image(at_position(renderer.material, START), layout, each=each).clamp(0, 1)
        axis.imshow(image.cpu().numpy(), cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"{name} of each particle its own" if name else "all particles alike", fontsize=9)
        axis.set_axis_off()
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


def layout_statistics(layouts: list[Layout], material) -> Figure:
    """Particles per layout and their diameters, with the law that was asked for."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    counts = [len(layout) for layout in layouts]
    left.hist(counts, bins=np.arange(min(counts), max(counts) + 2) - 0.5, color="#7b98b8")
    left.set(xlabel="particles per layout", ylabel="layouts")
    diameters = np.concatenate([layout.transforms[:, 3] for layout in layouts])
    right.hist(diameters, bins=40, density=True, color="#7b98b8", label="placed")
    settings = material.layout
    grid = np.linspace(diameters.min(), diameters.max(), 200)
    width = max(settings.sizes.sigma, 1e-6)
    law = np.exp(-(np.log(grid / settings.sizes.median) ** 2) / (2 * width**2)) / (grid * width * np.sqrt(2 * np.pi))
    right.plot(grid, law, color="#b8433b", label="law")
    right.set(xlabel="equivalent diameter, scene units", ylabel="density")
    right.legend(frameon=False)
    figure.tight_layout()
    return figure
