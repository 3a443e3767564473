"""Statistics of weighted samples, against NumPy's and SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from drgan_lib.quantify.weighted import effective, weighted_quantiles, wilson

SHARES = (0.1, 0.5, 0.9)


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=40), st.floats(0.1, 10))
@settings(max_examples=60, deadline=None)
def test_quantiles_of_equal_weights_are_numpys(values, weight):
    values = np.array(values)
    found = weighted_quantiles(values, np.full(values.shape, weight), SHARES)
    np.testing.assert_allclose(found, np.quantile(values, SHARES, method="hazen"), rtol=1e-9)
    assert found[1] == pytest.approx(np.median(values))


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 40), (500, 1000)])
def test_the_interval_of_a_share_is_scipys(hits, n):
    expected = binomtest(hits, n).proportion_ci(0.9, method="wilson")
    assert wilson(hits / n, n, 0.9) == pytest.approx((expected.low, expected.high))


def test_equal_weights_are_worth_their_number():
    assert effective(np.full(7, 0.3)) == pytest.approx(7)
    assert effective(np.array([1.0, 1.0, 0.0])) == pytest.approx(2)
