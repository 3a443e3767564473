"""Closed forms: discs and strips of known size, number and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.suggest import Sizes, Window, observe, visible_sizes
from drgan_lib.suggest.threads import find_threads
from tests.suggest.conftest import LEVELS, draw, grid

ALL = [Window(0, 0, 0, 300)]


@pytest.mark.parametrize("radius", [6, 12, 24])
def test_discs_apart(radius):
    image, labels = draw(grid(5), [radius] * 25)
    seen = observe([image], [labels > 0], ALL, shape="sphere")
    assert seen.sizes.median == pytest.approx(2 * radius, rel=0.03)
    assert seen.sizes.spread == pytest.approx(0, abs=0.01)
    assert seen.views.particles == seen.views.parts == [25]
    assert seen.views.coverage == pytest.approx((labels > 0).mean())
    levels = [seen.views.background[0], seen.views.particle_level[0], seen.views.noise[0]]
    assert levels == pytest.approx([*LEVELS, 0.01], rel=0.1)


@pytest.mark.parametrize("radius", [8, 16, 32])
def test_touching_discs_are_told_apart_at_any_scale(radius):
    """Chains of three discs that overlap by a tenth of their diameter."""
    size = 20 * radius
    centres = [(row, column * 1.8 * radius + 2 * radius) for row in (3 * radius, 9 * radius) for column in range(3)]
    image, labels = draw(centres, [radius] * 6, size)
    seen = observe([image], [labels > 0], [Window(0, 0, 0, size)], shape="sphere")
    assert seen.views.particles == [6]
    assert seen.views.parts == seen.views.clusters == [2]
    assert seen.views.looseness == 0
    assert seen.sizes.median == pytest.approx(2 * radius, rel=0.05)


def test_gaps_within_clusters_make_them_loose():
    """Two clusters of four discs, half a diameter between neighbours: three links each, and none touches."""
    centres = [(row, column) for row in (60, 220) for column in (40, 70, 100, 130)]
    image, labels = draw(centres, [10] * 8)
    views = observe([image], [labels > 0], ALL, shape="cube").views
    assert (views.particles[0], views.parts[0], views.clusters[0], views.looseness) == (8, 8, 2, 1)


def test_a_dark_gap_tells_particles_apart_that_the_outline_does_not():
    image, labels = np.full((120, 120), 0.1, np.float32), np.zeros((120, 120), bool)
    labels[40:80, 30:90] = True
    image[labels] = 0.7
    windows = [Window(0, 0, 0, 120)]
    whole = observe([image], [labels], windows, shape="cube")
    image[40:80, 58:62] = 0.3
    halves = observe([image], [labels], windows, shape="cube")
    assert (whole.views.particles, halves.views.particles) == ([1], [2])


def test_cut_particles_have_no_size_and_large_ones_more_weight():
    labels = np.zeros((100, 100), np.int32)
    for k, (top, side) in enumerate(((0, 20), (30, 10), (50, 40)), 1):
        labels[top : top + side, 5 : 5 + side] = k
    sizes = visible_sizes([labels])
    assert sizes.diameters == pytest.approx(np.sqrt(4 * np.array([100, 1600]) / np.pi))
    assert sizes.weights == pytest.approx([100**2 / 89**2, 100**2 / 59**2])  # places not at the border


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 200), st.floats(0.05, 0.6), st.integers(0, 99))
def test_quantiles_agree_with_numpy(n, sigma, seed):
    values = np.random.default_rng(seed).lognormal(3, sigma, size=n)
    sizes = Sizes(values, np.ones(n), np.zeros(n, int))
    expected = np.quantile(values, [0.3, 0.5], method="hazen")
    assert [sizes.quantile(0.3), sizes.median] == pytest.approx(expected)
    repeated = Sizes(values, np.full(n, 7.0), np.zeros(n, int))
    assert repeated.spread == pytest.approx(sizes.spread)


def test_an_empty_image_shows_nothing():
    image, mask = np.full((64, 64), 0.2, np.float32), np.zeros((64, 64), bool)
    for shape in ("cube", "wire"):
        seen = observe([image], [mask], [Window(0, 0, 0, 64)], shape=shape)
        assert len(seen.sizes.diameters) == 0
        assert seen.views.particles == seen.views.coverage == [0]
        assert np.isnan(seen.views.particle_level).all()


@pytest.mark.parametrize("width", [4, 7, 12])
def test_straight_wires(width):
    mask = np.zeros((300, 300), bool)
    for row in (50, 120, 200):
        mask[row : row + width, 40:240] = True
    threads = find_threads(mask)
    assert threads.diameters == pytest.approx([width] * 3, abs=0.6)
    assert threads.lengths == pytest.approx([200] * 3, rel=0.05)
    assert len(threads.ends) == 6


def test_a_ragged_outline_and_specks_are_no_threads():
    mask = np.zeros((300, 300), bool)
    mask[100:140, 40:260] = mask[200:203, 30:60] = True
    frayed = mask.copy()
    for column in range(50, 250, 20):  # hairs of 3 px
        frayed[70:170, column : column + 3] = True
    threads = find_threads(frayed)
    assert threads.diameters == pytest.approx([40], abs=1)
    assert threads.lengths == pytest.approx([220], rel=0.1)


def test_crossing_and_cut_wires_are_counted_by_their_ends():
    """Two crossing wires have four ends, one that the border cuts has one; a blob's spurs are none."""
    mask = np.zeros((300, 300), bool)
    mask[100:106, 20:280] = mask[20:180, 150:156] = mask[240:246, 120:] = True
    threads = find_threads(mask)
    assert len(threads.ends) == 5
    image = np.where(mask, 0.8, 0.1).astype(np.float32)
    seen = observe([image], [mask], ALL, shape="wire")
    assert seen.views.particles == [2.5]
    assert seen.sizes.median == pytest.approx(6, abs=0.6)
    assert seen.aspect == pytest.approx((260 + 160 + 180) / 2.5 / 6, rel=0.15)


def test_the_meshes_of_a_net_are_not_wire():
    mask = np.zeros((200, 200), bool)
    for k in (40, 140):
        mask[k : k + 6, 20:180] = mask[20:180, k : k + 6] = True
    image, filled = np.where(mask, 0.8, 0.1).astype(np.float32), mask.copy()
    filled[40:146, 40:146] = True
    seen = observe([image], [filled], [Window(0, 0, 0, 200)], shape="wire")
    assert seen.sizes.median == pytest.approx(6, abs=0.6)
    assert seen.views.coverage == pytest.approx(mask.mean(), rel=0.1)
