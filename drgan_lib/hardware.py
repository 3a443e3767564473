"""What the processor or GPU can do, and which of them computes."""

import os
from functools import cache

import torch

from drgan_lib.errors import DrganError


class DeviceError(DrganError, RuntimeError):
    """A device that was asked for and cannot be had; the message says what to do."""


@cache
def choose_device() -> torch.device:
    """Where PyTorch computes: as `DRGAN_DEVICE` says, cpu or cuda, else on a GPU if there is one."""
    present = torch.cuda.is_available()
    asked = os.environ.get("DRGAN_DEVICE") or ("cuda" if present else "cpu")
    if asked not in ("cpu", "cuda"):
        raise DeviceError(f"DRGAN_DEVICE: expected cpu or cuda, got {asked}; correct or unset it")
    if asked == "cuda" and not present:
        raise DeviceError("DRGAN_DEVICE is cuda, but PyTorch finds no NVIDIA GPU; look at nvidia-smi, or unset it")
    return torch.device(asked)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies matrices in bfloat16; where it does not, autocast would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") or capabilities.get("bf16"))
