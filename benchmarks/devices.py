"""Each step on the processor and on the GPU: `python -m benchmarks.devices` prints one table.

A process of its own for each device, since the choice of the device holds for a whole process. Without a GPU the table
has one column, and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import torch

from benchmarks.measure import duration, seconds
from benchmarks.training import make_trainer
from drgan_lib.config import Experiment, load_experiment
from drgan_lib.gan.features import choose_features
from drgan_lib.gan.trainer import Trainer
from drgan_lib.hardware import choose_device
from drgan_lib.scene import Renderer, make_renderer, sample_layout
from drgan_lib.scene.backend import VARIANT
from drgan_lib.synthesis.attempt import annotate

BATCHES = (1, 8, 32)
REPEATS = 5
N_LAYOUTS = 8
DEADLINE_S = 80  # for each device


def steps(exp: Experiment) -> dict[str, float]:
    """Seconds of each step, and images per second of training by the size of a batch."""
    trainer = make_trainer(exp, n_layouts=N_LAYOUTS, n_patches=max(BATCHES))
    renderer, found = trainer.renderer, {}
    fresh = [sample_layout(exp.material, renderer.meshes, seed=100 + k) for k in range(REPEATS + 2)]
    found["light transport of a layout, s"] = seconds(lambda k: renderer.basis(fresh[k]), REPEATS)
    for size in BATCHES:
        found[f"training, images per second, {size} at a time"] = size / seconds(
            lambda k, n=size: step(trainer, n, k), REPEATS
        )
    found["features of 124 patches, s"] = features(exp, trainer)
    synthesis = make_renderer(exp, stage="synthesis")
    found["annotated image, s"] = seconds(lambda k: annotate(exp, trainer.generator, synthesis, index=k), REPEATS)
    plain = Renderer(exp.material, renderer.meshes, spp=16)
    values = torch.tensor([sum(bounds) / 2 for bounds in exp.material.bounds.values()]).requires_grad_()
    found["Mitsuba's image and derivative, s"] = seconds(
        lambda k: plain.image(values, fresh[k], seed=k).mean().backward(), REPEATS
    )
    if choose_device().type == "cuda":
        found["memory of PyTorch on the GPU, GiB"] = torch.cuda.max_memory_allocated() / 2**30
    return found


def step(trainer: Trainer, size: int, k: int) -> None:
    layouts = [trainer.layouts[i % N_LAYOUTS] for i in range(size)]
    trainer.step(trainer.images[:size, None], layouts, seeds=range(size * k, size * (k + 1)))


def features(exp: Experiment, trainer: Trainer) -> float:
    images = torch.rand(124, *trainer.images.shape[1:], device=trainer.device)
    extractor = choose_features(exp.profile.gan, device=trainer.device, log=lambda line: None)
    extractor.extract(images)
    return duration(lambda: extractor.extract(images))


def main() -> None:
    if len(sys.argv) > 1:
        exp = load_experiment("tio2_sem", "laptop", {"gan.features": "efficientnet_lite0"})
        print(json.dumps({"variant": VARIANT, **steps(exp)}))
        return
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    columns = {}
    for device in devices:
        command = [sys.executable, "-m", "benchmarks.devices", device]
        try:
            answer = subprocess.run(
                command,
                env=os.environ | {"DRGAN_DEVICE": device},
                stdout=subprocess.PIPE,
                text=True,
                timeout=DEADLINE_S,
            )
            columns[device] = json.loads(answer.stdout.splitlines()[-1]) if answer.returncode == 0 else {}
        except subprocess.TimeoutExpired:
            columns[device] = {}
            print(f"{device}: no result within {DEADLINE_S} s")
    if "cuda" not in columns:
        print("no NVIDIA GPU here: the processor only")
    for name in dict.fromkeys(name for column in columns.values() for name in column):
        cells = (column.get(name, np.nan) for column in columns.values())
        print(f"{name:48s}" + "".join(f"{c:>16s}" if isinstance(c, str) else f"{c:16.4g}" for c in cells))


if __name__ == "__main__":
    main()
