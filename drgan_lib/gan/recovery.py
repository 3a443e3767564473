"""What chapter 03 reports: distances of the selected epoch, and on a twin the recovery of the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from drgan_lib.config import Experiment
from drgan_lib.files import read_json, write_json
from drgan_lib.gan.features import FID
from drgan_lib.gan.select import SPREAD_DEFINITION, selected_epoch
from drgan_lib.gan.train import epoch_records

RECOVERY_DEFINITION = (
    "Wasserstein-1 distance between learned and true parameters divided by the width of the bounds, mean "
    "over the parameters (0: recovered, 1: at opposite bounds)"
)


def parameter_distance(positions: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Wasserstein-1 distance per parameter [p] between positions, learned [n, p] and true [m, p].

    Positions are divided by the width of the bounds already, so distances are in [0, 1]. Raises `ValueError`
    for an empty set or differing numbers of parameters.
    """
    positions, truth = np.atleast_2d(positions), np.atleast_2d(truth)
    if positions.shape[1] != truth.shape[1] or 0 in (*positions.shape, *truth.shape):
        raise ValueError(f"expected two sets [n >= 1, p] of one p, got shapes {positions.shape} and {truth.shape}")
    return np.array([wasserstein_distance(a, b) for a, b in zip(positions.T, truth.T, strict=True)])


def recovery(exp: Experiment, truth: Path) -> dict[str, Any]:
    """Compares learned parameters (untrained, selected epoch) with the twin's; writes recovery.json.

    `truth` is the twin's truth.csv: one row per micrograph, one column per parameter in physical units, and
    `split`. The training micrographs count, since the GAN saw those. Raises `ValueError` for a material that
    is no twin.
    """
    material = exp.material
    if material.dataset.twin_of is None:
        raise ValueError(f"the true parameters of {material.name} are not known; recovery is for materials with a twin")
    rows = {row["epoch"]: row for row in epoch_records(exp)}
    chosen = selected_epoch(exp)
    true_positions = truth_positions(exp, truth)
    before, after = (parameter_distance(rows[epoch]["positions"], true_positions) for epoch in (0, chosen))
    result = {
        "definition": RECOVERY_DEFINITION,
        "epoch": chosen,
        "before": float(before.mean()),
        "after": float(after.mean()),
        "parameters": {
            name: {"before": float(b), "after": float(a)}
            for name, b, a in zip(material.parameters, before, after, strict=True)
        },
    }
    write_json(exp.stage_dir("gan") / "recovery.json", result)
    return result


def truth_positions(exp: Experiment, truth: Path) -> np.ndarray:
    """Parameters of the twin's training micrographs [m, n_parameters] as positions within the bounds."""
    table = pd.read_csv(truth)
    low, high = np.array(list(exp.material.bounds.values())).T
    return (table.loc[table["split"] == "train", list(exp.material.parameters)].to_numpy() - low) / (high - low)


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
