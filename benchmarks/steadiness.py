"""Memory and time of a training step over 2,000 iterations: `python -m benchmarks.steadiness FOLDER`.

Writes steadiness.csv and steadiness.png into FOLDER, and prints by how much memory and step time drift.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import psutil
from matplotlib.figure import Figure

from benchmarks.measure import duration
from benchmarks.training import make_trainer
from drgan_lib.config import load_experiment
from drgan_lib.files import atomic_path

ITERATIONS = 2000
EVERY = 20  # iterations between two records
SETTLED = 200  # iterations after which the allocators have what they need


def record(iterations: int = ITERATIONS, *, every: int = EVERY, n_layouts: int = 8) -> pd.DataFrame:
    """Trains on transport; a row per `every` iterations: `iteration`, `memory_mib`, `step_s`.

    `memory_mib` is the resident memory of the process, `step_s` the median wall time of the steps since the last row.
    """
    trainer = make_trainer(load_experiment("twin", "paper", {"gan.spp": 100}), n_layouts=n_layouts, n_patches=n_layouts)
    real = trainer.images[:, None, None]
    process, rows, times = psutil.Process(), [], []
    for k in range(iterations):
        patch, layout = real[k % n_layouts], trainer.layouts[(k // n_layouts + k) % n_layouts]
        times.append(duration(lambda p=patch, x=layout, k=k: trainer.step(p, [x], seeds=[k])))
        if (k + 1) % every == 0:
            rows.append((k + 1, process.memory_info().rss / 2**20, median(times)))
            times = []
    return pd.DataFrame(rows, columns=["iteration", "memory_mib", "step_s"])


def drift(table: pd.DataFrame) -> tuple[float, float]:
    """Growth of the memory in MiB per 1,000 iterations after the first `SETTLED`, and the step time's ratio.

    The ratio is that of the median of the last quarter to the median of the first. The growth is NaN where fewer
    than two rows are left.
    """
    settled = table[table["iteration"] > SETTLED]
    growth = float("nan")
    if len(settled) > 1:
        growth = 1000 * float(np.polyfit(settled["iteration"], settled["memory_mib"], 1)[0])
    quarter = max(1, len(table) // 4)
    return growth, float(table["step_s"].tail(quarter).median() / table["step_s"].head(quarter).median())


def plot(table: pd.DataFrame, path: Path) -> None:
    """Memory above step time by iteration, both from zero on, as a PNG."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    memory, step = figure.subplots(2, 1, sharex=True)
    memory.plot(table["iteration"], table["memory_mib"] / 1024, color="black")
    memory.set_ylabel("resident memory (GiB)")
    step.plot(table["iteration"], 1000 * table["step_s"], color="black")
    step.set(xlabel="iteration", ylabel="step time (ms)")
    for axes in (memory, step):
        axes.set_ylim(0, 1.2 * axes.dataLim.ymax)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steadiness", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where steadiness.csv and steadiness.png go")
    folder = parser.parse_args().folder
    table = record()
    with atomic_path(folder / "steadiness.csv") as temporary:
        table.to_csv(temporary, index=False)
    plot(table, folder / "steadiness.png")
    growth, ratio = drift(table)
    print(f"memory: {growth:+.1f} MiB per 1000 iterations after the first {SETTLED}")
    print(f"step time: last quarter / first quarter = {ratio:.3f}")
    print(f"written to {folder}")


if __name__ == "__main__":
    main()
