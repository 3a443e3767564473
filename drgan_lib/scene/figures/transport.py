"""Figures of the weighted sum: the images that are weighed, and particles with weights of their own."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from drgan_lib.scene.layout import Layout
from drgan_lib.scene.liveness import at_position
from drgan_lib.scene.panel import START
from drgan_lib.scene.transport import TransportRenderer


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
