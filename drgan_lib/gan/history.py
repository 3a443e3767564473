"""What a training leaves: tables by epoch, the epoch that goes on to synthesis, and how much of the truth it found."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.gan import checkpoint
from drgan_lib.gan.features import FID
from drgan_lib.gan.networks import Generator
from drgan_lib.metric import Metric, write_metrics

RECOVERY_DEFINITION = (
    "Wasserstein-1 distance between learned and true parameters divided by the width of the bounds, mean "
    "over the parameters that both know (0: recovered, 1: at opposite bounds)"
)
SPREAD_DEFINITION = "mean over parameters of std(position in bounds) / std of the uniform distribution (1 / sqrt(12))"
WORK = {
    "precomputed light transport": "seconds_preparation",
    "rendering and the generator's network": "seconds_render",
    "objective": "seconds_objective",
    "features of synthetic images": "seconds_features",
}


def write_history(exp: Experiment, folder: Path, checkpoints: Path) -> pd.DataFrame:
    """Rebuilds history.csv and learned.csv from the checkpoints, so that nothing is lost on resuming.

    Returns the former: a row per epoch, from the untrained one to the last that the settings ask for.
    """
    contents = [c for c in checkpoint.readable(checkpoints) if c["epoch"] <= exp.profile.gan.epochs][::-1]
    low, high = np.array(list(exp.material.bounds.values())).T
    physical = {c["epoch"]: pd.DataFrame(low + c["positions"].double().numpy() * (high - low)) for c in contents}
    learned = pd.concat(physical, names=["epoch", "image"]).set_axis(list(exp.material.parameters), axis="columns")
    by_epoch = learned.groupby("epoch")
    history = pd.DataFrame([c["record"] for c in contents]).set_index("epoch")
    history = history.assign(**by_epoch.mean().add_suffix("_mean"), **by_epoch.std(ddof=0).add_suffix("_std"))
    for name, table in (("history", history), ("learned", learned)):
        with atomic_path(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary)
    return history


def read_history(folder: Path) -> pd.DataFrame:
    """history.csv, a row per epoch from 0 (untrained) on; `CheckpointError` if there is none."""
    return pd.read_csv(_existing(folder / "history.csv"), index_col="epoch", float_precision="round_trip")


def learned_parameters(folder: Path) -> pd.DataFrame:
    """learned.csv, physical parameters of the synthetic images by which each epoch was judged.

    The index is `epoch` and `image`. Raises `CheckpointError` if there is none.
    """
    return pd.read_csv(_existing(folder / "learned.csv"), index_col=["epoch", "image"], float_precision="round_trip")


def time_spent(history: pd.DataFrame) -> pd.DataFrame:
    """Where the training's wall time went: a row per kind of work, `seconds` and `share` of the sum.

    "rest" is what the other rows leave: augmentation, measurement of distances, checkpoints.
    """
    seconds = pd.Series({kind: history[column].sum() for kind, column in WORK.items()})
    whole = history["seconds"].sum() + history["seconds_preparation"].sum()
    seconds["rest"] = whole - seconds.sum()
    return pd.DataFrame({"seconds": seconds, "share": seconds / whole})


def select_epoch(folder: Path, *, objective: str = "gan") -> dict[str, Any]:
    """Chooses the epoch from history.csv and writes selected.json: `epoch`, its distances, and the candidates.

    After a `gan` as in the paper: among the five trained epochs of lowest Frechet distance, the one with the broadest
    parameter distribution, so that a generator that gives all images the same appearance is not preferred for its
    distance. Of fewer than ten trained epochs only the better half are candidates. `moments` compare sets of images, of
    which too alike ones are as far as too different ones: there, the lowest distance decides. Raises `CheckpointError`
    if no epoch is trained.
    """
    trained = read_history(folder).loc[1:]
    if trained.empty:
        raise checkpoint.CheckpointError(f"{folder} holds no trained epoch; train the GAN first (chapter 03)")
    nearest = trained.nsmallest(min(5, max(1, len(trained) // 2)), "fd")
    candidates = nearest[["fd", "kid", "kid_std", "spread"]].reset_index().to_dict("records")
    broadest = max(candidates, key=lambda row: (row["spread"], -row["fd"]))
    of_broadest = f"broadest parameter distribution among the {len(candidates)} epochs of lowest Frechet distance"
    chosen, rule = {
        "gan": (broadest, of_broadest),
        "moments": (candidates[0], "lowest Frechet distance"),
    }[objective]
    selected = {
        **chosen,
        "features": nearest["features"].iloc[0],
        "spread_definition": SPREAD_DEFINITION,
        "rule": rule,
        "candidates": candidates,
    }
    write_json(folder / "selected.json", selected)
    return selected


def selected_epoch(folder: Path) -> int:
    """Number of the epoch that `select_epoch` chose; `CheckpointError` if it has not run."""
    return read_json(_existing(folder / "selected.json"))["epoch"]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise checkpoint.CheckpointError(f"{path} does not exist; train the GAN first (chapter 03)")
    return path


def load_generator(exp: Experiment, folder: Path, *, epoch: int | None = None, device: str = "cpu") -> Generator:
    """Generator of `epoch`, or of the selected one, of the training in `folder`.

    Raises `CheckpointError` if there is none, or if it is of another material.
    """
    epoch = selected_epoch(folder) if epoch is None else epoch
    path = checkpoint.checkpoint_path(folder / "checkpoints", epoch)
    content = checkpoint.read(path)
    checkpoint.require_same(content["identity"], checkpoint.generator_identity(exp), path)
    generator = Generator(exp.material, exp.profile.gan)
    generator.load_state_dict(content["generator"])
    return generator.to(device)


def parameter_distance(positions: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Wasserstein-1 distance per parameter [p] between positions, learned [n, p] and true [m, p].

    Positions are fractions of the width of the bounds, so distances are in [0, 1] unless the truth lies outside the
    bounds. Raises `ValueError` for an empty set or differing numbers of parameters.
    """
    positions, truth = np.atleast_2d(positions), np.atleast_2d(truth)
    if positions.shape[1] != truth.shape[1] or 0 in (*positions.shape, *truth.shape):
        raise ValueError(f"expected two sets [n >= 1, p] of one p, got shapes {positions.shape} and {truth.shape}")
    return np.array([wasserstein_distance(a, b) for a, b in zip(positions.T, truth.T, strict=True)])


