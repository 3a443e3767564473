"""The lights at and beside their thresholds."""

from __future__ import annotations

import pandas as pd
import pytest

from drgan_lib.metric import Metric
from drgan_lib.report import lights

BOUNDS = {"roughness": (0.0, 1.0), "base_color": (1.0, 3.0), "sheen": (0.0, 0.2)}


def rate(value: float) -> Metric:
    return Metric(value, "a share", n=10)


@pytest.mark.parametrize(
    ("light", "value", "state"),
    [
        (lights.acceptance, 1.0, "good"),
        (lights.acceptance, 0.5, "good"),
        (lights.acceptance, 0.49, "look closer"),
        (lights.acceptance, 0.2, "look closer"),
        (lights.acceptance, 0.19, "poor"),
        (lights.counts, 0.0, "good"),
        (lights.counts, 0.1, "good"),
        (lights.counts, 0.25, "look closer"),
        (lights.counts, 0.26, "poor"),
    ],
)
def test_shares_change_their_state_where_the_rule_says(light, value, state):
    assert light(rate(value)).state == state
    assert light(None).state == "not known"


@pytest.mark.parametrize(
    ("roughness", "base_color", "sheen", "state", "seen"),
    [
        ([0.5, 0.6], [2.0, 2.1], [0.1, 0.1], "good", "0 of 3"),
        ([0.5, 1.0], [2.0, 2.1], [0.1, 0.1], "look closer", "1 of 3: roughness"),
        ([0.5, 0.6], [1.0, 1.05], [0.1, 0.1], "look closer", "1 of 3: base color"),
        ([0.5, 0.6], [1.2, 1.3], [0.199, 0.2], "look closer", "1 of 3: sheen"),
        ([0.0, 0.0], [3.0, 3.0], [0.1, 0.1], "poor", "2 of 3: roughness, base color"),
    ],
)
def test_parameters_at_bounds_are_named(roughness, base_color, sheen, state, seen):
    learned = pd.DataFrame({"roughness": roughness, "base_color": base_color, "sheen": sheen})
    light = lights.at_bounds(learned, BOUNDS)
    assert (light.state, light.seen) == (state, seen)


@pytest.mark.parametrize(
    ("sizes", "trained", "state"),
    [
        ([2.0], 2.0, "good"),
        ([2.4, 2.0], 2.0, "good"),
        ([2.0, 2.5], 2.0, "look closer"),
        ([1.6], 2.0, "look closer"),
        ([2.0, 1.0], 2.0, "poor"),
        ([3.1], 2.0, "poor"),
        ([None], 2.0, "not known"),
        ([2.0], None, "not known"),
        ([], 2.0, "not known"),
    ],
)
def test_pixel_sizes_are_compared_both_ways(sizes, trained, state):
    assert lights.same_scale(sizes, trained).state == state


@pytest.mark.parametrize(
    ("n_small", "n", "state"),
    [
        (0, 9, "good"),
        (20, 80, "good"),
        (21, 79, "look closer"),
        (50, 50, "look closer"),
        (51, 49, "poor"),
        (0, 0, None),
    ],
)
def test_many_specks_are_a_sign_of_unknown_images(n_small, n, state):
    assert lights.specks(n_small, n).state == (state or "not known")
    assert lights.specks(51, 49).seen == "51 % (51 of 100)"
