"""Mixed precision for the discriminator, which takes most of a training step once rendering is a weighted sum.

Under autocast (Micikevicius et al., Mixed precision training, 2018) convolutions multiply in bfloat16, sum in float32,
and weights, losses and optimisers stay in float32. Bfloat16 has the range of float32, so no loss scaling is needed.
"""

from __future__ import annotations

import torch

from drgan_lib.config import GanSettings


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies matrices in bfloat16; where it does not, autocast would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") or capabilities.get("bf16"))


def precision_of(settings: GanSettings, device: torch.device) -> torch.dtype:
    """The precision of the discriminator's convolutions: `gan.precision`, or for `auto` what the device is fast in."""
    if settings.precision == "float32":
        return torch.float32
    return torch.bfloat16 if has_bfloat16(device) else torch.float32
