import numpy as np
import pytest

from drgan_lib.data.crowd import DEFINITIONS, crowd


def discs(places, *, radius=10, size=128):
    y, x = np.mgrid[:size, :size]
    image = np.full((size, size), 0.2, np.float32) + np.random.default_rng(0).normal(0, 0.003, (size, size))
    for row, column, level in places:
        image[np.hypot(y - row, x - column) < radius] = level
    return image.astype(np.float32)


def test_what_is_found_of_discs_is_what_was_drawn():
    e = np.exp(0.3)
    apart = [(30, 30, 0.5), (30, 90, 0.2 + 0.3 * e), (90, 30, 0.2 + 0.3 / e), (90, 90, 0.5)]
    found = crowd([discs(apart), discs(apart[:2])])
    assert found.keys() == DEFINITIONS.keys()
    assert (found["particles"], found["particles_std"], found["neighbours"]) == (3, 1, 0)
    assert found["coverage"] == pytest.approx(3 * np.pi * 100 / 128**2, rel=0.2)
    assert found["d50"] == pytest.approx(20, rel=0.1)
    assert found["brightness_spread"] == pytest.approx(0.3 / 2**0.5, rel=0.2)


def test_particles_that_touch_are_neighbours():
    assert crowd([discs([(64, 40, 0.6), (64, 60, 0.6)])])["neighbours"] == 1


def test_nothing_found_leaves_open_what_it_cannot_say():
    found = crowd([discs([])])
    assert (found["particles"], found["coverage"]) == (0, 0)
    assert np.isnan([found["d50"], found["neighbours"], found["brightness_spread"]]).all()
