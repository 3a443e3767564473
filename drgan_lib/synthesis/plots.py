"""Plots of chapter 04: the annotated images, one place of them close up, and what the set holds as a whole."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from skimage.color import label2rgb
from skimage.segmentation import relabel_sequential

from drgan_lib.classes import CONTOUR, three_class
from drgan_lib.config import Experiment
from drgan_lib.gan import plot_rows
from drgan_lib.samples import SampleSet

COLOURS = ListedColormap(["#20222b", "#4c9be8", "#f5c242"])  # of background, particle, contour


def contact_sheet(real: SampleSet, synthetic: SampleSet, *, n: int = 8, origin: str = "real") -> Figure:
    """`n` training patches above `n` synthetic images on one gray scale, evenly picked out of all there are.

    `real` are called `origin` in the plot.
    """
    n = min(n, len(real), len(synthetic))
    rows = {origin: real, "synthetic": synthetic}
    return plot_rows({name: s[np.linspace(0, len(s) - 1, n).astype(int)].images() for name, s in rows.items()})


def gallery(samples: SampleSet, *, contour_px: int, n: int = 4) -> Figure:
    """The first `n` images in columns: image, instance ids, and 3-class label in rows."""
    shown = samples[:n]
    figure, axes = plt.subplots(3, len(shown), figsize=(2.9 * len(shown), 8.4), squeeze=False)
    for column, sample in zip(axes.T, shown, strict=True):
        column[0].imshow(sample.image, cmap="gray", vmin=0, vmax=1)
        column[0].set_title(f"image {sample.name}")
        column[1].imshow(label2rgb(sample.instances, bg_label=0))
        label = three_class(sample.instances, contour_px)
        column[2].imshow(label, cmap=COLOURS, vmin=0, vmax=2, interpolation="nearest")
    for axis in axes.flat:
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def close_up(samples: SampleSet, *, contour_px: int, size: int = 64) -> Figure:
    """The window of `size` px with the most of both kinds of contour, as image, instance ids and 3-class label.

    These are the contours between touching particles and around them; gray levels are stretched.
    """
    best = -1
    for candidate in samples:
        instances = candidate.instances
        side = min(size, *instances.shape)
        contour = three_class(instances, contour_px) == CONTOUR
        between, around = (_sums(contour & part, side) for part in (instances > 0, instances == 0))
        score = np.minimum(between, around) * side**2 + between + around
        if score.max() > best:
            best, sample = score.max(), candidate
            row, column = np.unravel_index(score.argmax(), score.shape)
            window = np.s_[row : row + side, column : column + side]
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.7))
    dark, bright = np.percentile(sample.image[window], (1, 99))
    axes[0].imshow(sample.image[window], cmap="gray", vmin=dark, vmax=bright, interpolation="nearest")
    few_ids = relabel_sequential(sample.instances[window])[0]  # so that colours repeat less
    axes[1].imshow(label2rgb(few_ids, bg_label=0), interpolation="nearest")
    label = three_class(sample.instances, contour_px)
    axes[2].imshow(label[window], cmap=COLOURS, vmin=0, vmax=2, interpolation="nearest")
    for axis, title in zip(axes, (f"image {sample.name}", "instance ids", "classes"), strict=True):
        axis.set_title(title)
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def statistics(samples: SampleSet, exp: Experiment) -> Figure:
    """Histograms over the images: visible particles, contrast with its limit, and each learned parameter."""
    names, table = exp.material.parameters, samples.table()
    figure, axes = plt.subplots(2, -(-(len(names) + 2) // 2), figsize=(13, 5.2), squeeze=False)
    for axis, name in zip(axes.flat, ("n_particles", "contrast", *names), strict=False):
        axis.hist(table[name].dropna().astype(float), bins=20, color="#4c9be8")
        axis.set_xlabel(name.replace("_", " "))
    axes[0, 1].axvline(exp.profile.synthesis.min_contrast, color="#c0392b", linestyle="--")
    for axis in axes[:, 0]:
        axis.set_ylabel("images")
    for axis in axes.flat[len(names) + 2 :]:
        axis.set_axis_off()
    figure.tight_layout()
    return figure


def _sums(mask: np.ndarray, size: int) -> np.ndarray:
    """Pixels of `mask` in each window of `size` px, by the window's first row and column."""
    total = np.pad(mask, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
