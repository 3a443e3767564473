"""A training step of the GAN with precomputed transport, at 100 samples per pixel, and where its time goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import median

import torch

from benchmarks.measure import WARM_UP, beside_busy, now, row, seconds
from drgan_lib.config import Experiment, load_experiment
from drgan_lib.gan.networks import Generator, lsgan_loss
from drgan_lib.gan.trainer import Trainer
from drgan_lib.scene import TransportRenderer, make_meshes, sample_layout

BATCH = 8


def make_trainer(exp: Experiment, *, n_layouts: int, n_patches: int) -> Trainer:
    """A trainer on transport; its "real" patches are samples of another, untrained generator."""
    meshes = make_meshes(exp.material)
    layouts = [sample_layout(exp.material, meshes, seed=k) for k in range(n_layouts)]
    renderer = TransportRenderer(exp.material, meshes, spp=exp.profile.gan.spp)
    renderer.prepare(layouts, log=lambda line: None)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(exp.seed + 1)
        other = Generator(exp.material, exp.profile.gan)
        samples, _ = other.sample(renderer, [layouts[k % n_layouts] for k in range(n_patches)], seeds=range(n_patches))
    return Trainer(exp, samples[:, 0].cpu().numpy(), renderer, layouts)


def benchmark(repeats: int = 15, n_layouts: int = 6) -> dict[str, dict]:
    """Median seconds of `Trainer.step`, and of its parts when they are done one by one."""
    trainer = make_trainer(load_experiment("twin", "paper", {"gan.spp": 100}), n_layouts=n_layouts, n_patches=n_layouts)
    real = trainer.images[:, None, None]

    def step(k: int) -> None:
        trainer.step(real[k % n_layouts], [trainer.layouts[k % n_layouts]], seeds=[k])

    def batch(k: int) -> None:
        places = [(k + i) % n_layouts for i in range(BATCH)]
        images = torch.cat([real[place] for place in places])
        trainer.step(images, [trainer.layouts[place] for place in places], seeds=range(k, k + BATCH))

    of_batch = seconds(batch, repeats)
    laps = [parts(trainer, real[k % n_layouts], k) for k in range(repeats + WARM_UP)][WARM_UP:]
    with_moments = moments_step(2 * n_layouts)
    contended = beside_busy("training_step", lambda n_busy: seconds(step, repeats))
    whole = contended["training_step"]["value"]
    return {
        **contended,
        **beside_busy("training_step_with_moments", lambda n_busy: seconds(with_moments, repeats)),
        f"training_images_per_second_at_batch_{BATCH}": row(BATCH * whole / of_batch, "x"),
        **{f"training_step_{name}": row(median(lap[name] for lap in laps), "s") for name in laps[0]},
    }


def moments_step(n: int) -> Callable[[int], object]:
    """A step as in `laptop`, which takes a dozen: `n` images, judged by their moments."""
    exp = load_experiment("tio2_sem", "laptop", {"gan.spp": 16, "gan.support": "flat"})
    trainer = make_trainer(exp, n_layouts=n, n_patches=n)
    return lambda k: trainer.step(trainer.images[:, None], trainer.layouts, seeds=range(n * k, n * k + n))


def parts(trainer: Trainer, real: torch.Tensor, k: int) -> dict[str, float]:
    """Seconds of each part of the step that `Trainer.step` makes."""
    found: dict[str, float] = defaultdict(float)
    before = now()

    def lap(name: str) -> None:
        nonlocal before
        found[name] += now() - before
        before = now()

    image, _ = trainer.trained.sample(trainer.renderer, [trainer.layouts[k % len(trainer.layouts)]], seeds=[k])
    lap("generator_forward")
    judged = image.detach().requires_grad_()
    scores_synthetic, scores_real = trainer.objective.scores(torch.cat([judged, real])).split(1)
    loss_generator = lsgan_loss(scores_synthetic, 1.0)
    loss_discriminator = 0.5 * (lsgan_loss(scores_real, 1.0) + lsgan_loss(scores_synthetic, 0.0))
    lap("discriminator_forward")
    (gradient,) = torch.autograd.grad(loss_generator, judged, retain_graph=True)
    lap("backward_to_the_image")
    trainer.optimiser_generator.zero_grad(set_to_none=True)
    image.backward(gradient)
    lap("generator_backward")
    trainer.optimiser_generator.step()
    lap("optimisers")
    weights = list(trainer.objective.discriminator.parameters())
    for weight, derivative in zip(weights, torch.autograd.grad(loss_discriminator, weights), strict=True):
        weight.grad = derivative
    lap("discriminator_backward")
    trainer.objective.optimiser.step()
    lap("optimisers")
    return dict(found)
