"""Figures of chapter 02: the shapes, the layouts, what each learned parameter does, and the images it weighs."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
import trimesh
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from pydantic import TypeAdapter
from skimage.color import label2rgb

from drgan_lib.config import DETECTOR_BOUNDS, SHAPES, Material, MeshSettings
from drgan_lib.scene.layout import Layout, size_distribution
from drgan_lib.scene.lights import ring_light
from drgan_lib.scene.meshes import generate_meshes
from drgan_lib.scene.panel import START
from drgan_lib.scene.parameters import at_position, micrograph
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.transport import TransportRenderer

PARTICLE, PLACED, ASKED, LIGHT, CAMERA = "#c9d3df", "#7b98b8", "#b8433b", "#ffd98a", "#2b6cb0"
UP, SIDE = np.radians(30), np.radians(-60)  # from where shapes are seen


def mesh_gallery(meshes: list[trimesh.Trimesh], n: int = 12) -> Figure:
    """The first n shapes, in one scale."""
    columns, meshes = min(6, n), meshes[:n]
    rows = -(-len(meshes) // columns)
    figure = plt.figure(figsize=(1.7 * columns, 1.7 * rows))
    for i in range(len(meshes)):
        _draw(figure.add_subplot(rows, columns, i + 1, projection="3d"), meshes, i, title=f"shape {i}")
    figure.tight_layout()
    return figure


def shape_library(n: int = 4) -> Figure:
    """n meshes of every kind of shape, by its default settings, each kind in its own scale."""
    figure = plt.figure(figsize=(1.7 * len(SHAPES), 1.6 * n))
    for column, shape in enumerate(SHAPES):
        meshes = generate_meshes(TypeAdapter(MeshSettings).validate_python({"shape": shape, "count": n}))
        for row in range(n):
            axes = figure.add_subplot(n, len(SHAPES), row * len(SHAPES) + column + 1, projection="3d")
            _draw(axes, meshes, row, title="" if row else shape, size=9)
    figure.tight_layout()
    return figure


def layout_gallery(renderer: Renderer, layouts: list[Layout], n: int = 4) -> Figure:
    """Rendered layouts above their instance ids, at the middle of the lower half of the bounds."""
    figure, axes = plt.subplots(2, n, figsize=(2.6 * n, 5.4), squeeze=False)
    parameters = at_position(renderer.material, START)
    for (upper, lower), layout in zip(axes.T, layouts, strict=False):
        ids = renderer.instance_ids(layout)
        title = f"{len(layout)} placed, {len(np.unique(ids)) - 1} visible"
        _show(upper, renderer.image(parameters, layout, seed=0), title, size=9)
        lower.imshow(label2rgb(ids, bg_label=0))
    return _tidy(figure)


def layout_statistics(layouts: list[Layout], covered: list[float], material: Material) -> Figure:
    """Particles per layout, their sizes with the distribution asked for, and the share of each image they cover."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3))
    counts = [len(layout) for layout in layouts]
    left.hist(counts, bins=np.arange(min(counts), max(counts) + 2) - 0.5, color=PLACED)
    left.set(xlabel="particles per layout", ylabel="layouts")
    diameters = np.concatenate([layout.transforms[:, 3] for layout in layouts])
    _, edges, _ = middle.hist(diameters, bins=40, density=True, color=PLACED, label="placed")
    # The distribution's share of each bin, which is finite for one without spread too.
    shares = np.diff(size_distribution(material).cdf(edges))
    middle.stairs(shares / np.diff(edges), edges, color=ASKED, label="asked for")
    middle.set(xlabel="size, scene units", ylabel="density")
    middle.legend(frameon=False)
    right.hist(covered, bins=15, color=PLACED)
    right.set(xlabel="coverage of the image", ylabel="layouts")
    figure.tight_layout()
    return figure


