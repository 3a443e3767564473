"""The detector: what it makes of the light that reaches it."""

from __future__ import annotations

import torch
from torch import Tensor


def detect(light: Tensor, sigma: Tensor | float, *, generator: torch.Generator) -> Tensor:
    """Micrograph [h, w] in [0, 1] of linear light [h, w]: clamped to full white, with Gaussian noise, clamped again.

    `sigma` is the noise's standard deviation (1 is white). The noise is drawn on the CPU, the same on every device.
    """
    clean = light.clamp(0, 1)
    noise = torch.randn(clean.shape, generator=generator).to(clean.device)
    return (clean + sigma * noise).clamp(0, 1)
