"""Figures of chapter 04: the annotated images, one of them close up, and what the set holds as a whole."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from skimage.color import label2rgb

from drgan_lib.classes import CONTOUR
from drgan_lib.config import Experiment
from drgan_lib.gan import plot_rows
from drgan_lib.synthesis.store import SyntheticSet

COLOURS = ListedColormap(["#20222b", "#4c9be8", "#f5c242"])  # of background, particle, contour


def contact_sheet(real: np.ndarray, synthetic: np.ndarray, *, n: int = 8, origin: str = "real") -> Figure:
    """`n` training patches above `n` synthetic images on one gray scale, evenly picked out of all there are.

    `real` float [m, h, w] in [0, 1], called `origin` in the figure; `synthetic` uint8 [k, h, w].
    """
    n = min(n, len(real), len(synthetic))
    rows = {origin: real, "synthetic": synthetic / np.float32(255)}
    return plot_rows({name: rows[name][np.linspace(0, len(rows[name]) - 1, n).astype(int)] for name in rows})


def gallery(made: SyntheticSet, n: int = 4) -> Figure:
    """The first `n` images in columns: image, instance ids, and 3-class label in rows."""
    n = min(n, len(made.table))
    figure, axes = plt.subplots(3, n, figsize=(2.9 * n, 8.4), squeeze=False)
    for k in range(n):
        axes[0, k].imshow(made.images[k], cmap="gray", vmin=0, vmax=255)
        axes[0, k].set_title(f"image {made.table['image'][k]}")
        axes[1, k].imshow(label2rgb(made.instances[k], bg_label=0))
        axes[2, k].imshow(made.labels[k], cmap=COLOURS, vmin=0, vmax=2, interpolation="nearest")
    for axis in axes.flat:
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def close_up(made: SyntheticSet, *, size: int = 64) -> Figure:
    """The most crowded window of `size` px of the first image, as image, instance ids and label."""
    label, instances = made.labels[0], made.instances[0]
    lines = np.pad((label == CONTOUR) & (instances > 0), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    size = min(size, *label.shape)
    counts = lines[size:, size:] - lines[:-size, size:] - lines[size:, :-size] + lines[:-size, :-size]
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    window = np.s_[row : row + size, column : column + size]
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.7))
    axes[0].imshow(made.images[0][window], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes[1].imshow(label2rgb(instances, bg_label=0)[window], interpolation="nearest")
    axes[2].imshow(label[window], cmap=COLOURS, vmin=0, vmax=2, interpolation="nearest")
    for axis, title in zip(axes, ("image", "instance ids", "classes"), strict=True):
        axis.set_title(title)
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def statistics(made: SyntheticSet, exp: Experiment) -> Figure:
    """Histograms over the images: visible particles, contrast with its limit, and each learned parameter."""
    names = exp.material.parameters
    figure, axes = plt.subplots(2, -(-(len(names) + 2) // 2), figsize=(13, 5.2), squeeze=False)
    for axis, name in zip(axes.flat, ("n_particles", "contrast", *names), strict=False):
        axis.hist(made.table[name].dropna(), bins=20, color="#4c9be8")
        axis.set_xlabel(name.replace("_", " "))
    axes[0, 1].axvline(exp.profile.synthesis.min_contrast, color="#c0392b", linestyle="--")
    for axis in axes[:, 0]:
        axis.set_ylabel("images")
    for axis in axes.flat[len(names) + 2 :]:
        axis.set_axis_off()
    figure.tight_layout()
    return figure
