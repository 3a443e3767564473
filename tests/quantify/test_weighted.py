"""Statistics of weighted samples, against NumPy's and SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from drgan_lib.quantify.distributions import weighted_quantiles, wilson

SHARES = (0.1, 0.5, 0.9)


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=40), st.floats(0.1, 10))
@settings(max_examples=60, deadline=None)
def test_quantiles_of_equal_weights_are_numpys(values, weight):
    values = np.array(values)
    found = weighted_quantiles(values, np.full(values.shape, weight), SHARES)
    np.testing.assert_allclose(found, np.quantile(values, SHARES, method="hazen"), rtol=1e-9)
    assert found[1] == pytest.approx(np.median(values))


@given(st.lists(st.tuples(st.floats(1, 1e4), st.floats(0.01, 10)), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
@example(pairs=[(1.2577138465653661, 1.0), (4097.57814914893, 1.0)])
def test_quantiles_of_any_weights_rise_with_their_share(pairs):
    values, weights = np.array(pairs).T
    d10, d50, d90 = weighted_quantiles(values, weights, SHARES)
    assert values.min() <= d10 <= d50 <= d90 <= values.max()


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 40), (500, 1000)])
def test_the_interval_of_a_share_is_scipys(hits, n):
    expected = binomtest(hits, n).proportion_ci(0.9, method="wilson")
    for weights in (np.full(n, 0.3), np.append(np.ones(n), [0.0, 0.0])):  # worth n equal draws
        assert wilson(hits / n, weights, 0.9) == pytest.approx((expected.low, expected.high))
