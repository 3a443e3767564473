"""Plots of sizes: distributions, and maps of thickness."""

from collections.abc import Mapping

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from drgan_lib.quantify.distributions import PERCENTILES, Distribution
from drgan_lib.quantify.thickness import Thickness

SERIES = (("#0072b2", "-"), ("#d55e00", "--"), ("#009e73", ":"))  # blue, vermilion, green of Okabe and Ito
COLOURS, SHOWN_PX = "viridis", 1500
LABELS = {"feret_max": "largest Feret diameter", "feret_min": "smallest Feret diameter"}


def plot_distribution(distributions: Mapping[str, Distribution]) -> Figure:
    """Histogram and cumulative curve of up to three distributions of one size, by name.

    The curves carry D10, D50 and D90 as points with their intervals as bars. A name without particles to count stays
    in the legend. Raises `ValueError` if there are no or too many distributions, or if they are of different sizes.
    """
    if not 0 < len(distributions) <= len(SERIES):
        raise ValueError(f"expected between one and {len(SERIES)} distributions, got {len(distributions)}")
    columns = sorted({d.column for d in distributions.values()})
    if len(columns) > 1:
        raise ValueError(f"expected distributions of one size, got {' and '.join(columns)}")
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    pooled = np.concatenate([d.sizes for d in distributions.values()])
    edges = np.histogram_bin_edges(pooled, "fd") if pooled.size else np.linspace(0, 1, 2)
    edges = np.linspace(edges[0], edges[-1], int(np.clip(len(edges), 8, 60)))
    for (name, d), (colour, style) in zip(distributions.items(), SERIES, strict=False):
        share = 100 * d.weights / d.weights.sum() if d.n else d.weights
        left.hist(d.sizes, edges, weights=share, histtype="stepfilled", color=colour, alpha=0.15)
        left.hist(d.sizes, edges, weights=share, histtype="step", color=colour, linestyle=style, linewidth=1.6)
        label = f"{name}: n = {d.n} ({d.n_border + d.n_small} left out), D50 = {d.metrics['d50']}"
        left.plot([], color=colour, linestyle=style, label=label)
        order = np.argsort(d.sizes)
        right.step(d.sizes[order], np.cumsum(share[order]), where="post", color=colour, linestyle=style)
        for percentile in PERCENTILES if d.n else ():
            metric, percent = d.metrics[percentile], int(percentile[1:])
            right.plot(metric.value, percent, "o", color=colour, markersize=5)
            if metric.low is not None:
                ends = [metric.low, metric.high]
                right.plot(ends, [percent] * 2, color=colour, linewidth=3, alpha=0.6, solid_capstyle="butt")
    left.set_ylabel("share of the particles (%)")
    right.set_ylabel("smaller particles (%)")
    right.set_yticks([0, 10, 50, 90, 100])
    right.grid(axis="y", alpha=0.3)
    for axes in (left, right):
        axes.set_xlabel(axis_label(columns[0]))
    left.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    level = max(d.level for d in distributions.values())
    right.set_title(f"points: D10, D50 and D90 with their {100 * level:.3g} % intervals", fontsize=9)
    return figure


def plot_thickness(image: np.ndarray, thickness: Thickness) -> Figure:
    """Map of the thickness over `image` [h, w] in [0, 1], and its histogram over the pixels with the median."""
    require_same_shape(image, thickness.diameter_px)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    diameter = thickness.diameter_px * (thickness.pixel_size_nm or 1.0)
    step = step_to_show(image)
    left.imshow(image[::step, ::step], cmap="gray", vmin=0, vmax=1)
    norm = Normalize(0, float(diameter.max()) or 1.0)
    shown = np.ma.masked_equal(diameter[::step, ::step], 0)
    left.imshow(shown, cmap=COLOURS, norm=norm, interpolation="nearest")
    left.set_axis_off()
    figure.colorbar(ScalarMappable(norm, COLOURS), ax=left, label=f"local thickness ({thickness.unit})", shrink=0.8)
    shares, edges = thickness.histogram()
    right.stairs(100 * shares, edges, fill=True, color=SERIES[0][0], alpha=0.5)
    right.axvline(thickness.median, color=SERIES[1][0], linestyle="--")
    right.set_title(f"median {thickness.median:.3g} {thickness.unit} (dashed)", fontsize=9)
    right.set_xlabel(f"local thickness ({thickness.unit})")
    right.set_ylabel("share of the particle pixels (%)")
    return figure


def axis_label(column: str) -> str:
    """The size in words, with its unit."""
    bare, _, unit = column.rpartition("_")
    if unit.rstrip("2") not in ("px", "nm"):
        bare, unit = column, ""
    return LABELS.get(bare, bare.replace("_", " ")) + (f" ({unit.replace('2', '²')})" if unit else "")


def require_same_shape(image: np.ndarray, other: np.ndarray) -> None:
    if image.ndim != 2 or image.shape != other.shape:
        raise ValueError(f"expected an image of the shape {other.shape} of what was measured, got {image.shape}")


def step_to_show(image: np.ndarray) -> int:
    """Each how many-th pixel is drawn, so that images of any size stay readable and quick."""
    return -(-max(image.shape) // SHOWN_PX)
