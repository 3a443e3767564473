"""The reference back end's training step and its image with instance ids: 256 x 256, 16 spp, 40 meshes."""

from __future__ import annotations

import torch

from benchmarks.measure import WARM_UP, row, seconds
from drgan_lib.config import load_experiment
from drgan_lib.scene import Renderer, at_position, make_meshes, sample_layout

STEP_TARGET_S = 0.8
IMAGE_TARGET_S = 0.5


def benchmark(repeats: int = 9) -> dict[str, dict]:
    """Seconds of a generator step (a fresh layout each) and of an image with its instance ids."""
    material = load_experiment("twin", "laptop", {"layout.n_particles": [40, 40]}).material
    meshes = make_meshes(material)
    layouts = [sample_layout(material, meshes, seed=k) for k in range(repeats + WARM_UP)]
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
        "reference_training_step": row(step, "s", at_most=STEP_TARGET_S),
        "image_with_instance_ids": row(image, "s", at_most=IMAGE_TARGET_S),
    }
