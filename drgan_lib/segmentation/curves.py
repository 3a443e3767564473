"""How the trainings of a run went: nnU-Net's logs as tables, and as curves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from drgan_lib.classes import BACKGROUND, LABELS, SEAM_LABELS
from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path
from drgan_lib.segmentation.figures import SERIES
from drgan_lib.segmentation.segment import model_folders

TRAINING = ("fold", "epoch", "learning_rate", "train_loss", "val_loss", "seconds")
DASHES = {"particle": "-", "contour": "--", "particle_at_seam": ":", "contour_at_seam": "-."}
_LINES = {
    "learning_rate": r"Current learning rate: (\S+)",
    "train_loss": r"train_loss (\S+)",
    "val_loss": r"val_loss (\S+)",
    "seconds": r"Epoch time: (\S+) s",
}


def training_curves(exp: Experiment) -> Path | None:
    """Draws the trainings of all models of the run to training.png in the stage's folder; None if none was trained."""
    logs: dict[str, list[Path]] = {}
    for arm, _, place in model_folders(exp):
        if (place / "nnunet.log").is_file():
            logs.setdefault(arm, []).append(place / "nnunet.log")
    if not logs:
        return None
    path = exp.stage_dir("segmentation") / "training.png"
    with atomic_path(path) as temporary:
        plot_training(logs).savefig(temporary, dpi=100)
    return path


def read_training(log: str | Path) -> pd.DataFrame:
    """nnU-Net's log as a table: a row per complete epoch (numbered from 0, as nnU-Net does) of each fold.

    Columns: fold ("all" where there is one training), epoch, learning_rate, train_loss, val_loss, seconds, and
    dice_particle, dice_contour, and of a network that learned seams the same with _at_seam: the pseudo-Dice, taken over
    the pixels of a few validation patches. An epoch that was
    repeated after an interruption counts as it was repeated. Raises `FileNotFoundError` if there is no log.
    """
    if not Path(log).is_file():
        raise FileNotFoundError(f"expected nnU-Net's log {log}, found none; train the network first")
    classes: dict[str, int] = LABELS
    rows, row, fold = {}, {}, "all"
    for line in Path(log).read_text(errors="replace").splitlines():
        if of_fold := re.match(r"STAGE fold (\S+)", line):
            fold = of_fold[1]
        if start := re.search(r": Epoch (\d+)\s*$", line):
            row = {"fold": fold, "epoch": int(start[1])}
        for name, pattern in _LINES.items():
            if found := re.search(pattern, line):
                row[name] = float(found[1])
        if found := re.search(r"Pseudo dice \[(.*)\]", line):
            values = re.findall(r"(?:\((\S+?)\)|([^\s,()]+))(?:,|$)", found[1])
            classes = LABELS if len(values) < len(LABELS) else SEAM_LABELS
            row.update(zip(_dice(classes), (float(a or b) for a, b in values), strict=True))
        if "seconds" in row:
            rows[row["fold"], row["epoch"]], row = row, {}
    return pd.DataFrame([rows[place] for place in sorted(rows)], columns=[*TRAINING, *_dice(classes)])


def _dice(classes: Mapping[str, int]) -> list[str]:
    return [f"dice_{name}" for name, value in classes.items() if value != BACKGROUND]


def plot_training(logs: Mapping[str, Sequence[str | Path]]) -> Figure:
    """Training loss and pseudo-Dice by epoch from nnU-Net's logs: a colour per name (an arm), a line per training.

    A log (of a seed) holds one training, or one per fold. Of the pseudo-Dice the particles are drawn solid, the contour
    dashed, and what of both lies at seams, if the network learned it apart, dotted and dash-dotted.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    loss, dice = figure.subplots(1, 2)
    drawn: dict[str, Line2D] = {}
    for number, (name, paths) in enumerate(logs.items()):
        colour = SERIES[number % len(SERIES)]
        for path in paths:
            for _, table in read_training(path).groupby("fold"):
                style = {"color": colour, "lw": 1.4, "alpha": 0.8, "marker": "o" if len(table) < 2 else None}
                loss.plot(table["epoch"], table["train_loss"], **style)
                for name_of_class, dashes in DASHES.items():
                    if (column := f"dice_{name_of_class}") in table:
                        dice.plot(table["epoch"], table[column], ls=dashes, **style)
                        drawn[name_of_class.replace("_", " ")] = Line2D([], [], color="0.3", ls=dashes)
        loss.plot([], color=colour, label=f"{name} ({len(paths)} {'seed' if len(paths) == 1 else 'seeds'})")
    loss.set_ylabel("training loss (cross-entropy - Dice)")
    dice.set_ylabel("pseudo-Dice")
    dice.set_ylim(0, 1)
    dice.legend(drawn.values(), drawn.keys(), frameon=False)
    for axes in (loss, dice):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    if logs:
        loss.legend(frameon=False)
    return figure
