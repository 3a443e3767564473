"""Each step on the processor and on the GPU: `python -m benchmarks.devices` prints one table.

A process of its own for each device, since the choice of the device holds for a whole process. Without a GPU the table
has one column, and says so. What a device has not done by its deadline is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

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


def steps(exp: Experiment) -> Iterator[tuple[str, float]]:
    """Seconds of each step, and images per second of training by the size of a batch."""
    trainer = make_trainer(exp, n_layouts=N_LAYOUTS, n_patches=max(BATCHES))
    renderer = trainer.renderer
    fresh = [sample_layout(exp.material, renderer.meshes, seed=100 + k) for k in range(REPEATS + 2)]
    yield "light transport of a layout, s", seconds(lambda k: renderer.basis(fresh[k]), REPEATS)
    for size in BATCHES:
        taken = seconds(lambda k, n=size: step(trainer, n, k), REPEATS)
        yield f"training, images per second, {size} at a time", size / taken
    yield "features of 124 patches, s", features(exp, trainer)
    synthesis = make_renderer(exp, stage="synthesis")
    yield "annotated image, s", seconds(lambda k: annotate(exp, trainer.generator, synthesis, index=k), REPEATS)
    plain = Renderer(exp.material, renderer.meshes, spp=16)
    values = torch.tensor([sum(bounds) / 2 for bounds in exp.material.bounds.values()]).requires_grad_()
    taken = seconds(lambda k: plain.image(values, fresh[k], seed=k).mean().backward(), REPEATS)
    yield "Mitsuba's image and derivative, s", taken
    if choose_device().type == "cuda":
        yield "memory of PyTorch on the GPU, GiB", torch.cuda.max_memory_allocated() / 2**30


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
        exp = load_experiment("twin", "paper", {"gan.spp": 100, "gan.features": "efficientnet_lite0"})
        print(json.dumps(["variant", VARIANT]), flush=True)
        for found in steps(exp):
            print(json.dumps(found), flush=True)
        return
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    columns = {}
    for device in devices:
        command = [sys.executable, "-m", "benchmarks.devices", device]
        try:
            environment = os.environ | {"DRGAN_DEVICE": device}
            said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, timeout=DEADLINE_S).stdout
        except subprocess.TimeoutExpired as late:
            said = late.stdout or b""
            print(f"{device}: not finished within {DEADLINE_S} s")
        columns[device] = dict(json.loads(line) for line in said.decode().splitlines() if line.startswith("["))
    if "cuda" not in columns:
        print("no NVIDIA GPU here: the processor only")
    for name in dict.fromkeys(name for column in columns.values() for name in column):
        cells = (column.get(name, np.nan) for column in columns.values())
        print(f"{name:48s}" + "".join(f"{c:>16s}" if isinstance(c, str) else f"{c:16.4g}" for c in cells))


if __name__ == "__main__":
    main()
