"""The film's reconstruction filter, for many images at once.

Mitsuba adds each sample to all pixels in reach of its Gaussian filter and divides by the sum of the weights. All basis
images of a layout share their samples, so here the weights are made once and applied to all images as products of
matrices. What owns a sample (a particle, under one light) is kept apart: the result is a list of fragments, each the
part of one pixel that comes from one owner, and an image is the sum of its fragments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drgan_lib.scene.backend import mi

RADIUS_PX = 2  # pixels to each side that a sample can reach
TAPS = 2 * RADIUS_PX + 1
CHUNK = 4096  # groups of samples that are filtered at a time


@dataclass(frozen=True)
class Fragments:
    """Parts of pixels: `pixel` and `owner` int64 [f], sorted by owner, and `values` float32 [n_images, f]."""

    pixel: Tensor
    owner: Tensor
    values: Tensor


class Film:
    """Film of `size` x `size` pixels over samples at `position` [n, 2] (column, row) in pixels.

    As Mitsuba's `hdrfilm` with the same `rfilter`; `ValueError` if the filter reaches further than `RADIUS_PX`.
    """

    def __init__(self, position: Tensor, *, size: int, rfilter: mi.ReconstructionFilter):
        if rfilter.radius() > RADIUS_PX:
            raise ValueError(
                f"expected a filter that reaches at most {RADIUS_PX} pixels, got {rfilter.radius()}; lower "
                "scene.filter_std_px, or set gan.renderer=mitsuba"
            )
        self.size = size
        corner = position.long().clamp(0, size - 1)
        self.pixel = corner[:, 1] * size + corner[:, 0]
        taps = torch.arange(-RADIUS_PX, RADIUS_PX + 1, device=position.device) + 0.5
        # Mitsuba approximates the Gaussian by a polynomial, so it is asked rather than imitated.
        self._across, self._down = (
            rfilter.eval(mi.Float((taps - (position[:, axis] - corner[:, axis])[:, None]).flatten()))
            .torch()
            .view(-1, TAPS)
            for axis in (0, 1)
        )  # [n, TAPS] each
        self.total = self._total()

    def fragments(self, values: Tensor, samples: Tensor, owner: Tensor) -> Fragments:
        """Filters `values` [n_images, m] of the samples with numbers `samples` [m] and `owner` [m] (0, 1, ...)."""
        area, device = self.size**2, values.device
        # Samples of one owner in one pixel form a group; a group becomes a row, padded with samples of no weight.
        key, order = torch.sort(owner * area + self.pixel[samples], stable=True)
        groups, group, counts = torch.unique_consecutive(key, return_inverse=True, return_counts=True)
        place = torch.arange(len(key), device=device) - (counts.cumsum(0) - counts)[group]
        targets, inside = self._targets(groups)
        occupied = torch.zeros((int(owner.max()) + 1 if len(owner) else 1) * area, dtype=torch.bool, device=device)
        occupied[targets[inside]] = True
        index = occupied.cumsum(0) - 1
        fragments = occupied.nonzero()[:, 0]
        found = torch.zeros(len(fragments), len(values), device=device)
        rows, width = values.T[order], int(counts.max()) if len(counts) else 0
        starts = torch.cat([torch.zeros(1, dtype=torch.long, device=device), counts.cumsum(0)])
        for low in range(0, len(groups), CHUNK):
            high = min(low + CHUNK, len(groups))
            part = slice(int(starts[low]), int(starts[high]))
            cell = (group[part] - low) * width + place[part]
            chosen = samples[order[part]]
            weight = torch.zeros((high - low) * width, TAPS * TAPS, device=device)
            weight[cell] = (self._down[chosen][:, :, None] * self._across[chosen][:, None]).flatten(1)
            padded = torch.zeros((high - low) * width, len(values), device=device)
            padded[cell] = rows[part]
            spread = weight.view(high - low, width, -1).mT @ padded.view(high - low, width, -1)  # [g, TAPS^2, images]
            ok = inside[low:high]
            for tap in range(TAPS * TAPS):  # within a tap, no two groups meet in a fragment
                which = ok[:, tap]
                found[index[targets[low:high, tap][which]]] += spread[which, tap]
        pixel = fragments % area
        return Fragments(pixel, fragments // area, (found / self.total[pixel][:, None].clamp_min(1e-12)).T.contiguous())

    def _targets(self, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Keys [g, TAPS^2] of the fragments that each group reaches, and which of them lie in the image."""
        area, size = self.size**2, self.size
        row, column = groups % area // size, groups % size
        offset = torch.arange(-RADIUS_PX, RADIUS_PX + 1, device=groups.device)
        rows = (row[:, None] + offset)[:, :, None].expand(-1, -1, TAPS).flatten(1)
        columns = (column[:, None] + offset)[:, None].expand(-1, TAPS, -1).flatten(1)
        inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
        return groups[:, None] // area * area + rows * size + columns, inside

    def _total(self) -> Tensor:
        """float32 [size^2]: sum of the weights that reach each pixel."""
        weights = torch.zeros(self.size**2, TAPS * TAPS, device=self.pixel.device)
        weights.index_add_(0, self.pixel, (self._down[:, :, None] * self._across[:, None]).flatten(1))
        padded = torch.nn.functional.pad(weights.T.reshape(TAPS, TAPS, self.size, self.size), (2 * RADIUS_PX,) * 4)
        total = torch.zeros(self.size + 4 * RADIUS_PX, self.size + 4 * RADIUS_PX, device=weights.device)
        for i in range(TAPS):
            for j in range(TAPS):
                total += padded[i, j].roll((i - RADIUS_PX, j - RADIUS_PX), (0, 1))
        crop = slice(2 * RADIUS_PX, -2 * RADIUS_PX)
        return total[crop, crop].reshape(-1)
