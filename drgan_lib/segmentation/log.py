"""How the trainings of a run went: nnU-Net's logs as tables."""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from drgan_lib.classes import BACKGROUND, LABELS, SEAM_LABELS
from drgan_lib.segmentation.model import read_models

TRAINING = ("fold", "epoch", "learning_rate", "train_loss", "val_loss", "seconds")
_LINES = {
    "learning_rate": r"Current learning rate: (\S+)",
    "train_loss": r"train_loss (\S+)",
    "val_loss": r"val_loss (\S+)",
    "seconds": r"Epoch time: (\S+) s",
}


def training_logs(folder: str | Path) -> dict[str, list[Path]]:
    """nnU-Net's logs of the networks in the folder of a segmentation stage, by arm, one per seed."""
    logs: dict[str, list[Path]] = {}
    for model in read_models(folder):
        logs.setdefault(model.arm, []).append(model.network.folder / "nnunet.log")
    return logs


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
