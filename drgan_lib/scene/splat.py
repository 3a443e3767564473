"""The film's reconstruction filter, for many images at once.

Mitsuba adds each sample to all pixels in reach of its Gaussian filter and divides by the sum of the weights. All basis
images of a layout share their samples, so here the weights are made once and applied to all images as products of
matrices. What owns a sample (a particle, under one light) is kept apart: the result is a list of fragments, each the
part of one pixel that comes from one owner, and an image is the sum of its fragments.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import fold

from drgan_lib.scene.backend import mi

SAMPLES_AT_ONCE = 2**20  # whose values are held at a time
GROUPS_AT_ONCE = 4096  # of samples that are filtered at a time


@dataclass(frozen=True)
class Fragments:
    """Parts of pixels: `pixel` and `owner` int64 [f], sorted by owner, and `values` float32 [n_images, f]."""

    pixel: Tensor
    owner: Tensor
    values: Tensor


class Film:
    """Film of `size` x `size` pixels over samples at `position` [n, 2] (column, row), as `hdrfilm` with `rfilter`."""

    def __init__(self, position: Tensor, *, size: int, rfilter: mi.ReconstructionFilter):
        self.size, self.reach = size, math.ceil(rfilter.radius())
        self.taps = 2 * self.reach + 1  # pixels in a row that a sample can reach
        self.offset = torch.arange(-self.reach, self.reach + 1, device=position.device)
        corner = position.long().clamp(0, size - 1)
        self.pixel = corner[:, 1] * size + corner[:, 0]
        # Mitsuba approximates the Gaussian by a polynomial, so it is asked rather than imitated.
        self._across, self._down = (
            rfilter.eval(mi.Float((self.offset + 0.5 - (position[:, k] - corner[:, k])[:, None]).flatten()))
            .torch()
            .to(position.device)
            .view(-1, self.taps)
            for k in (0, 1)
        )  # [n, taps] each
        self.total = self._total()

    def fragments(
        self, evaluate: Callable[[Tensor], Tensor], samples: Tensor, owner: Tensor, *, n_images: int
    ) -> Fragments:
        """Filters the images of the samples with numbers `samples` [m] and `owner` [m] (0, 1, ...).

        `evaluate` gives the values [n_images, k] of those of them that it is asked for by index [k]; it is asked for
        `SAMPLES_AT_ONCE`, so that the memory does not grow with the samples per pixel.
        """
        area, device = self.size**2, samples.device
        # Samples of one owner in one pixel form a group; a group becomes a row, padded with samples of no weight.
        key, order = torch.sort(owner * area + self.pixel[samples], stable=True)
        groups, counts = torch.unique_consecutive(key, return_counts=True)
        targets, inside = self._targets(groups)
        occupied = torch.zeros((int(owner.max()) + 1 if len(owner) else 1) * area, dtype=torch.bool, device=device)
        occupied[targets[inside]] = True
        index = occupied.cumsum(0) - 1
        fragments = occupied.nonzero()[:, 0]
        found = torch.zeros(len(fragments), n_images, device=device)
        for low, high, first, last in _blocks(counts, SAMPLES_AT_ONCE):
            rows = evaluate(order[first:last]).T
            for start in range(low, high, GROUPS_AT_ONCE):
                some = slice(start, min(start + GROUPS_AT_ONCE, high))
                begin = first + int(counts[low:start].sum())
                part = slice(begin, begin + int(counts[some].sum()))
                spread = self._spread(rows[part.start - first : part.stop - first], samples[order[part]], counts[some])
                for tap in range(self.taps**2):  # within a tap, no two groups meet in a fragment
                    which = inside[some, tap]
                    found[index[targets[some, tap][which]]] += spread[which, tap]
        pixel = fragments % area
        weight = self.total[pixel][:, None].clamp_min(1e-12)  # 0 where no sample reaches a pixel
        return Fragments(pixel, fragments // area, (found / weight).T.contiguous())

    def _spread(self, rows: Tensor, samples: Tensor, counts: Tensor) -> Tensor:
        """[g, taps^2, n_images]: what g groups, of `counts` samples each, give to the pixels around their own."""
        n, width = len(counts), int(counts.max())
        group = torch.repeat_interleave(torch.arange(n, device=rows.device), counts)
        cell = group * width + torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[group]

        def padded(values: Tensor) -> Tensor:
            table = torch.zeros(n * width, values.shape[1], device=rows.device)
            table[cell] = values
            return table.view(n, width, -1)

        return padded(self._weights(samples)).mT @ padded(rows)

    def _weights(self, samples: Tensor | slice) -> Tensor:
        """[k, taps^2]: weights of samples in the pixels around their own, row by row."""
        return (self._down[samples][:, :, None] * self._across[samples][:, None]).flatten(1)

    def _targets(self, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Keys [g, taps^2] of the fragments that each group reaches, and which of them lie in the image."""
        area, size = self.size**2, self.size
        rows = (groups % area // size)[:, None] + self.offset.repeat_interleave(self.taps)
        columns = (groups % size)[:, None] + self.offset.repeat(self.taps)
        inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
        return groups[:, None] // area * area + rows * size + columns, inside

    def _total(self) -> Tensor:
        """float32 [size^2]: sum of the weights that reach each pixel."""
        weights = torch.zeros(self.size**2, self.taps**2, device=self.pixel.device)
        for low in range(0, len(self.pixel), SAMPLES_AT_ONCE):
            some = slice(low, low + SAMPLES_AT_ONCE)
            weights.index_add_(0, self.pixel[some], self._weights(some))
        return fold(weights.T[None], (self.size, self.size), self.taps, padding=self.reach).flatten()


def _blocks(counts: Tensor, limit: int) -> Iterator[tuple[int, int, int, int]]:
    """Runs of groups (from, to) with the range of their samples (from, to): at most `limit` samples, or one group."""
    ends = counts.cumsum(0).tolist()
    low, first = 0, 0
    while low < len(ends):
        high = max(low + 1, bisect_right(ends, first + limit))
        yield low, high, first, ends[high - 1]
        low, first = high, ends[high - 1]
