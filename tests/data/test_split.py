"""Touching particles of known place and size, at several scales."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import disk

from drgan_lib.data import detect_particles
from drgan_lib.data.split import equivalent_diameters, split_at_necks, split_particles


def no_gaps(mask: np.ndarray):
    return lambda i, typical: np.zeros_like(mask)


def chains(radius: int) -> np.ndarray:
    """Mask of two chains of three discs each that overlap by a tenth of their diameter."""
    mask = np.zeros((20 * radius, 20 * radius), bool)
    for row in (5 * radius, 11 * radius):
        for k in range(3):
            mask[disk((row, radius * (1.8 * k + 4)), radius)] = True
    return mask


@pytest.mark.parametrize("radius", [8, 16, 32])
def test_touching_discs_are_told_apart_at_any_scale(radius):
    mask = chains(radius)
    noise = np.random.default_rng(0).normal(0, 0.01, mask.shape)
    image = (0.15 + 0.45 * mask + noise).astype(np.float32)
    (split,), typical = split_particles([mask], no_gaps(mask), 0.85)
    (detection,) = detect_particles([image])
    assert typical == pytest.approx(2 * radius, rel=0.1)
    for labels in (split, detection.labels):
        assert labels.max() == 6
        assert np.median(equivalent_diameters(labels)) == pytest.approx(2 * radius, rel=0.1)


def test_a_dark_gap_tells_particles_apart_that_the_outline_does_not():
    mask = np.zeros((120, 120), bool)
    mask[40:80, 30:90] = True
    gap = np.zeros_like(mask)
    gap[:, 58:62] = True
    (whole,), _ = split_particles([mask], no_gaps(mask), 0.85)
    (halves,), typical = split_particles([mask], lambda i, typical: gap, 0.85)
    assert (whole.max(), halves.max()) == (1, 2)
    assert ((halves > 0) == mask).all()
    assert typical == pytest.approx(np.sqrt(4 / np.pi * 40 * 30))


def test_narrow_necks_part_and_wide_ones_do_not():
    distance = np.tile(np.array([2, 5, 9, 8.5, 8.5, 8.5, 8.6, 10, 7, 3, 3, 5, 8, 5, 2]), (3, 1))
    mask = np.ones(distance.shape, bool)
    by_ratio = split_at_necks(np.log(distance), mask, -np.log(0.9))
    assert by_ratio[0, 2] == by_ratio[0, 7] != by_ratio[0, 12]
    assert by_ratio.max() == 2
    assert [split_at_necks(distance, mask, px).max() for px in (0.4, 0.6, 5.5)] == [3, 2, 1]
    parts = split_at_necks(distance, mask, 0.6, lines=True)
    assert (parts == 0).any(axis=0).nonzero()[0].tolist() in ([9], [10])


def test_where_there_is_no_foreground_there_is_no_particle():
    empty = np.zeros((64, 64), bool)
    for masks in ([], [empty], [empty] * 5):
        labels, typical = split_particles(masks, no_gaps(empty), 0.85)
        assert [one.any() for one in labels] == [False] * len(masks)
        assert typical == 0
    assert detect_particles([]) == []


def test_equivalent_diameters_are_those_of_discs():
    labels = np.zeros((200, 200), int)
    for label, (centre, radius) in enumerate((((50, 50), 20), ((150, 150), 40)), 1):
        labels[disk(centre, radius)] = label
    assert equivalent_diameters(labels) == pytest.approx([40, 80], rel=0.02)
