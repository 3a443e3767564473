"""What was found on the micrographs over what the proposed settings give, as one figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from drgan_lib.data import Micrograph
from drgan_lib.data.figures import outlined
from drgan_lib.files import atomic_path
from drgan_lib.suggest.observe import Sizes, Window
from drgan_lib.suggest.propose import Proposal
from drgan_lib.suggest.write import scale

REAL, RENDERED, TRUTH, LAW = "#3b6fb5", "#e08a1e", "#2fa36b", "#c0392b"
N_EXAMPLES = 6


def plot_proposal(proposal: Proposal, micrographs: list[Micrograph], windows: list[Window], path: str | Path) -> None:
    """Histograms of sizes, coverage, counts and gray levels, and example patches with the outlines found, as a PNG."""
    figure = Figure(figsize=(15, 11))
    grid = figure.add_gridspec(4, 12, height_ratios=(1.3, 1, 1, 1), hspace=0.45, wspace=1.8)
    _plot_sizes(figure.add_subplot(grid[0, :8]), proposal)
    real, seen = proposal.real.views, proposal.rendered.views
    _compare(figure.add_subplot(grid[0, 8:]), real.coverage, seen.coverage, "coverage of a patch")
    _compare(figure.add_subplot(grid[1, :4]), real.particles, seen.particles, "particles found per patch")
    _compare(figure.add_subplot(grid[1, 4:8]), real.clusters, seen.clusters, "clusters found per patch")
    _plot_levels(figure.add_subplot(grid[1, 8:]), proposal)
    chosen = np.unique(np.linspace(0, len(windows) - 1, N_EXAMPLES).round().astype(int))
    for column, number in enumerate(chosen):
        w = windows[number]
        crop = slice(w.row, w.row + w.size), slice(w.column, w.column + w.size)
        ax = figure.add_subplot(grid[2, 2 * column : 2 * column + 2])
        _show(ax, micrographs[w.image].image[crop], proposal.real.labels[w.image][crop], "real", REAL)
    pairs = list(zip(proposal.renders.images, proposal.rendered.labels, strict=True))[:N_EXAMPLES]
    for column, (image, labels) in enumerate(pairs):
        ax = figure.add_subplot(grid[3, 2 * column : 2 * column + 2])
        _show(ax, image, labels, "rendered with the setting", RENDERED)
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90, bbox_inches="tight")


def _plot_sizes(ax: Axes, proposal: Proposal) -> None:
    s, law, unit_px = scale(proposal.material), proposal.material.layout.sizes, proposal.material.scene_unit_px
    real, seen, truth = proposal.real.sizes, proposal.rendered.sizes, proposal.truth
    low = min(real.quantile(0.005), truth.quantile(0.005)) / s.px
    edges = np.geomspace(low, 1.3 * real.quantile(0.995) / s.px, 40)
    for sizes, colour, text in ((real, REAL, "found on micrographs"), (seen, RENDERED, "found on renders")):
        filled = {"alpha": 0.45} if sizes is real else {"histtype": "step", "linewidth": 1.8}
        _histogram(ax, sizes, edges, s.px, color=colour, label=f"{text}: median {sizes.median / s.px:.3g}", **filled)
    text = f"visible on renders, exact: median {truth.median / s.px:.3g}"
    _histogram(ax, truth, edges, s.px, color=TRUTH, label=text, histtype="step", linewidth=1.2, linestyle="--")
    median = law.median * unit_px / s.px
    x = np.geomspace(edges[0], edges[-1], 300)
    density = stats.norm.pdf(np.log(x), np.log(median), max(law.sigma, 1e-3))
    text = f"setting, whole particles: {median:.3g}, sigma {law.sigma:.2f}"
    ax.plot(x, density * np.log(edges[1] / edges[0]), color=LAW, linewidth=2, label=text)
    ax.set(xscale="log", xlabel=f"diameter, {s.unit}", ylabel="share of particles")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("{x:g}")
    ax.tick_params(axis="x", which="both", labelsize=7)
    ax.legend(fontsize=8, frameon=False)


def _histogram(ax: Axes, sizes: Sizes, edges: np.ndarray, px: float, **style) -> None:
    ax.hist(sizes.diameters / px, edges, weights=sizes.weights / sizes.weights.sum(), **style)


def _compare(ax: Axes, real: np.ndarray, rendered: np.ndarray, title: str) -> None:
    edges = np.linspace(0, 1.05 * max(real.max(), rendered.max(), 1e-3), 15)
    for values, colour, text in ((real, REAL, "real"), (rendered, RENDERED, "rendered")):
        style = {"alpha": 0.45} if values is real else {"histtype": "step", "linewidth": 1.8}
        ax.hist(values, edges, weights=np.full(len(values), 1 / len(values)), color=colour, label=text, **style)
        ax.axvline(values.mean(), color=colour, linewidth=1, linestyle=":")
    ax.set(xlabel=title)
    ax.set_title("share of patches", size=8, loc="left")
    ax.legend(fontsize=8, frameon=False)


def _plot_levels(ax: Axes, proposal: Proposal) -> None:
    """5 to 95 % of the patches, as a bar, with the median."""
    names = {"background": "background", "particle_level": "particles", "noise": "noise"}
    for row, field in enumerate(names):
        for shift, views, colour in ((0.15, proposal.real.views, REAL), (-0.15, proposal.rendered.views, RENDERED)):
            low, middle, high = np.nanquantile(getattr(views, field), (0.05, 0.5, 0.95))
            ax.plot([low, high], [row + shift] * 2, color=colour, linewidth=5, alpha=0.5, solid_capstyle="butt")
            ax.plot(middle, row + shift, "|", color=colour, markersize=11, markeredgewidth=2)
    ax.set_yticks(range(len(names)), names.values(), fontsize=8)
    ax.set(xlabel="gray level, 1 is white", xlim=(0, None))


def _show(ax: Axes, image: np.ndarray, labels: np.ndarray, title: str, colour: str) -> None:
    ax.imshow(outlined(image, labels))
    ax.set_title(title, size=8, color=colour)
    ax.axis("off")
