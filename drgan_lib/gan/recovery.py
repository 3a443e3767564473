"""What chapter 03 reports: distances of the selected epoch, and on a twin the recovery of the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.gan.features import FID
from drgan_lib.gan.select import SPREAD_DEFINITION, selected_epoch
from drgan_lib.gan.train import epoch_records

RECOVERY_DEFINITION = (
    "Wasserstein-1 distance between learned and true parameters divided by the width of the bounds, mean "
    "over the parameters that both know (0: recovered, 1: at opposite bounds)"
)


def parameter_distance(positions: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Wasserstein-1 distance per parameter [p] between positions, learned [n, p] and true [m, p].

    Positions are divided by the width of the bounds already, so distances are in [0, 1], unless the truth lies outside
    the bounds of what learns. Raises `ValueError`
    for an empty set or differing numbers of parameters.
    """
    positions, truth = np.atleast_2d(positions), np.atleast_2d(truth)
    if positions.shape[1] != truth.shape[1] or 0 in (*positions.shape, *truth.shape):
        raise ValueError(f"expected two sets [n >= 1, p] of one p, got shapes {positions.shape} and {truth.shape}")
    return np.array([wasserstein_distance(a, b) for a, b in zip(positions.T, truth.T, strict=True)])


def recovery(exp: Experiment, truth: Path) -> dict[str, Any]:
    """Compares learned parameters (untrained, selected epoch) with the twin's; writes recovery.json and recovery.csv.

    `truth` is the twin's truth.csv, see `true_parameters`. Each parameter has, in physical units, the mean and standard
    deviation of the truth (`true_mean`, `true_std`), of the selected epoch (`learned_...`) and of the untrained network
    (`untrained_...`), and its distances to the truth `before` and `after` training. Raises `ValueError` for a material
    that is no twin.
    """
    material = exp.material
    if material.dataset.twin_of is None:
        raise ValueError(
            f"the true parameters of {material.name} are not known; recovery is for twins: set dataset.twin_of"
        )
    true = true_parameters(exp, truth)
    chosen = selected_epoch(exp)
    tables = {epoch: learned_parameters(exp, epoch)[list(true)] for epoch in (0, chosen)}
    low, high = np.array([material.bounds[name] for name in true]).T
    before, after = (
        parameter_distance((tables[epoch] - low) / (high - low), (true - low) / (high - low)) for epoch in (0, chosen)
    )
    columns = {}
    for name, table in (("true", true), ("learned", tables[chosen]), ("untrained", tables[0])):
        columns |= {f"{name}_mean": table.mean(), f"{name}_std": table.std(ddof=0)}
    rows = pd.DataFrame({**columns, "before": before, "after": after})
    with atomic_path(exp.stage_dir("gan") / "recovery.csv") as temporary:
        rows.to_csv(temporary, index_label="parameter")
    result = {
        "definition": RECOVERY_DEFINITION,
        "twin_of": material.dataset.twin_of,
        "epoch": chosen,
        "before": float(before.mean()),
        "after": float(after.mean()),
        "parameters": rows.to_dict(orient="index"),
        "without_truth": [name for name in material.parameters if name not in true],
    }
    write_json(exp.stage_dir("gan") / "recovery.json", result)
    return result


def true_parameters(exp: Experiment, truth: Path) -> pd.DataFrame:
    """Parameters of the twin's training micrographs (those that the GAN saw), in physical units, one row for each.

    `truth` is the twin's truth.csv with the column `split` and one for each parameter of the twin. The columns are
    those that `exp` learns too; `ValueError` if there are none.
    """
    table = pd.read_csv(truth)
    known = [name for name in exp.material.parameters if name in table]
    if not known:
        raise ValueError(
            f"{truth} and {exp.material.name} have no parameter in common: there are {', '.join(table)}, learned are "
            f"{', '.join(exp.material.parameters)}; choose another dataset.twin_of"
        )
    return table.loc[table["split"] == "train", known].reset_index(drop=True)


def learned_parameters(exp: Experiment, epoch: int) -> pd.DataFrame:
    """Parameters of the synthetic images by which `epoch` was judged, in physical units, one row for each."""
    positions = next(row["positions"] for row in epoch_records(exp) if row["epoch"] == epoch)
    low, high = np.array(list(exp.material.bounds.values())).T
    return pd.DataFrame(low + np.asarray(positions, dtype=float) * (high - low), columns=list(exp.material.parameters))


def write_figures_json(exp: Experiment) -> Path:
    """Writes figures.json for the report: distances of the selected epoch, and a twin's recovery."""
    stage = exp.stage_dir("gan")
    row = next(row for row in epoch_records(exp) if row["epoch"] == selected_epoch(exp))
    n = len(row["positions"])
    name = row["features"]
    network = "Inception (pytorch-fid)" if name == FID else "EfficientNet-Lite0, not FID"
    where = {"split": "train", "epoch": row["epoch"]}
    figures = {
        name: {
            "value": row["fd"],
            "definition": f"Frechet distance, features of {network}, {n} real and {n} synthetic patches",
            **where,
        },
        "kid" if name == FID else name.replace("fd_", "kd_"): {
            "value": row["kid"],
            "standard_error": row["kid_std"],
            "definition": f"kernel distance as in KID (cubic polynomial MMD), features of {network}, same patches",
            **where,
        },
        "parameter_spread": {"value": row["spread"], "definition": SPREAD_DEFINITION, **where},
    }
    if (stage / "recovery.json").is_file():
        found = read_json(stage / "recovery.json")
        for moment in ("before", "after"):
            figures[f"recovery_{moment}"] = {
                "value": found[moment],
                "definition": f"{found['definition']}; {moment} training",
                "split": "train",
                "epoch": found["epoch"] if moment == "after" else 0,
            }
    path = stage / "figures.json"
    write_json(path, figures)
    return path
