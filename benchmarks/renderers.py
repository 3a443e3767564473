"""Do both renderers train the same GAN? `python -m benchmarks.renderers MATERIAL PROFILE EPOCHS SPP OUT [SEED ...]`.

Trains each seed with precomputed transport and with Mitsuba, on the same patches and layouts, with the same random
numbers and samples per pixel, and writes OUT/renderers.csv (a row per renderer, seed and epoch: distances, mean and
standard deviation of each parameter) and OUT/renderers.png. Interrupted, it goes on from the last complete epoch.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from drgan_lib import data, gan, scene
from drgan_lib.config import load_experiment
from drgan_lib.files import atomic_path
from drgan_lib.sources import dataset_folder

RENDERERS = {"mitsuba": "tab:blue", "transport": "tab:orange"}


def compare(material: str, profile: str, epochs: int, spp: int, out: Path, seeds: list[int]) -> pd.DataFrame:
    """The history of every training, with the columns `renderer` and `seed`."""
    tables = []
    for seed in seeds:
        for renderer in reversed(RENDERERS):
            settings = {"gan.epochs": epochs, "gan.spp": spp, "gan.renderer": renderer}
            exp = load_experiment(material, profile, settings, seed=seed, runs=out / f"{renderer}_{seed}")
            data.prepare(exp, dataset_folder(exp), exp.run_dir / "data")
            layouts = scene.load_layouts(scene.prepare(exp, exp.run_dir / "scene"))
            images = data.load_patches(exp.run_dir / "data")[0].images()
            made = scene.make_renderer(exp, stage="gan")
            history = gan.train(exp, images, made, layouts, exp.run_dir / "gan").reset_index()
            tables.append(history.assign(renderer=renderer, seed=seed))
    table = pd.concat(tables)
    with atomic_path(out / "renderers.csv") as temporary:
        table.to_csv(temporary, index=False)
    return table


def plot(table: pd.DataFrame, path: Path) -> None:
    """Each parameter's mean and standard deviation and the Frechet distance by epoch, a colour per renderer."""
    names = [name.removesuffix("_mean") for name in table if name.endswith("_mean")]
    figure = Figure(figsize=(3.2 * 4, 2.6 * -(-(len(names) + 1) // 4)), layout="constrained")
    panels = figure.subplots(-(-(len(names) + 1) // 4), 4, squeeze=False).ravel()
    for (renderer, _), rows in table.groupby(["renderer", "seed"]):
        colour = RENDERERS[renderer]
        for axes, name in zip(panels, names, strict=False):
            mean, std = rows[f"{name}_mean"], rows[f"{name}_std"]
            axes.fill_between(rows["epoch"], mean - std, mean + std, color=colour, alpha=0.15, lw=0)
            axes.plot(rows["epoch"], mean, color=colour, label=renderer)
            axes.set_ylabel(name.replace("_", " "))
        panels[len(names)].plot(rows["epoch"], rows["fd"], color=colour, label=renderer)
    panels[len(names)].set_ylabel(table["features"].iloc[0])
    for axes in panels[: len(names) + 1]:
        axes.set_xlabel("epoch (0: untrained)")
    for axes in panels[len(names) + 1 :]:
        axes.remove()
    handles = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    panels[0].legend(handles.values(), handles.keys(), frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def main(arguments: list[str]) -> None:
    if len(arguments) < 5 or not all(word.isdigit() for word in [*arguments[2:4], *arguments[5:]]):
        raise SystemExit(__doc__)
    material, profile, epochs, spp, out, *seeds = arguments
    table = compare(material, profile, int(epochs), int(spp), Path(out), [int(seed) for seed in seeds] or [0])
    plot(table, Path(out) / "renderers.png")
    last = table[table["epoch"] == int(epochs)].set_index(["renderer", "seed"])
    print(last[[name for name in last if name == "fd" or name.endswith(("_mean", "_std"))]].T.to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
