"""Figures of sizes: distributions, maps of thickness, and the particles that were measured on their image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from skimage.segmentation import find_boundaries

from drgan_lib.quantify.distribution import Counting, Distribution, counted, distribution
from drgan_lib.quantify.thickness import Thickness

SERIES = (("#0072b2", "-"), ("#d55e00", "--"), ("#009e73", ":"))  # blue, vermilion, green of Okabe and Ito
EXCLUDED = (0.8, 0.3, 0.6)
SIZES, SHOWN_PX = "viridis", 1500
LABELS = {
    "area": "area",
    "circularity": "circularity",
    "aspect_ratio": "aspect ratio",
    "equivalent_diameter": "equivalent diameter",
    "feret_max": "largest Feret diameter",
    "feret_min": "smallest Feret diameter",
}


def plot_distribution(
    tables: Mapping[str, pd.DataFrame],
    column: str,
    counting: Counting,
) -> Figure:
    """Histogram and cumulative curve of `column` for up to three named tables (of `measure` or `pool`).

    The curves carry D10, D50 and D90 as points with their intervals as bars. A name without particles to count stays
    in the legend. Raises `ValueError` if there are no or too many tables.
    """
    if not 0 < len(tables) <= len(SERIES):
        raise ValueError(f"expected between one and {len(SERIES)} tables, got {len(tables)}")
    results = {name: distribution(table, column, counting) for name, table in tables.items()}
    samples = {name: _counted(table, column, counting) for name, table in tables.items()}
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    pooled = np.concatenate([values for values, _ in samples.values()])
    edges = np.histogram_bin_edges(pooled, "fd") if pooled.size else np.linspace(0, 1, 2)
    edges = np.linspace(edges[0], edges[-1], int(np.clip(len(edges), 8, 60)))
    for (name, (values, weights)), (colour, style) in zip(samples.items(), SERIES, strict=False):
        result = results[name]
        share = 100 * weights / weights.sum() if values.size else weights
        left.hist(values, edges, weights=share, histtype="stepfilled", color=colour, alpha=0.15)
        left.hist(values, edges, weights=share, histtype="step", color=colour, linestyle=style, linewidth=1.6)
        left.plot([], color=colour, linestyle=style, label=_legend(name, result))
        order = np.argsort(values)
        right.step(values[order], np.cumsum(share[order]), where="post", color=colour, linestyle=style)
        _percentiles(right, result, colour)
    left.set_ylabel("share of the particles (%)")
    right.set_ylabel("smaller particles (%)")
    right.set_yticks([0, 10, 50, 90, 100])
    right.grid(axis="y", alpha=0.3)
    for axes in (left, right):
        axes.set_xlabel(_label(column))
    left.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    right.set_title("points: D10, D50 and D90 with their 95 % intervals", fontsize=9)
    return figure


def plot_thickness(image: np.ndarray, thickness: Thickness) -> Figure:
    """Map of the thickness over `image` [h, w] in [0, 1], and its histogram over the pixels with the median."""
    _same_shape(image, thickness.diameter_px)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    diameter = thickness.diameter_px * (thickness.pixel_size_nm or 1.0)
    step = _step(image)
    left.imshow(image[::step, ::step], cmap="gray", vmin=0, vmax=1)
    norm = Normalize(0, float(diameter.max()) or 1.0)
    shown = np.ma.masked_equal(diameter[::step, ::step], 0)
    left.imshow(shown, cmap=SIZES, norm=norm, interpolation="nearest")
    left.set_axis_off()
    figure.colorbar(ScalarMappable(norm, SIZES), ax=left, label=f"local thickness ({thickness.unit})", shrink=0.8)
    shares, edges = thickness.histogram()
    right.stairs(100 * shares, edges, fill=True, color=SERIES[0][0], alpha=0.5)
    right.axvline(thickness.median, color=SERIES[1][0], linestyle="--")
    right.set_title(f"median {thickness.median:.3g} {thickness.unit} (dashed)", fontsize=9)
    right.set_xlabel(f"local thickness ({thickness.unit})")
    right.set_ylabel("share of the particle pixels (%)")
    return figure


def plot_particles(
    image: np.ndarray,
    labels: np.ndarray,
    table: pd.DataFrame,
    column: str,
    counting: Counting,
) -> Figure:
    """The particles of `labels` [h, w] on `image` [h, w] in [0, 1], those that count coloured by `column`.

    Those left out are pink and crossed. `table` is that of `measure(labels)`.
    """
    _same_shape(image, labels)
    keep, _ = counted(table, counting)
    values = table[column].to_numpy(float)
    low, high = (values[keep].min(), values[keep].max()) if keep.any() else (0.0, 1.0)
    norm = Normalize(low, high if high > low else low + 1)
    step = _step(image)
    small = labels[::step, ::step]
    picture = np.repeat(np.clip(image[::step, ::step], 0, 1)[..., None].astype(float), 3, axis=2)
    ids = table["id"].to_numpy()
    index = np.searchsorted(ids, small.ravel()).reshape(small.shape).clip(max=max(0, len(ids) - 1))
    inside = small > 0
    if len(ids):
        colours = np.where(keep[:, None], colormaps[SIZES](norm(values))[:, :3], EXCLUDED)[index]
        opacity = np.where(find_boundaries(small, mode="inner"), 1.0, 0.55)[..., None]
        picture = np.where(inside[..., None], (1 - opacity) * picture + opacity * colours, picture)
    height, width = small.shape
    scale = 8 / max(height, width)
    figure = Figure(figsize=(max(3, scale * width + 1), max(1.5, scale * height + 0.8)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture, interpolation="nearest")
    axes.autoscale(False)  # what an edge cuts may have its centre beyond
    axes.plot(table["column_px"][~keep] / step, table["row_px"][~keep] / step, "x", color="white", markersize=4)
    axes.set_axis_off()
    axes.set_title(f"{int(keep.sum())} particles counted, {int((~keep).sum())} left out", fontsize=10)
    reason = "left out: on the border" + (f" or below {counting.min_area_px} px" if counting.min_area_px else "")
    figure.legend(handles=[Patch(color=EXCLUDED, label=reason)], fontsize=8, loc="outside lower left", frameon=False)
    figure.colorbar(ScalarMappable(norm, SIZES), ax=axes, label=_label(column), shrink=0.8)
    return figure


def _counted(table: pd.DataFrame, column: str, counting: Counting) -> tuple[np.ndarray, np.ndarray]:
    keep, weights = counted(table, counting)
    return table[column].to_numpy(float)[keep], weights[keep]


def _percentiles(axes, result: Distribution, colour: str) -> None:
    for name, percent in (("d10", 10), ("d50", 50), ("d90", 90)):
        e = result.estimates[name]
        if not np.isnan(e.value):
            axes.plot(e.value, percent, "o", color=colour, markersize=5)
            axes.plot([e.low, e.high], [percent, percent], color=colour, linewidth=3, alpha=0.6, solid_capstyle="butt")


def _legend(name: str, result: Distribution) -> str:
    left_out = result.n_border + result.n_small
    d50 = result.estimates["d50"]
    return f"{name}: n = {result.n} ({left_out} left out), D50 = {d50.value:.3g}"


def _label(column: str) -> str:
    for ending, unit in (("_px2", "px²"), ("_nm2", "nm²"), ("_px", "px"), ("_nm", "nm")):
        if column.endswith(ending):
            bare = column.removesuffix(ending)
            return f"{LABELS.get(bare, bare.replace('_', ' '))} ({unit})"
    return LABELS.get(column, column)


def _same_shape(image: np.ndarray, other: np.ndarray) -> None:
    if image.ndim != 2 or image.shape != other.shape:
        raise ValueError(f"expected an image of the shape {other.shape} of what was measured, got {image.shape}")


def _step(image: np.ndarray) -> int:
    """Each how many-th pixel is drawn, so that images of any size stay readable and quick."""
    return -(-max(image.shape) // SHOWN_PX)
