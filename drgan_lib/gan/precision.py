"""Mixed precision for the discriminator, which takes most of a training step once rendering is a weighted sum.

Under autocast (Micikevicius et al., Mixed precision training, 2018) convolutions multiply in bfloat16, sum in float32,
and weights, losses and optimisers stay in float32. Bfloat16 has the range of float32, so no loss scaling is needed.
"""

from __future__ import annotations

import torch

from drgan_lib.config import GanSettings
from drgan_lib.hardware import has_bfloat16


def precision_of(settings: GanSettings, device: torch.device) -> torch.dtype:
    """The precision of the discriminator's convolutions: `gan.precision`, or for `auto` what the device is fast in."""
    if settings.precision == "float32":
        return torch.float32
    return torch.bfloat16 if has_bfloat16(device) else torch.float32
