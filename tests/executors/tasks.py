"""Functions for workers, in a module that takes no time to import."""

import os
import signal
from pathlib import Path

from drgan_lib.shared import Shared


def inverse(number: int) -> float:
    return 1 / number


class Factor:
    read = 0  # how often one was unpickled in this process

    def __init__(self, value: int):
        self.value = value

    def __setstate__(self, state: dict):
        vars(self).update(state)
        Factor.read += 1


def loads(shared: Shared, number: int) -> tuple[int, int, int]:
    """The process, how often it read a shared factor, and the product of both numbers."""
    product = shared.value.value * number
    return os.getpid(), Factor.read, product


def die_once(mark: Path, number: int) -> int:
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(number: int) -> int:
    return os.kill(os.getpid(), signal.SIGKILL) if number == 1 else number


def threads(_: object) -> tuple[int, int]:
    """Of PyTorch and Dr.Jit."""
    import torch

    from drgan_lib.scene.backend import dr

    return torch.get_num_threads(), dr.thread_count()
