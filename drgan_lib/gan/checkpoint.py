"""One checkpoint per epoch, from which training resumes and every epoch's generator can be had.

A checkpoint holds the generator, the weights that training moves, their optimiser, the state of the objective (as a
discriminator) and what the epoch measured. Random numbers need no stored state: each draw is seeded by (seed, epoch,
iteration), and the seed is part of the identity that a resumed run must share. All but the generator and what was
measured stays in the last two checkpoints only.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drgan_lib.config import Experiment
from drgan_lib.errors import DrganError
from drgan_lib.files import atomic_path
from drgan_lib.gan.networks import Log
from drgan_lib.scene import Ground, Layout

FULL = 2  # the newest checkpoints that keep what resuming needs
RESUME_KEYS = ("trained", "objective", "optimiser_generator")
FREE_SETTINGS = {"epochs", "features", "inception_weights"}  # may change: how long to train, how to measure


class CheckpointError(DrganError, RuntimeError):
    """A checkpoint that belongs to another run, or none that can be read."""


def generator_identity(exp: Experiment) -> dict[str, Any]:
    """What a checkpoint's generator must share with the experiment to be used in it."""
    return {
        "material": exp.material.name,
        "parameters": list(exp.material.parameters),
        "bounds": [list(bounds) for bounds in exp.material.bounds.values()],
        "layout.n_particles": list(exp.material.layout.n_particles),
        "gan.hidden": exp.profile.gan.hidden,
        "gan.dropout": exp.profile.gan.dropout,
    }


def identity(
    exp: Experiment, images: np.ndarray, layouts: Iterable[Layout], ground: Ground | None = None
) -> dict[str, Any]:
    """What a resumed run must share with the one before: also scene, settings, seed, images, layouts and ground."""
    same = generator_identity(exp)
    sections = {"meshes": exp.material.meshes, "scene": exp.material.scene, "gan": exp.profile.gan}
    for section, settings in sections.items():
        values = settings.model_dump(mode="json", exclude=FREE_SETTINGS | {"detector"})  # the parameters tell which
        same |= {f"{section}.{key}": value for key, value in values.items()}
    return {
        **same,
        "seed": exp.seed,
        "training patches": _digest(images),
        "ground": ground and ground.key,
        "layouts": _digest(*(part for x in layouts for part in (x.transforms, x.rotations, x.mesh_index))),
    }


def _digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()[:16]


def require_same(found: dict[str, Any], expected: dict[str, Any], path: Path) -> None:
    """Raises `CheckpointError` naming every entry in which `found` differs from `expected`."""
    lines = [f"{key}: {found.get(key)} there, {new} now" for key, new in expected.items() if found.get(key) != new]
    if lines:
        raise CheckpointError(
            "\n  ".join([f"{path} belongs to another run:", *lines])
            + f"\nuse those settings again, or another folder, or delete {path.parent} to train anew"
        )


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """File of one epoch; epoch 0 is the untrained generator."""
    return folder / f"epoch_{epoch:03d}.pt"


def save(folder: Path, checkpoint: dict[str, Any]) -> None:
    """Writes the checkpoint of its epoch, then lightens the one that resuming no longer needs."""
    path, old = (checkpoint_path(folder, checkpoint["epoch"] - age) for age in (0, FULL))
    with atomic_path(path) as temporary:
        torch.save(checkpoint, temporary)
    if old.is_file():
        light = {key: value for key, value in read(old).items() if key not in RESUME_KEYS}
        with atomic_path(old) as temporary:
            torch.save(light, temporary)


def read(path: Path) -> dict[str, Any]:
    """Content of a checkpoint on the CPU; `CheckpointError` if it is missing or cannot be read."""
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; train the GAN first (chapter 03)")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a truncated file: whatever the unpickler stumbles over
        raise CheckpointError(f"{path} cannot be read ({type(error).__name__}); it is damaged") from error
    if not isinstance(content, dict) or not {"identity", "epoch", "generator", "record"} <= content.keys():
        raise CheckpointError(f"{path} is not a checkpoint of this library")
    return content


def available(folder: Path) -> list[Path]:
    """Checkpoint files in the order of their epochs."""
    return sorted(folder.glob("epoch_[0-9][0-9][0-9].pt"))


def readable(folder: Path, log: Log = lambda _: None) -> Iterator[dict[str, Any]]:
    """Contents of the checkpoints, the newest first; damaged ones are passed over with a note."""
    for path in reversed(available(folder)):
        try:
            yield read(path)
        except CheckpointError as error:
            log(f"{error}; going back to the epoch before")


def newest(folder: Path, expected: dict[str, Any], log: Log) -> dict[str, Any] | None:
    """The newest checkpoint from which training can resume, past damaged ones; None where there is none at all.

    Raises `CheckpointError` for a checkpoint of another run, and if none of the existing ones can be resumed from.
    """
    for content in readable(folder, log):
        require_same(content["identity"], expected, checkpoint_path(folder, content["epoch"]))
        if all(key in content for key in RESUME_KEYS):
            return content
    if n := len(available(folder)):
        raise CheckpointError(
            f"training cannot be resumed from {folder}: the last {FULL} of {n} checkpoints are damaged or missing; "
            "delete the folder to train anew"
        )
    return None
