"""The reference back end's training step and its image with instance ids: 256 x 256, 16 spp, 40 meshes."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

from drgan_lib.config import load_experiment
from drgan_lib.scene import Renderer, make_meshes, sample_layout
from drgan_lib.scene.liveness import at_position

STEP_TARGET_S = 0.8
IMAGE_TARGET_S = 0.5


def seconds(work: Callable[[int], None], repeats: int) -> float:
    """Median wall time of `work(k)` over `repeats` calls, after two calls that compile the kernels."""
    times = []
    for k in range(repeats + 2):
        start = time.perf_counter()
        work(k)
        times.append(time.perf_counter() - start)
    return median(times[2:])


def benchmark(repeats: int = 9) -> dict[str, dict]:
    """Seconds of a generator step (a fresh layout each) and of an image with its instance ids."""
    material = load_experiment("tio2_sem", "laptop", {"layout.n_particles": [40, 40]}).material
    meshes = make_meshes(material)
    layouts = [sample_layout(material, meshes, seed=k) for k in range(repeats + 2)]
    renderer = Renderer(material, meshes, spp=16)
    parameters = at_position(material, 0.2)

    def training_step(k: int) -> None:
        values = parameters.clone().requires_grad_()
        renderer.image(values, layouts[k], seed=k).mean().backward()
        if not torch.isfinite(values.grad).all():
            raise RuntimeError("the benchmark's gradient is not finite")

    def image_with_ids(k: int) -> None:
        renderer.image(parameters, layouts[k], seed=k).sum().item()
        renderer.instance_ids(layouts[k])

    step, image = seconds(training_step, repeats), seconds(image_with_ids, repeats)
    return {
        "reference_training_step": row(step, "s", STEP_TARGET_S),
        "image_with_instance_ids": row(image, "s", IMAGE_TARGET_S),
    }


def row(value: float, unit: str, target: float | None) -> dict:
    """One entry of results.json; the target is an upper limit."""
    return {
        "value": value,
        "unit": unit,
        "target": target,
        "met": None if target is None else value <= target,
    }
