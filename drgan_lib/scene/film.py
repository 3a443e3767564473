"""The film: samples add up in the pixel that they lie in, as in Mitsuba's `hdrfilm` with its filter `box`.

What owns a sample (a particle, under one light) is kept apart: the result is a list of fragments, each the part of one
pixel that comes from one owner, and an image is the sum of its fragments.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SAMPLES_AT_ONCE = 2**20  # whose values are held at a time


@dataclass(frozen=True)
class Fragments:
    """Parts of pixels: `pixel` and `owner` int64 [f], sorted by pixel, and `values` float32 [n_images, f]."""

    pixel: Tensor
    owner: Tensor
    values: Tensor


def add_up(
    evaluate: Callable[[Tensor], Sequence[Tensor]], pixel: Tensor, owner: Tensor, spp: int, *, n_images: int
) -> Fragments:
    """Fragments of the samples in `pixel` [m] that belong to `owner` [m] (0, 1, ...): their sums over `spp`.

    `spp` is how many samples lie in each pixel, those without light included. `evaluate` gives the values [k] in each
    of the `n_images` of those of the m samples that it is asked for by index [k]; it is asked for `SAMPLES_AT_ONCE`, or
    as many as one fragment has, so that the memory does not grow with the samples per pixel.
    """
    n_owners = int(owner.max()) + 1 if len(owner) else 1
    key = pixel * n_owners + owner
    # Samples come nearly in this order, and NumPy's sort makes use of that: a twentieth of the time of PyTorch's.
    order = key.argsort(stable=True) if key.is_cuda else torch.from_numpy(np.argsort(key.numpy(), kind="stable"))
    groups, counts = torch.unique_consecutive(key[order], return_counts=True)
    values = torch.zeros(n_images, len(groups), device=pixel.device)
    for low, high, first, last in _blocks(counts, SAMPLES_AT_ONCE):
        for row, of_image in zip(values, evaluate(order[first:last]), strict=True):
            row[low:high] = torch.segment_reduce(of_image, "sum", lengths=counts[low:high])
    return Fragments(groups // n_owners, groups % n_owners, values / spp)


def _blocks(counts: Tensor, limit: int) -> Iterator[tuple[int, int, int, int]]:
    """Runs of groups (from, to) with the range of their samples (from, to): at most `limit` samples, or one group."""
    ends = counts.cumsum(0).tolist()
    low, first = 0, 0
    while low < len(ends):
        high = max(low + 1, bisect_right(ends, first + limit))
        yield low, high, first, ends[high - 1]
        low, first = high, ends[high - 1]
