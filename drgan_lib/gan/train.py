"""The whole training of an experiment: resumes, evaluates and saves epoch by epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path, require_free_space
from drgan_lib.gan import checkpoint
from drgan_lib.gan.distances import spread
from drgan_lib.gan.features import choose_features
from drgan_lib.gan.networks import Generator, LayoutLike, RendererLike
from drgan_lib.gan.trainer import Trainer, TrainingError


def checkpoint_folder(exp: Experiment) -> Path:
    """Where the experiment's checkpoints lie."""
    return exp.stage_dir("gan") / "checkpoints"


def train(
    exp: Experiment,
    patches: Any,
    renderer: RendererLike,
    layouts: Sequence[LayoutLike],
    *,
    log: Callable[[str], None] = print,
    stop_after: int | None = None,
) -> Path:
    """Trains the experiment's GAN; path of its history.csv, one row per epoch from 0 (untrained) on.

    `patches.train` are the real patches, float32 [n, h, w] in [0, 1]; `layouts` the pool that layouts are
    drawn from. A run that was interrupted goes on from its last complete epoch and draws the same random
    numbers as an uninterrupted one, so that it gives the same losses and weights up to float rounding: the
    renderer's threads sum in no fixed order (a gray level per image at most). `stop_after` ends this call after
    that epoch. `log` gets a line per epoch. Columns `seconds` hold the wall time of the epoch, and of it that of the
    renderer, the discriminator and the features; `seconds_preparation` came before the epoch.

    Raises `TrainingError` for unusable input and for losses that are not finite, `CheckpointError` for
    checkpoints of another run, `FeatureError` for features that cannot be had, `OSError` for too little space
    on the disk.
    """
    images = np.ascontiguousarray(patches.train, dtype=np.float32)
    if images.ndim != 3 or len(images) < 2 or len(layouts) == 0:
        raise TrainingError(
            f"expected at least 2 training patches [n, h, w] and 1 layout, got {images.shape} and "
            f"{len(layouts)}; run chapters 01 and 02 first"
        )
    settings, folder = exp.profile.gan, checkpoint_folder(exp)
    same = checkpoint.identity(exp, images, layouts)
    trainer = Trainer(exp, images, renderer, layouts)
    n_bytes = 4 * sum(p.numel() for net in (trainer.generator, trainer.discriminator) for p in net.parameters())
    require_free_space(folder, 4 * 3 * n_bytes + 2**20 * settings.epochs, "GAN training")

    last = checkpoint.newest(folder, same, log)
    earlier = last["record"]["features"] if last else None
    features = choose_features(settings, earlier=earlier, device=trainer.device, log=log)
    if earlier not in (None, features.name):
        raise checkpoint.CheckpointError(
            f"{folder} holds epochs measured with {earlier}, and {features.name} was asked for; set "
            "gan.features back, or use another `runs` folder"
        )
    real_features = features.extract(images)
    start = 0
    if last:
        trainer.load(last)
        start = last["epoch"] + 1
        log(f"resuming after epoch {last['epoch']} of {settings.epochs}")
    end = settings.epochs if stop_after is None else min(stop_after, settings.epochs)
    began = time.perf_counter()
    if start <= end:
        renderer.prepare(layouts, log=log)
    preparation = time.perf_counter() - began
    for epoch in range(start, end + 1):
        began = time.perf_counter()
        losses = trainer.epoch(epoch) if epoch else {}
        distances, positions = trainer.evaluate(features, real_features)
        record = {
            "epoch": epoch,
            **losses,
            "features": features.name,
            **distances,
            **_parameter_summary(trainer.generator, positions),
            "seconds": time.perf_counter() - began,
            **trainer.take_seconds(),
            "seconds_preparation": preparation if epoch == start else 0.0,
        }
        state = {
            "identity": same,
            "epoch": epoch,
            "record": record,
            "positions": positions,
            **trainer.state(),
        }
        checkpoint.save(folder, state)
        write_history(exp)
        log(_line(record, settings.epochs))
    return write_history(exp)


def epoch_records(exp: Experiment) -> list[dict[str, Any]]:
    """What each epoch measured, from the untrained one to the last that the settings ask for.

    The columns of history.csv, and `positions`: float32 [n, n_parameters], the parameters drawn in the
    evaluation as positions within their bounds.
    """
    return checkpoint.records(checkpoint_folder(exp), last=exp.profile.gan.epochs)


def write_history(exp: Experiment) -> Path:
    """Rebuilds history.csv from the checkpoints' own records, so that nothing is lost on resuming."""
    rows = [{k: v for k, v in row.items() if k != "positions"} for row in epoch_records(exp)]
    table = pd.DataFrame(rows)
    first = ["epoch", "loss_generator", "loss_discriminator", "score_real", "score_synthetic"]
    table = table.reindex(columns=first + [name for name in table.columns if name not in first])
    path = exp.stage_dir("gan") / "history.csv"
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    return path


def time_spent(exp: Experiment) -> pd.DataFrame:
    """Where the training's wall time went: a row per kind of work, `seconds` and `share` of the sum.

    "rest" is what the other rows leave: augmentation, measurement of distances, checkpoints.
    """
    table = pd.read_csv(exp.stage_dir("gan") / "history.csv")
    kinds = {
        "precomputed light transport": "seconds_preparation",
        "rendering and the generator's network": "seconds_render",
        "discriminator": "seconds_discriminator",
        "features of synthetic images": "seconds_features",
    }
    seconds = {kind: table[column].sum() for kind, column in kinds.items()}
    whole = table["seconds"].sum() + table["seconds_preparation"].sum()
    seconds["rest"] = whole - sum(seconds.values())
    spent = pd.DataFrame({"seconds": seconds})
    return spent.assign(share=spent["seconds"] / whole)


def _parameter_summary(generator: Generator, positions: Tensor) -> dict[str, float]:
    physical = generator.to_physical(positions.to(generator.low.device)).cpu().double()
    summary = {"spread": spread(positions.numpy())}
    for i, name in enumerate(generator.names):
        summary[f"{name}_mean"] = float(physical[:, i].mean())
        summary[f"{name}_std"] = float(physical[:, i].std(correction=0))
    return summary


def _line(record: dict[str, Any], epochs: int) -> str:
    losses = "untrained"
    if record["epoch"]:
        losses = f"loss G {record['loss_generator']:.3f}, D {record['loss_discriminator']:.3f}"
    return (
        f"epoch {record['epoch']}/{epochs}: {losses}; {record['features']} {record['fd']:.2f}, "
        f"kernel distance {record['kid']:.4f} ± {record['kid_std']:.4f}, spread {record['spread']:.3f}; "
        f"{record['seconds']:.1f} s"
    )
