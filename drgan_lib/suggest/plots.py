"""What was found on the micrographs over what the proposed settings give, in one plot."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from drgan_lib.data import outlined
from drgan_lib.files import atomic_path
from drgan_lib.samples import SampleSet
from drgan_lib.suggest.observation import Window
from drgan_lib.suggest.proposal import Proposal
from drgan_lib.suggest.write import scale

REAL, RENDERED, TRUTH, SETTING = "#3b6fb5", "#e08a1e", "#2fa36b", "#c0392b"
FILLED, LINE = {"alpha": 0.45}, {"histtype": "step", "linewidth": 1.8}
LEVELS = {"background": "background", "particle_level": "particles", "noise": "noise"}
N_EXAMPLES = 6


def plot_proposal(proposal: Proposal, micrographs: SampleSet, windows: list[Window], path: str | Path) -> None:
    """Histograms of sizes, coverage, counts and gray levels, and example patches with the outlines found, as a PNG."""
    figure = Figure(figsize=(15, 11))
    grid = figure.add_gridspec(4, 12, height_ratios=(1.3, 1, 1, 1), hspace=0.45, wspace=1.8)
    _plot_sizes(figure.add_subplot(grid[0, :8]), proposal)
    real, seen = proposal.real, proposal.rendered
    _compare(figure.add_subplot(grid[0, 8:]), real.views.coverage, seen.views.coverage, "coverage of a patch")
    _compare(figure.add_subplot(grid[1, :4]), real.views.particles, seen.views.particles, "particles found per patch")
    _compare(figure.add_subplot(grid[1, 4:8]), real.views.clusters, seen.views.clusters, "clusters found per patch")
    _plot_levels(figure.add_subplot(grid[1, 8:]), proposal)
    chosen = [windows[k] for k in np.unique(np.linspace(0, len(windows) - 1, N_EXAMPLES).round().astype(int))]
    above = [(micrographs[w.image].image[w.crop], real.labels[w.image][w.crop]) for w in chosen]
    below = list(zip(proposal.renders.images, seen.labels, strict=True))[:N_EXAMPLES]
    for row, pairs, title, colour in ((2, above, "real", REAL), (3, below, "rendered with the setting", RENDERED)):
        for column, (image, labels) in enumerate(pairs):
            ax = figure.add_subplot(grid[row, 2 * column : 2 * column + 2])
            ax.imshow(outlined(image, labels))
            ax.set_title(title, size=8, color=colour)
            ax.axis("off")
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90, bbox_inches="tight")


def _plot_sizes(ax: Axes, proposal: Proposal) -> None:
    (unit, px), layout = scale(proposal.material), proposal.material.layout
    real, seen, truth = proposal.real.sizes, proposal.rendered.sizes, proposal.truth
    low, high = min(real.quantile(0.005), truth.quantile(0.005)) / px, 1.3 * real.quantile(0.995) / px
    edges = np.geomspace(low, high, 40)
    for sizes, colour, text, style in (
        (real, REAL, "found on micrographs", FILLED),
        (seen, RENDERED, "found on renders", LINE),
        (truth, TRUTH, "visible on renders, exact", LINE | {"linewidth": 1.2, "linestyle": "--"}),
    ):
        label, weights = f"{text}: median {sizes.median / px:.3g}", sizes.weights / sizes.weights.sum()
        ax.hist(sizes.diameters / px, edges, weights=weights, color=colour, label=label, **style)
    median, sigma = layout.sizes.median * proposal.material.scene_unit_px / px, layout.sizes.sigma
    x = np.geomspace(low, high, 300)
    density = stats.norm.pdf(np.log(x), np.log(median), max(sigma, 1e-3))
    text = f"setting, whole particles: {median:.3g}, sigma {sigma:.2f}"
    ax.plot(x, density * np.log(edges[1] / edges[0]), color=SETTING, linewidth=2, label=text)
    ax.set(xscale="log", xlabel=f"diameter, {unit}", ylabel="share of particles")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("{x:g}")
    ax.tick_params(axis="x", which="both", labelsize=7)
    ax.legend(fontsize=8, frameon=False)


def _compare(ax: Axes, real: np.ndarray, rendered: np.ndarray, title: str) -> None:
    edges = np.linspace(0, 1.05 * max(real.max(), rendered.max(), 1e-3), 15)
    for values, colour, text, style in ((real, REAL, "real", FILLED), (rendered, RENDERED, "rendered", LINE)):
        ax.hist(values, edges, weights=np.full(len(values), 1 / len(values)), color=colour, label=text, **style)
        ax.axvline(values.mean(), color=colour, linewidth=1, linestyle=":")
    ax.set(xlabel=title)
    ax.set_title("share of patches", size=8, loc="left")
    ax.legend(fontsize=8, frameon=False)


def _plot_levels(ax: Axes, proposal: Proposal) -> None:
    """5 to 95 % of the patches, as a bar, with the median."""
    for row, field in enumerate(LEVELS):
        for shift, views, colour in ((0.15, proposal.real.views, REAL), (-0.15, proposal.rendered.views, RENDERED)):
            low, middle, high = np.nanquantile(getattr(views, field), (0.05, 0.5, 0.95))
            ax.plot([low, high], [row + shift] * 2, color=colour, linewidth=5, alpha=0.5, solid_capstyle="butt")
            ax.plot(middle, row + shift, "|", color=colour, markersize=11, markeredgewidth=2)
    ax.set_yticks(range(len(LEVELS)), LEVELS.values(), fontsize=8)
    ax.set(xlabel="gray level, 1 is white", xlim=(0, None))
