"""What the generator's images are judged by: a discriminator that learns with it, as in the paper, or fixed moments.

An objective has `means`, the names of what it says of a step, and `judge`, which gives the derivative of the loss
with respect to the images.

A discriminator that sees one image at a time does not reward the right spread of the parameters, and cannot use many
of them. Moments compare sets of images: each is described by the means and deviations of the channels of a network
that was trained on photographs, and the loss is the squared maximum mean discrepancy of both sets (generative moment
matching, Li et al., ICML 2015; estimator and kernel, Binkowski et al., ICLR 2018). Only the generator is trained.
"""

from collections.abc import Iterable
from functools import partial
from itertools import repeat
from typing import Any, Protocol

import torch
from torch import Tensor

from drgan_lib.config import GanSettings
from drgan_lib.gan.features import image_moments
from drgan_lib.gan.networks import PatchDiscriminator, lsgan_loss
from drgan_lib.hardware import has_bfloat16, map_apart, threads_for

ALPHAS = (0.2, 0.5, 1.0, 2.0, 5.0)  # of the kernel, a sum of rational quadratic ones
LEAST_STD = 0.01  # of a moment, as a share of the mean one: what hardly varies in real patches does not count for more


class Objective(Protocol):
    """A judge of images, and its state."""

    means: tuple[str, ...]

    def judge(self, images: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """The derivative of the loss by synthetic `images` [b, 1, h, w], with `real` ones beside them; and `means`."""

    def parameters(self) -> Iterable[Tensor]:
        """What it learns."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Adversary:
    """A PatchGAN that takes a step at each judgement, with its optimiser."""

    means = ("loss_generator", "loss_discriminator", "score_real", "score_synthetic")

    def __init__(self, settings: GanSettings, device: torch.device):
        # of the discriminator's convolutions; all else stays in float32 (Micikevicius et al. 2018)
        half = settings.precision == "auto" and has_bfloat16(device)
        self.precision = torch.bfloat16 if half else torch.float32
        shape = {"layers": settings.discriminator_layers, "channels": settings.discriminator_channels}
        self.discriminator = PatchDiscriminator(**shape).to(device)
        self._threads = threads_for(device)
        self._map = map_apart(self._threads)
        weights = self.discriminator.parameters()
        self.optimiser = torch.optim.Adam(weights, lr=settings.lr_discriminator, betas=settings.betas, fused=True)

    def judge(self, images: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """One pass over both kinds of images serves both losses: the discriminator judges, and then takes its step."""
        n, weights = self._threads, list(self.discriminator.parameters())
        parts = [*images.chunk(n), *real.chunk(n)] if n > 1 else [torch.cat([images, real])]
        parts = [part.detach().requires_grad_() for part in parts]
        scores = list(self._map(self.scores, parts))
        joined = torch.cat(scores).detach().requires_grad_()
        scores_synthetic, scores_real = joined.chunk(2)
        loss_generator = lsgan_loss(scores_synthetic, 1.0)
        loss_discriminator = 0.5 * (lsgan_loss(scores_real, 1.0) + lsgan_loss(scores_synthetic, 0.0))
        of_generator, of_discriminator = (
            torch.autograd.grad(loss, joined)[0].split([len(part) for part in scores])
            for loss in (loss_generator, loss_discriminator)
        )
        kept = partial(torch.autograd.grad, retain_graph=True)
        of_images = list(self._map(kept, scores, parts[: len(images.chunk(n))], of_generator))
        of_weights = self._map(torch.autograd.grad, scores, repeat(weights), of_discriminator)
        for weight, *gradients in zip(weights, *of_weights, strict=True):
            weight.grad = sum(gradients[1:], start=gradients[0])
        self.optimiser.step()
        found = loss_generator, loss_discriminator, scores_real.mean(), scores_synthetic.mean()
        of_images = torch.cat([gradient for (gradient,) in of_images])
        return of_images[: len(images)], torch.stack(found).detach()

    def scores(self, images: Tensor) -> Tensor:
        """The discriminator's scores, float32 [b, 1, h', w'], of images [b, 1, h, w], in `self.precision`."""
        half = self.precision == torch.bfloat16
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            return self.discriminator(images).float()

    def parameters(self) -> Iterable[Tensor]:
        return self.discriminator.parameters()

    def state_dict(self) -> dict[str, Any]:
        return {"discriminator": self.discriminator.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimiser.load_state_dict(state["optimiser"])


class Moments:
    """Moments of both batches, in standard deviations of those of all `real` patches, float32 [n, h, w]."""

    means = ("loss_generator",)

    def __init__(self, real: Tensor):
        self._moments, self._threads = image_moments(real.device), threads_for(real.device)
        self._map = map_apart(self._threads)
        found = torch.cat(list(self._map(torch.no_grad()(self._moments), real[:, None].split(16))))
        self._mean, std = found.mean(dim=0), found.std(dim=0)
        self._std = std + LEAST_STD * std.mean()

    def judge(self, images: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        of_real = torch.cat(list(self._map(torch.no_grad()(self._scaled), real.chunk(self._threads))))
        judged = [part.detach().requires_grad_() for part in images.chunk(self._threads)]
        found = list(self._map(self._scaled, judged))
        joined = torch.cat(found).detach().requires_grad_()
        loss = squared_mmd(joined, of_real)
        (slope,) = torch.autograd.grad(loss, joined)
        gradients = self._map(torch.autograd.grad, found, judged, slope.split([len(part) for part in found]))
        return torch.cat([gradient for (gradient,) in gradients]), loss.detach()[None]

    def _scaled(self, images: Tensor) -> Tensor:
        return (self._moments(images) - self._mean) / self._std

    def parameters(self) -> Iterable[Tensor]:
        return ()

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing: it has none."""


def squared_mmd(x: Tensor, y: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of the rows of `x` [n, d] and `y` [m, d], unbiased: it may fall below 0.

    The kernel is the mean of (1 + |x - y|^2 / (2 a d))^-a over `ALPHAS`. Of one row, which says nothing of a spread,
    the term within its own set is left out.
    """

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        squares = (a.square().sum(dim=1)[:, None] + b.square().sum(dim=1) - 2 * a @ b.T).clamp(min=0) / a.shape[1]
        return torch.stack([(1 + squares / (2 * alpha)) ** -alpha for alpha in ALPHAS]).mean(dim=0)

    def within(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() - k.trace()) / max(1, len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


def choose_objective(settings: GanSettings, real: Tensor) -> Objective:
    """The objective that the settings name; `real` are all patches, float32 [n, h, w], on the device."""
    return {"gan": partial(Adversary, settings, real.device), "moments": partial(Moments, real)}[settings.objective]()
