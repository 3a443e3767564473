"""The plots of chapter 03."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from drgan_lib.config import Experiment
from drgan_lib.gan.features import FID
from drgan_lib.gan.history import learned_parameters, read_history, selected_epoch, true_parameters

REAL, SYNTHETIC, TRUTH = "tab:blue", "tab:orange", "tab:green"


def plot_curves(folder: Path) -> Figure:
    """Losses, Frechet distance, kernel distance with its standard error, and parameter spread by epoch."""
    table, chosen = read_history(folder), selected_epoch(folder)
    figure, panels = plt.subplots(2, 2, figsize=(10, 6.5), layout="constrained")
    losses, frechet, kid, spread = panels.ravel()
    for name, color in (("generator", SYNTHETIC), ("discriminator", REAL)):
        if (column := f"loss_{name}") in table:
            losses.plot(table[column], "o-", ms=3, color=color, label=name)
    frechet.plot(table["fd"], "o-", ms=3, color="black")
    kid.errorbar(table.index, table["kid"], yerr=table["kid_std"], fmt="o-", ms=3, capsize=2, color="black")
    spread.plot(table["spread"], "o-", ms=3, color="black")
    labels = {
        losses: "loss, mean of the epoch",
        frechet: "FID" if table["features"].iloc[0] == FID else "Frechet distance\n(EfficientNet-Lite0, not FID)",
        kid: "kernel distance ± standard error",
        spread: "parameter spread (1: uniform)",
    }
    for axes, label in labels.items():
        axes.axvline(chosen, color="tab:red", lw=1, ls="--", label=f"selected: epoch {chosen}")
        axes.set(xlabel="epoch (0: untrained)", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
    losses.legend(frameon=False)
    return figure


def plot_rows(rows: dict[str, Sequence[np.ndarray]]) -> Figure:
    """A row of images [h, w] for each name, all rows of one length, on the gray scale from 0 (black) to 1 (white)."""
    n = len(next(iter(rows.values())))
    figure, grid = plt.subplots(len(rows), n, figsize=(1.6 * n, 1.8 * len(rows)), squeeze=False, layout="constrained")
    for axes_row, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image in zip(axes_row, images, strict=True):
            axes.imshow(image, cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        axes_row[0].set_ylabel(name)
    return figure


def plot_parameters(exp: Experiment, folder: Path, *, truth: Path | None = None) -> Figure:
    """Distribution of every learned parameter by epoch, with its bounds as axis limits.

    `truth` is a twin's truth.csv; its training micrographs give the dashed median and the 5 to 95 % band of those
    parameters that it knows.
    """
    learned = learned_parameters(folder)
    true = pd.DataFrame() if truth is None else true_parameters(exp, truth)
    names, chosen = exp.material.parameters, selected_epoch(folder)
    n_columns = min(4, len(names))
    n_rows = -(-len(names) // n_columns)
    size = (3 * n_columns, 2.6 * n_rows)
    figure, panels = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")
    for axes, name in zip(panels.flat, names, strict=False):
        bands = learned.groupby("epoch")[name].quantile([0.05, 0.25, 0.5, 0.75, 0.95]).unstack()
        axes.fill_between(bands.index, bands[0.05], bands[0.95], color=SYNTHETIC, alpha=0.2, lw=0, label="5 to 95 %")
        axes.fill_between(bands.index, bands[0.25], bands[0.75], color=SYNTHETIC, alpha=0.4, lw=0, label="25 to 75 %")
        axes.plot(bands.index, bands[0.5], "o-", ms=3, color=SYNTHETIC, label="median")
        if name in true:
            axes.axhspan(*np.percentile(true[name], [5, 95]), color=TRUTH, alpha=0.2, lw=0)
            axes.axhline(np.median(true[name]), color=TRUTH, ls="--", label="truth")
        axes.axvline(chosen, color="tab:red", lw=1, ls="--")
        unit = " (intensity)" if "noise" in name else ""  # the parameters of the BSDF have none
        axes.set(ylim=exp.material.bounds[name], ylabel=name.replace("_", " ") + unit, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in panels.flat[len(names) :]:
        axes.remove()
    panels[0, 0].legend(frameon=False, fontsize="small")
    return figure


def plot_recovery(exp: Experiment, recovered: dict[str, Any]) -> Figure:
    """True, learned and untrained mean ± standard deviation of each parameter within its bounds, from `recovery`."""
    table = pd.DataFrame(recovered["parameters"]).T[::-1]
    low, high = np.array([exp.material.bounds[name] for name in table.index]).T
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.55 * len(table)), layout="constrained")
    places = np.arange(len(table))
    for kind, colour, offset in (("true", TRUTH, 0.2), ("learned", SYNTHETIC, 0.0), ("untrained", "tab:gray", -0.2)):
        position, width = (table[f"{kind}_mean"] - low) / (high - low), table[f"{kind}_std"] / (high - low)
        axes.errorbar(position, places + offset, xerr=width, fmt="o", ms=5, capsize=3, color=colour, label=kind)
    for place, before, after in zip(places, table["before"], table["after"], strict=True):
        axes.text(1.02, place, f"{before:.2f} to {after:.2f}", transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(places, [name.replace("_", " ") for name in table.index])
    axes.set(xlim=(0, 1), xlabel="position within the bounds (right: distance before and after training)")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure
