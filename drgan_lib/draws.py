"""Random numbers that belong to a seed and a place in a row, not to a state: the same on every device.

PyTorch's generators draw other numbers on a GPU than on the CPU, and a generator for each image of a batch would draw
one image after the other. Here each number is a hash of its seed and its place: SplitMix64 (Steele, Lea and Flood,
Fast splittable pseudorandom number generators, OOPSLA 2014).
"""

import math

import torch
from torch import Tensor

GAMMA, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
BITS = 24  # of a float32


def uniform(seeds: Tensor, n: int, *, stream: int = 0) -> Tensor:
    """float32 [b, n] in (0, 1) for `seeds`, int64 [b]; other streams of a seed are independent of this one."""
    return _as_float(_hashes(seeds, n, stream) >> (64 - BITS))


def normal(seeds: Tensor, n: int, *, stream: int = 0) -> Tensor:
    """float32 [b, n] of mean 0 and standard deviation 1 for `seeds`, int64 [b] (Box and Muller 1958)."""
    hashes = _hashes(seeds, (n + 1) // 2, stream)
    radius = (-2 * _as_float(hashes >> (64 - BITS)).log()).sqrt()
    angle = 2 * math.pi * _as_float(hashes >> 8)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=2).flatten(1)[:, :n]


def _as_float(bits: Tensor) -> Tensor:
    """The middle of one of 2^BITS intervals between 0 and 1, of the lowest bits."""
    return ((bits & (2**BITS - 1)).float() + 0.5) / 2**BITS


def _hashes(seeds: Tensor, n: int, stream: int) -> Tensor:
    """int64 [b, n]; products wrap around."""
    row = _mix(_mix(seeds) + _signed(GAMMA * (stream + 1)))
    return _mix(row[:, None] + _signed(GAMMA) * torch.arange(1, n + 1, device=seeds.device))


def _mix(x: Tensor) -> Tensor:
    for shift, factor in ((30, FIRST), (27, SECOND)):
        x = (x ^ _shifted(x, shift)) * _signed(factor)
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, n: int) -> Tensor:
    """Bits moved down by n places, with zeros from above."""
    return (x >> n) & (2 ** (64 - n) - 1)


def _signed(n: int) -> int:
    """The int64 of the same 64 bits."""
    return (n + 2**63) % 2**64 - 2**63