def scene_from_outside(renderer: Renderer, layout: Layout) -> Figure:
    """Support, ring light, upper light and camera with its field of view, cut open towards the viewer."""
    settings = renderer.material.scene
    figure = plt.figure(figsize=(7, 5.2))
    axes = figure.add_subplot(projection="3d")
    ring = ring_light(settings).reshape(-1, 3, 3)
    far_half = ring.mean(axis=1)[:, 2] > -0.3 * settings.torus_radius
    axes.add_collection3d(Poly3DCollection(ring[far_half][:, :, [0, 2, 1]], facecolor=LIGHT, alpha=0.35))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    for y, half, colour in (
        (settings.stage_y, settings.stage_half_extent, "#8c8c8c"),
        (settings.top_y, settings.top_half_extent, LIGHT),
    ):
        square = np.column_stack([half * corners, np.full(4, y)])
        axes.add_collection3d(Poly3DCollection([square], facecolor=colour, alpha=0.35))
    for x, z in settings.half_field * corners:
        axes.plot([0, x], [0, z], [settings.camera_y, settings.stage_y], color=CAMERA, lw=1)
    axes.scatter(0, 0, settings.camera_y, color=CAMERA, s=40)
    axes.text(0.6, 0, settings.camera_y, "camera", color=CAMERA)
    axes.text(-9, 9, settings.top_y + 0.5, f"upper light, radiance {settings.top_radiance:g}", fontsize=8)
    axes.text(-9, 14, settings.torus_y, f"ring light, radiance {settings.torus_radiance:g}", fontsize=8)
    axes.text(6, -10, settings.stage_y - 1.5, "support", fontsize=8)
    x, y, z, size = layout.transforms.T
    axes.scatter(x, z, y, s=30 * size**2, color="#444444")
    limit = settings.torus_radius
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), zlim=(settings.stage_y - 1, settings.top_y + 1))
    axes.set(xlabel="x", ylabel="z", zlabel="y (up)")
    axes.set_box_aspect((2 * limit, 2 * limit, settings.top_y - settings.stage_y + 2))
    axes.view_init(elev=18, azim=-70)
    figure.tight_layout()
    return figure


def parameter_effects(renderer: Renderer, layout: Layout, positions=(0.02, 0.1, 0.2, 0.5, 1.0)) -> Figure:
    """One row per parameter of the scene: the layout as that parameter alone crosses its bounds."""
    material = renderer.material
    names = [name for name in material.parameters if name not in ("noise_sigma", *DETECTOR_BOUNDS)]
    figure, axes = plt.subplots(len(names), len(positions), figsize=(1.9 * len(positions), 2.0 * len(names)))
    for row, name in zip(axes, names, strict=True):
        index = material.parameters.index(name)
        for axis, position in zip(row, positions, strict=True):
            parameters = at_position(material, START)
            parameters[index] = at_position(material, position)[index]
            _show(axis, renderer.image(parameters, layout, seed=0), f"{name} = {parameters[index]:.2f}", size=7)
    return _tidy(figure)


