"""Figures of chapter 03, written as PNG files into the stage's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path
from drgan_lib.gan.features import FID
from drgan_lib.gan.networks import Generator, RendererLike
from drgan_lib.gan.recovery import learned_parameters, true_parameters
from drgan_lib.gan.select import selected_epoch
from drgan_lib.gan.train import epoch_records
from drgan_lib.gan.trainer import derive_seed

UNITS = {"noise_sigma": "intensity"}  # the other parameters of the BSDF have no unit
REAL, SYNTHETIC, TRUTH = "tab:blue", "tab:orange", "tab:green"


def plot_curves(exp: Experiment) -> Path:
    """Losses, Frechet distance, kernel distance with its standard error and parameter spread by epoch: curves.png."""
    table = pd.read_csv(exp.stage_dir("gan") / "history.csv")
    chosen = selected_epoch(exp)
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    losses, frechet, kid, spread = figure.subplots(2, 2).ravel()
    losses.plot(table["epoch"], table["loss_generator"], "o-", ms=3, color=SYNTHETIC, label="generator")
    losses.plot(table["epoch"], table["loss_discriminator"], "o-", ms=3, color=REAL, label="discriminator")
    losses.set_ylabel("LSGAN loss, mean of the epoch")
    frechet.plot(table["epoch"], table["fd"], "o-", ms=3, color="black")
    frechet.set_ylabel("FID" if table["features"].iloc[0] == FID else "Frechet distance\n(EfficientNet-Lite0, not FID)")
    kid.errorbar(table["epoch"], table["kid"], yerr=table["kid_std"], fmt="o-", ms=3, capsize=2, color="black")
    kid.set_ylabel("kernel distance ± standard error")
    spread.plot(table["epoch"], table["spread"], "o-", ms=3, color="black")
    spread.set_ylabel("parameter spread (1: uniform)")
    for axes in (losses, frechet, kid, spread):
        axes.axvline(chosen, color="tab:red", lw=1, ls="--", label=f"selected: epoch {chosen}")
        axes.set_xlabel("epoch (0: untrained)")
        axes.xaxis.get_major_locator().set_params(integer=True)
    losses.legend(frameon=False)
    return _save(figure, exp, "curves.png")


@torch.no_grad()
def plot_samples(
    exp: Experiment, patches: Any, generator: Generator, renderer: RendererLike, layouts: Any, *, n: int = 8
) -> Path:
    """A row of `n` real training patches above a row of `n` synthetic images of `generator`: samples.png."""
    real = patches.train[np.linspace(0, len(patches.train) - 1, min(n, len(patches.train))).astype(int)]
    synthetic = [
        generator.sample(renderer, layouts[k % len(layouts)], seed=derive_seed(exp.seed, k))[0][0, 0].cpu().numpy()
        for k in range(len(real))
    ]
    figure = Figure(figsize=(1.5 * len(real), 3.4), layout="constrained")
    draw_rows(figure, {"real": real, "synthetic": synthetic})
    return _save(figure, exp, "samples.png")


def draw_rows(figure: Figure, rows: dict[str, Sequence[np.ndarray]]) -> None:
    """A row of images for each name, all rows of one length, on the gray scale from 0, black, to 1."""
    grid = figure.subplots(len(rows), len(next(iter(rows.values()))), squeeze=False)
    for axes_row, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image in zip(axes_row, images, strict=True):
            axes.imshow(image, cmap="gray", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
        axes_row[0].set_ylabel(name)


def plot_parameters(exp: Experiment, *, truth: Path | None = None) -> Path:
    """Distribution of every learned parameter by epoch, bounds as axis limits: parameters.png.

    `truth` is a twin's truth.csv; its training micrographs give the dashed median and the 5 to 95 % band of those
    parameters that it knows.
    """
    epochs = [row["epoch"] for row in epoch_records(exp)]
    learned = [learned_parameters(exp, epoch) for epoch in epochs]
    true = pd.DataFrame() if truth is None else true_parameters(exp, truth)
    names = exp.material.parameters
    n_columns = min(4, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(3 * n_columns, 2.6 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        _bands(axes, epochs, [table[name] for table in learned])
        if name in true:
            axes.axhspan(*np.percentile(true[name], [5, 95]), color=TRUTH, alpha=0.2, lw=0)
            axes.axhline(np.median(true[name]), color=TRUTH, ls="--", label="truth")
        axes.axvline(selected_epoch(exp), color="tab:red", lw=1, ls="--")
        axes.set_ylim(*exp.material.bounds[name])
        axes.set_ylabel(f"{name.replace('_', ' ')}{f' ({UNITS[name]})' if name in UNITS else ''}")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in panels[len(names) :]:
        axes.remove()
    panels[0].legend(frameon=False, fontsize="small")
    return _save(figure, exp, "parameters.png")


def plot_recovery(exp: Experiment, recovered: dict[str, Any]) -> Path:
    """True, learned and untrained mean ± standard deviation of each parameter within its bounds: recovery.png.

    `recovered` is the result of `recovery`.
    """
    names = list(recovered["parameters"])
    figure = Figure(figsize=(8, 1.2 + 0.55 * len(names)), layout="constrained")
    axes = figure.subplots()
    series = (("true", TRUTH, 0.2), ("learned", SYNTHETIC, 0.0), ("untrained", "tab:gray", -0.2))
    for place, name in enumerate(reversed(names)):
        row, (low, high) = recovered["parameters"][name], exp.material.bounds[name]
        for kind, colour, offset in series:
            mean, std = row[f"{kind}_mean"], row[f"{kind}_std"]
            label = kind if place == 0 else None
            position, width = (mean - low) / (high - low), std / (high - low)
            axes.errorbar(position, place + offset, xerr=width, fmt="o", ms=5, capsize=3, color=colour, label=label)
        distances = f"{row['before']:.2f} to {row['after']:.2f}"
        axes.text(1.02, place, distances, transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in reversed(names)])
    axes.set_xlim(0, 1)
    axes.set_xlabel("position within the bounds (right: distance before and after training)")
    figure.legend(loc="outside upper center", ncols=len(series), frameon=False)
    return _save(figure, exp, "recovery.png")


def _bands(axes: Axes, epochs: list[int], values: list[np.ndarray]) -> None:
    """Median with the 25 to 75 % and the 5 to 95 % band by epoch."""
    p5, p25, p50, p75, p95 = np.array([np.percentile(v, [5, 25, 50, 75, 95]) for v in values]).T
    axes.fill_between(epochs, p5, p95, color=SYNTHETIC, alpha=0.2, lw=0, label="5 to 95 %")
    axes.fill_between(epochs, p25, p75, color=SYNTHETIC, alpha=0.4, lw=0, label="25 to 75 %")
    axes.plot(epochs, p50, "o-", ms=3, color=SYNTHETIC, label="median")


def _save(figure: Figure, exp: Experiment, name: str) -> Path:
    path = exp.stage_dir("gan") / name
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return path
