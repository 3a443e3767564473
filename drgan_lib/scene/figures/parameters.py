"""Figures of what the learned parameters do to the image."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from drgan_lib.scene.layout import Layout
from drgan_lib.scene.liveness import at_position
from drgan_lib.scene.panel import START, micrograph
from drgan_lib.scene.render import Renderer


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
