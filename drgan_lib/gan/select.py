"""Which epoch goes on to synthesis: the most varied one among those closest to the real images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from drgan_lib.config import Experiment
from drgan_lib.files import read_json, write_json
from drgan_lib.gan import checkpoint
from drgan_lib.gan.networks import Generator, LayoutLike
from drgan_lib.gan.train import checkpoint_folder, epoch_records
from drgan_lib.gan.trainer import derive_seed

CANDIDATES = 5
SPREAD_DEFINITION = "mean over parameters of std(position in bounds) / std of the uniform law (1 / sqrt(12))"


def select_epoch(exp: Experiment) -> dict[str, Any]:
    """Chooses the epoch and writes selected.json: `epoch`, `spread`, `fd`, its name, and the candidates.

    As in the paper: among the five trained epochs of lowest Frechet distance, the one with the broadest
    parameter distribution, so that a generator that gives the same appearance to all images is not preferred
    for its distance. Of fewer than ten trained epochs only the better half are candidates. Raises
    `CheckpointError` if no trained epoch exists.
    """
    rows = [row for row in epoch_records(exp) if row["epoch"] > 0]
    if not rows:
        raise checkpoint.CheckpointError(f"{checkpoint_folder(exp)} holds no trained epoch; run gan.train first")
    n_candidates = min(CANDIDATES, max(1, len(rows) // 2))
    kept = ("epoch", "fd", "kid", "kid_std", "spread")
    candidates = [{key: row[key] for key in kept} for row in sorted(rows, key=lambda row: row["fd"])[:n_candidates]]
    best = max(candidates, key=lambda row: (row["spread"], -row["fd"]))
    selected = {
        **best,
        "features": rows[0]["features"],
        "spread_definition": SPREAD_DEFINITION,
        "rule": f"broadest parameter distribution among the {n_candidates} epochs of lowest Frechet distance",
        "candidates": candidates,
    }
    write_json(exp.stage_dir("gan") / "selected.json", selected)
    return selected


def selected_epoch(exp: Experiment) -> int:
    """Number of the epoch that `select_epoch` chose; `CheckpointError` if it has not run."""
    path = exp.stage_dir("gan") / "selected.json"
    if not path.is_file():
        raise checkpoint.CheckpointError(f"{path} does not exist; train the GAN first (chapter 03)")
    return int(read_json(path)["epoch"])


def load_generator(exp: Experiment, *, epoch: int | None = None, device: str | torch.device = "cpu") -> Generator:
    """Generator of `epoch`, or of the selected one; `CheckpointError` if it is of another material."""
    path = checkpoint.checkpoint_path(checkpoint_folder(exp), selected_epoch(exp) if epoch is None else epoch)
    content = checkpoint.read(path)
    checkpoint.require_same(content["identity"], checkpoint.generator_identity(exp), path)
    generator = Generator(exp.material, exp.profile.gan)
    generator.load_state_dict(content["generator"])
    return generator.to(device)


@torch.no_grad()
def parameter_table(generator: Generator, layouts: Sequence[LayoutLike], *, n: int, seed: int) -> pd.DataFrame:
    """Physical parameters of `n` synthetic images, one row per image, without rendering them."""
    rows = []
    for k in range(n):
        draws = torch.Generator().manual_seed(derive_seed(seed, k))
        rows.append(generator.parameters_for(layouts[k % len(layouts)], generator=draws).cpu().numpy())
    return pd.DataFrame(np.stack(rows), columns=list(generator.names))