def true_parameters(exp: Experiment, truth: Path) -> pd.DataFrame:
    """Physical parameters of the twin's training micrographs, those that the GAN saw; one row for each.

    `truth` is the twin's truth.csv with the column `split` and one for each parameter of the twin. The columns of the
    result are those that `exp` learns too; `ValueError` if there are none.
    """
    table = pd.read_csv(truth)
    known = [name for name in exp.material.parameters if name in table]
    if not known:
        raise ValueError(
            f"{truth} and {exp.material.name} have no parameter in common: there are {', '.join(table)}, learned are "
            f"{', '.join(exp.material.parameters)}; choose another dataset.twin_of"
        )
    return table.loc[table["split"] == "train", known].reset_index(drop=True)


def recovery(exp: Experiment, folder: Path, truth: Path) -> dict[str, Any]:
    """Compares the parameters learned in `folder` with the twin's; writes recovery.json and recovery.csv there.

    `truth` is the twin's truth.csv, see `true_parameters`. Each parameter has, in physical units, the mean and standard
    deviation of the truth (`true_mean`, `true_std`), of the selected epoch (`learned_...`) and of the untrained network
    (`untrained_...`), and its distances to the truth `before` and `after` training. `noise_at_white` has the same of a
    white pixel's noise, in which Gaussian noise and shot noise can stand in for each other; it is no part of the means.
    Raises `ValueError` for a material that is no twin.
    """
    material = exp.material
    if material.dataset.twin_of is None:
        raise ValueError(f"the true parameters of {material.name} are not known; for a twin's set dataset.twin_of")
    known, chosen = list(true_parameters(exp, truth)), selected_epoch(folder)
    true, bounds = pd.read_csv(truth).query("split == 'train'"), pd.DataFrame(material.bounds)
    untrained, learned = (learned_parameters(folder).loc[epoch] for epoch in (0, chosen))
    true, untrained, learned, bounds = (
        table[known].assign(noise_at_white=np.hypot(table["noise_sigma"], table.get("shot_noise", 0.0)))
        for table in (true, untrained, learned, bounds)
    )
    columns, (low, high) = {}, bounds.to_numpy()
    for name, table in (("true", true), ("learned", learned), ("untrained", untrained)):
        columns |= {f"{name}_mean": table.mean(), f"{name}_std": table.std(ddof=0)}
    for name, table in (("before", untrained), ("after", learned)):
        columns[name] = parameter_distance((table - low) / (high - low), (true - low) / (high - low))
    rows = pd.DataFrame(columns)
    with atomic_path(folder / "recovery.csv") as temporary:
        rows.to_csv(temporary, index_label="parameter")
    parameters = rows.loc[known]
    result = {
        "definition": RECOVERY_DEFINITION,
        "twin_of": material.dataset.twin_of,
        "epoch": chosen,
        **parameters[["before", "after"]].mean().to_dict(),
        "parameters": parameters.to_dict(orient="index"),
        "noise_at_white": rows.loc["noise_at_white"].to_dict(),
        "without_truth": [name for name in material.parameters if name not in known],
    }
    write_json(folder / "recovery.json", result)
    return result


def write_summary(folder: Path, recovered: dict[str, Any] | None = None) -> dict[str, Metric]:
    """Writes metrics.json: distances of the selected epoch and, if given, the result of `recovery`."""
    chosen = selected_epoch(folder)
    row = read_history(folder).loc[chosen]
    n, name = len(learned_parameters(folder).loc[chosen]), row["features"]
    network = "Inception (pytorch-fid)" if name == FID else "EfficientNet-Lite0, not FID"
    sets = f"features of {network}, {n} real and {n} synthetic patches"
    kernel = "kid" if name == FID else name.replace("fd_", "kd_")
    words = f"kernel distance as in KID (cubic polynomial MMD), {sets}"
    found = {
        name: Metric(row["fd"], f"Frechet distance, {sets}"),
        kernel: Metric(row["kid"], words, more={"standard_error": row["kid_std"]}),
        "parameter_spread": Metric(row["spread"], SPREAD_DEFINITION),
    }
    for moment in ("before", "after") if recovered else ():
        found[f"recovery_{moment}"] = Metric(recovered[moment], f"{recovered['definition']}; {moment} training")
    of_epoch = {name: 0 if name == "recovery_before" else chosen for name in found}
    metrics = {
        name: replace(metric, split="train", n=n, more={**metric.more, "epoch": of_epoch[name]})
        for name, metric in found.items()
    }
    write_metrics(folder / "metrics.json", metrics)
    return metrics
