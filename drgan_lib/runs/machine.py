"""What computes: processor or GPU, versions of the packages that decide the numbers, memory in use."""

import importlib.metadata
import platform
import subprocess
import threading
from functools import cache
from pathlib import Path
from typing import Self

import psutil

from drgan_lib.config import ROOT

VERSIONS_OF = ("drgan", "torch", "mitsuba", "drjit", "nnunetv2", "numpy")


def versions() -> dict[str, str]:
    """Versions of the packages that decide the numbers, of Python, and the commit if there is one."""
    found = {"python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return {**found, "commit": commit()}


@cache
def commit() -> str:
    """Short commit of the working tree, with `+` if tracked files differ from it; `unknown` outside a clone."""
    if not (ROOT / ".git").exists():
        return "unknown"
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return answer.stdout.strip() or "unknown"


@cache
def device() -> tuple[str, str]:
    """What computes here, in words, and the renderer's variant."""
    # Imported late: torch takes seconds, and nothing before the first stage needs it.
    import torch

    from drgan_lib.hardware import choose_device, usable_cores
    from drgan_lib.scene.backend import VARIANT

    if choose_device().type == "cuda":
        beside = "" if VARIANT.startswith("cuda") else f", rays traced by {_processor()} for want of OptiX"
        return f"{torch.cuda.get_device_name()}{beside}", VARIANT
    return f"{_processor()}, {usable_cores()} cores", VARIANT


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class PeakMemory:
    """Peak of the memory of all child processes together while the context is open, in MiB.

    Where the system tells (Linux), memory that processes share is divided among them (PSS); elsewhere it counts for
    each of them (RSS).
    """

    def __init__(self, interval_s: float = 0.5):
        self.peak_mb = 0.0
        self._interval_s = interval_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        this, most = psutil.Process(), 0
        while True:
            children = this.children(recursive=True)
            resident = sum(memory_of(child, shared_once=False) for child in children)
            if resident > most:  # shares take a tenth of a second to count, so only where there is more than before
                most = resident
                self.peak_mb = max(self.peak_mb, sum(memory_of(child) for child in children) / 2**20)
            if self._done.wait(self._interval_s):
                return


def memory_of(process: psutil.Process, *, shared_once: bool = True) -> int:
    """Bytes that `process` holds, of what it shares its part (`shared_once`) or all; 0 if it has ended."""
    try:
        memory = process.memory_full_info() if shared_once else process.memory_info()
    except psutil.Error:
        return 0
    return getattr(memory, "pss", memory.rss)
