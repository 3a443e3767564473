"""The steps of adversarial training and the measurement after an epoch; one image at a time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drgan_lib.config import Experiment
from drgan_lib.gan.distances import frechet_distance, kid
from drgan_lib.gan.features import Features
from drgan_lib.gan.networks import Generator, LayoutLike, PatchDiscriminator, RendererLike, lsgan_loss
from drgan_lib.gan.precision import precision_of

# Streams of random numbers: no two uses share a seed.
INITIALISATION, ORDER, SAMPLE, EVALUATION = range(4)


class TrainingError(RuntimeError):
    """Training that cannot go on; the message names epoch and iteration."""


def derive_seed(*path: int) -> int:
    """A 32-bit seed for one draw from (seed, stream, epoch, iteration), without any stored state."""
    return int(np.random.SeedSequence(path).generate_state(1)[0])


class Trainer:
    """Both networks and both optimisers of one experiment, and the steps that move them."""

    def __init__(self, exp: Experiment, images: np.ndarray, renderer: RendererLike, layouts: Sequence[LayoutLike]):
        settings = exp.profile.gan
        self.exp, self.images, self.renderer, self.layouts = exp, images, renderer, layouts
        cuda = renderer.variant.startswith("cuda") and torch.cuda.is_available()
        self.device = torch.device("cuda" if cuda else "cpu")
        self.precision = precision_of(settings, self.device)
        self.seconds: Counter[str] = Counter()  # spent since the last `take_seconds`, by what was done
        with torch.random.fork_rng():
            torch.manual_seed(derive_seed(exp.seed, INITIALISATION))
            self.generator = Generator(exp.material, settings).to(self.device)
            self.discriminator = PatchDiscriminator(
                layers=settings.discriminator_layers, channels=settings.discriminator_channels
            ).to(self.device)
        self.optimiser_generator = torch.optim.Adam(
            self.generator.parameters(), lr=settings.lr_generator, betas=settings.betas, fused=True
        )
        self.optimiser_discriminator = torch.optim.Adam(
            self.discriminator.parameters(), lr=settings.lr_discriminator, betas=settings.betas, fused=True
        )

    def state(self) -> dict[str, Any]:
        """State of both networks and both optimisers, on the CPU."""
        return {
            "generator": _to_cpu(self.generator.state_dict()),
            "discriminator": _to_cpu(self.discriminator.state_dict()),
            "optimiser_generator": _to_cpu(self.optimiser_generator.state_dict()),
            "optimiser_discriminator": _to_cpu(self.optimiser_discriminator.state_dict()),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continues from `state()` of an earlier run."""
        for name in ("generator", "discriminator", "optimiser_generator", "optimiser_discriminator"):
            getattr(self, name).load_state_dict(state[name])

    def epoch(self, epoch: int) -> dict[str, float]:
        """Trains on every real patch once; mean losses and mean scores of real and synthetic patches."""
        rng = np.random.default_rng(derive_seed(self.exp.seed, ORDER, epoch))
        patches = rng.permutation(len(self.images))
        pool = np.concatenate(
            [rng.permutation(len(self.layouts)) for _ in range(-(-len(patches) // len(self.layouts)))]
        )
        turns, mirrored = rng.integers(4, size=len(patches)), rng.integers(2, size=len(patches))
        rows = []
        for i, index in enumerate(patches):
            real = np.rot90(self.images[index], turns[i])
            real = torch.from_numpy((real[:, ::-1] if mirrored[i] else real).copy())[None, None].to(self.device)
            seed = derive_seed(self.exp.seed, SAMPLE, epoch, i)
            rows.append(self.step(real, self.layouts[pool[i]], seed=seed, where=f"epoch {epoch}, iteration {i + 1}"))
        names = ("loss_generator", "loss_discriminator", "score_real", "score_synthetic")
        return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))

    def step(self, real: Tensor, layout: LayoutLike, *, seed: int, where: str) -> tuple[float, float, float, float]:
        """One step of the generator, then one of the discriminator, on the same synthetic image.

        The discriminator does not change in between, so one pass over the real and the synthetic image serves both.
        """
        with self._clock("render"):
            image, _ = self.generator.sample(self.renderer, layout, seed=seed)
        if image.shape != real.shape:
            raise TrainingError(
                f"expected rendered images of the patches' size {tuple(real.shape[2:])}, got "
                f"{tuple(image.shape[2:])}; set scene.size_px and patches.size_px to the same size"
            )
        with self._clock("discriminator"):
            judged = image.detach().requires_grad_()
            scores_synthetic, scores_real = self.scores(torch.cat([judged, real])).split(1)
            loss_generator = lsgan_loss(scores_synthetic, 1.0)
            loss_discriminator = 0.5 * (lsgan_loss(scores_real, 1.0) + lsgan_loss(scores_synthetic, 0.0))
            self._require_finite(where, loss_generator=loss_generator, loss_discriminator=loss_discriminator)
            (image_gradient,) = torch.autograd.grad(loss_generator, judged, retain_graph=True)
        with self._clock("render"):
            self.optimiser_generator.zero_grad(set_to_none=True)
            image.backward(image_gradient)
            gradients = [p.grad for p in self.generator.parameters() if p.grad is not None]
            self._require_finite(where, gradient_of_the_generator=torch.stack([g.norm() for g in gradients]).sum())
            self.optimiser_generator.step()
        with self._clock("discriminator"):
            weights = list(self.discriminator.parameters())
            for weight, gradient in zip(weights, torch.autograd.grad(loss_discriminator, weights), strict=True):
                weight.grad = gradient
            self.optimiser_discriminator.step()
            values = loss_generator, loss_discriminator, scores_real.mean(), scores_synthetic.mean()
            return tuple(value.item() for value in values)

    def scores(self, images: Tensor) -> Tensor:
        """The discriminator's scores, float32 [b, 1, h', w'], of images [b, 1, h, w], in `self.precision`."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            return self.discriminator(images).float()

    @contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        """Adds the wall time of a block to `seconds`; on a GPU, which works on behind, only roughly right."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began

    def take_seconds(self) -> dict[str, float]:
        """Seconds since the last call, as `seconds_render`, `seconds_discriminator` and `seconds_features`."""
        taken = {f"seconds_{name}": self.seconds[name] for name in ("render", "discriminator", "features")}
        self.seconds.clear()
        return taken

    def _require_finite(self, where: str, **values: Tensor) -> None:
        for name, value in values.items():
            if not torch.isfinite(value):
                raise TrainingError(
                    f"{name.replace('_', ' ')} is {value.item()} at {where}; the checkpoints of the epochs "
                    "before are kept. Look for parameter bounds that the renderer cannot serve, or lower "
                    "gan.lr_generator and gan.lr_discriminator in a new run"
                )

    @torch.no_grad()
    def evaluate(self, features: Features, real_features: np.ndarray) -> tuple[dict[str, float], Tensor]:
        """Distances between real and as many synthetic patches, and the drawn positions [n, n_parameters].

        The seeds are the same after every epoch, so that only the generator differs. Images are rounded to 8
        bit, as the real ones are, and live one batch at a time.
        """
        found, positions, batch = [], [], []
        n = len(self.images)
        for k in range(n):
            layout = self.layouts[k % len(self.layouts)]
            seed = derive_seed(self.exp.seed, EVALUATION, 0, k)
            with self._clock("render"):
                image, parameters = self.generator.sample(self.renderer, layout, seed=seed)
            positions.append(self.generator.to_positions(parameters).cpu())
            batch.append((image[0, 0] * 255).round() / 255)
            if len(batch) == 16 or k == n - 1:
                with self._clock("features"):
                    found.append(features.extract(torch.stack(batch)))
                batch = []
        synthetic = np.concatenate(found)
        mean, error = kid(real_features, synthetic, seed=derive_seed(self.exp.seed, EVALUATION, 1))
        distances = {"fd": frechet_distance(real_features, synthetic), "kid": mean, "kid_std": error}
        return distances, torch.stack(positions).float()


def _to_cpu(value: Any) -> Any:
    """A copy of nested dicts and lists with their tensors on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _to_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_to_cpu(item) for item in value)
    return value
