"""Random numbers of a seed and a place: their distribution, and that nothing else matters."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from drgan_lib.draws import normal, uniform

KINDS = {"uniform": (uniform, stats.uniform), "normal": (normal, stats.norm)}


def seeds(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_hashes_are_splitmix64():
    """Against the generator itself, written with Python's integers."""
    mask = 2**64 - 1

    def mixed(x: int) -> int:
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ x >> shift) * factor & mask
        return x ^ x >> 31

    gamma, seed, stream = 0x9E3779B97F4A7C15, 4_000_000_000, 3
    state = mixed((mixed(seed) + gamma * (stream + 1)) & mask)
    expected = [((mixed((state + gamma * k) & mask) >> 40) + 0.5) / 2**24 for k in range(1, 9)]
    assert uniform(seeds(seed), 8, stream=stream)[0].tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_they_have_their_distribution(kind, seed):
    """Kolmogorov and Smirnov's test, and no correlation with the number before."""
    draw, law = KINDS[kind]
    values = draw(seeds(seed), 20_001)[0].double().numpy()
    assert stats.kstest(values, law.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.03
    assert np.isfinite(values).all()


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_and_streams_are_independent(kind):
    draw, _ = KINDS[kind]
    rows = torch.cat([draw(seeds(5, 6), 4000), draw(seeds(5), 4000, stream=1)])
    assert (np.corrcoef(rows.numpy()) - np.eye(3)).max() < 0.06


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), other=st.integers(0, 2**32 - 1), n=st.integers(2, 50))
def test_the_rest_of_the_batch_changes_nothing_and_a_longer_row_begins_the_same(seed, other, n):
    for draw, _ in KINDS.values():
        assert torch.equal(draw(seeds(other, seed), n)[1], draw(seeds(seed), n)[0])
        assert torch.equal(draw(seeds(seed), n + 3)[0, :n], draw(seeds(seed), n)[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_draws_the_same():
    here = torch.arange(8)
    assert torch.equal(uniform(here, 1000), uniform(here.cuda(), 1000).cpu())
    torch.testing.assert_close(normal(here, 1000), normal(here.cuda(), 1000).cpu(), rtol=1e-4, atol=1e-5)