def micrographs(renderer: Renderer, layouts: list[Layout], n: int = 6, *, seed: int = 2) -> Figure:
    """What the panel shows: n layouts with noise, at parameters drawn from the lower half of the bounds."""
    material = renderer.material
    rows, columns, lines = -(-n // 3), min(3, n), -(-len(material.parameters) // 2)
    figure, axes = plt.subplots(rows, columns, figsize=(2.7 * columns, (2.7 + lines / 5) * rows), squeeze=False)
    draws = np.random.default_rng(seed).uniform(0, 0.5, size=(n, len(material.parameters)))
    low, high = np.array(list(material.bounds.values())).T
    for axis, layout, values in zip(axes.flat, layouts, low + draws * (high - low), strict=False):
        words = [f"{name} {value:.2g}" for name, value in zip(material.parameters, values, strict=True)]
        title = "\n".join(", ".join(words[k : k + 2]) for k in range(0, len(words), 2))
        _show(axis, micrograph(renderer, torch.tensor(values, dtype=torch.float32), layout), title)
    return _tidy(figure)


def basis_images(renderer: TransportRenderer, layout: Layout, n: int = 4) -> Figure:
    """The support and up to n images of each term, each with a grey scale of its own.

    Terms of one image each share rows.
    """
    basis, size = renderer.basis(layout), renderer.material.scene.size_px
    stage = basis.stage.sum(dim=0)
    rows, alone = [list(renderer.terms.support_images(stage).items())], False
    terms = zip(renderer.terms.settings, basis.particles, strict=True)
    for _, group in itertools.groupby(terms, key=lambda term: term[0].keys()):
        images, row = list(group), []
        for i in np.unique(np.linspace(0, len(images) - 1, n).round().astype(int)):
            setting, fragments = images[i]
            words = [f"{name} {value:.2g}" for name, value in setting.items() if name != "specular"]
            row.append(("\n".join(words), torch.zeros_like(stage[0]).index_add(0, basis.pixel, fragments)))
        if len(images) == 1 and alone and len(rows[-1]) < n:
            rows[-1] += row
        else:
            rows.append(row)
        alone = len(images) == 1
    figure, axes = plt.subplots(len(rows), n, figsize=(2.2 * n, 2.5 * len(rows)), squeeze=False)
    for row, images in zip(axes, rows, strict=True):
        for axis, (title, image) in zip(row, images, strict=False):
            # A mirror-like highlight is a few pixels; scaled to the brightest one, the rest would be black.
            white = np.quantile(image[image > 0].cpu(), 0.99)
            _show(axis, image.view(size, size), title, white=white)
    return _tidy(figure)


def particles_apart(renderer: TransportRenderer, layout: Layout, *, seed: int = 0) -> Figure:
    """A layout whose particles are alike, then with one parameter drawn for each particle."""
    bounds = renderer.material.bounds
    varied = [name for name in ("base_color", "roughness", "flat", "tilt") if name in bounds]
    figure, axes = plt.subplots(1, 1 + len(varied), figsize=(3.2 * (1 + len(varied)), 3.5), squeeze=False)
    rng = np.random.default_rng(seed)
    for axis, name in zip(axes[0], [None, *varied], strict=True):
        draws = torch.from_numpy(rng.uniform(0, 0.5, size=len(layout)))
        each = {name: bounds[name][0] + draws * (bounds[name][1] - bounds[name][0])} if name else None
        image = renderer.image(at_position(renderer.material, START), layout, each=each)
        _show(axis, image, f"{name} of each particle its own" if name else "all particles alike", size=9)
    return _tidy(figure)


def _show(axis: Axes, image: torch.Tensor, title: str, *, size: int = 8, white: float = 1.0) -> None:
    """An image [h, w] from black at 0 to `white`."""
    axis.imshow(image.cpu().numpy(), cmap="gray", vmin=0, vmax=white)
    axis.set_title(title, fontsize=size)


def _tidy(figure: Figure) -> Figure:
    """Images without ticks and frames."""
    for axis in figure.axes:
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def _draw(axes: Axes, meshes: list[trimesh.Trimesh], i: int, *, title: str, size: int = 8) -> None:
    """Mesh number i with y up, shaded by its normals, in a cube that would show each of the meshes."""
    mesh, reach = meshes[i], 0.65 * max(np.abs(mesh.bounds).max() for mesh in meshes)
    towards_viewer = np.array([np.cos(UP) * np.cos(SIDE), np.sin(UP), np.cos(UP) * np.sin(SIDE)])
    seen = mesh.face_normals @ towards_viewer > 0  # Matplotlib sorts faces by their centres, which is not enough
    brightness = 0.5 + 0.5 * mesh.face_normals[seen] @ np.array([0.65, 0.75, 0.1])
    colours = np.clip(brightness, 0.15, 1)[:, None] * np.array(to_rgb(PARTICLE))
    triangles = mesh.triangles[seen][:, :, [0, 2, 1]]
    axes.add_collection3d(Poly3DCollection(triangles, facecolors=colours, edgecolors=colours, linewidths=0.3))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    axes.set_proj_type("ortho")
    axes.view_init(elev=np.degrees(UP), azim=np.degrees(SIDE))
    axes.set_box_aspect((1, 1, 1))
    axes.set_axis_off()
    axes.set_title(title, fontsize=size)
