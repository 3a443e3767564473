"""What the processor or GPU can do, and which of them computes.

Importing this module keeps PyTorch to the cores that may be used.
"""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch

from drgan_lib.errors import DrganError

CGROUPS = Path("/sys/fs/cgroup")


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


def usable_cores() -> int:
    """Cores that this process may keep busy: those it may run on, and no more than its container's share of time."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota(CGROUPS))))


def _quota(folder: Path) -> float:
    """Cores' worth of time that the control group mounted at `folder` gets, infinite without a limit (v2, then v1)."""
    try:
        if (path := folder / "cpu.max").is_file():
            quota, period = path.read_text().split()
        else:
            quota, period = ((folder / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return float(quota) / float(period) if float(quota) > 0 else math.inf
    except (OSError, ValueError):  # "max" stands for no limit; so does a machine without control groups
        return math.inf


# OpenMP respects on which cores a process may run, and knows nothing of a container's share of time.
torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))


def threads_for(device: torch.device) -> int:
    """Threads that share a batch by its images: as many as PyTorch has on a processor, one where a GPU computes."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def map_apart(n: int) -> Callable[..., Iterator]:
    """`map` in `n` threads, in each of which PyTorch computes alone; gradients are on and autocast is off there.

    Threads that share each of a thousand small operations wait for each other, and several times as long beside a busy
    process; those that have images of their own meet once per step.
    """

    def alone() -> None:
        torch.get_num_threads()  # a thread's first question sets its number, so that it has to come before
        torch.set_num_threads(1)

    return ThreadPoolExecutor(n, initializer=alone).map if n > 1 else map


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies matrices in bfloat16; where it does not, autocast would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") or capabilities.get("bf16"))
