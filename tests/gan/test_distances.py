import numpy as np
import pytest
from pytorch_fid.fid_score import calculate_frechet_distance

from drgan_lib.gan import frechet_distance, kid, spread


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_equal_covariances_give_the_squared_distance_of_means(rng):
    x = rng.normal(size=(50, 8))
    assert frechet_distance(x, x + 2.0) == pytest.approx(8 * 4.0)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 16), (20, 30, 64)])
def test_agrees_with_pytorch_fid(rng, n, m, d):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 1.5 + 0.2
    moments = [moment for z in (x, y) for moment in (z.mean(axis=0), np.cov(z, rowvar=False))]
    assert frechet_distance(x, y) == pytest.approx(calculate_frechet_distance(*moments), rel=1e-4)


def test_kid_is_unbiased_and_grows_with_the_difference(rng):
    estimates = [kid(rng.normal(size=(40, 8)), rng.normal(size=(40, 8)), subsets=2)[0] for _ in range(200)]
    assert abs(np.mean(estimates)) < 3 * np.std(estimates) / np.sqrt(200)
    x = rng.normal(size=(40, 8))
    near, far = kid(x, rng.normal(size=(40, 8)) + 0.5), kid(x, rng.normal(size=(40, 8)) + 1.0)
    assert near[0] < far[0]
    assert far[0] > 3 * far[1]


def test_kid_error_is_the_standard_deviation_between_samples(rng):
    draws = [kid(rng.normal(size=(60, 8)), rng.normal(size=(60, 8)) + 1, subsets=50) for _ in range(60)]
    estimates, errors = np.array(draws).T
    assert errors.mean() == pytest.approx(estimates.std(), rel=0.3)


def test_kid_is_reproducible(rng):
    x, y = rng.normal(size=(10, 4)), rng.normal(size=(12, 4))
    assert kid(x, y, seed=3) == kid(x, y, seed=3)


@pytest.mark.parametrize("distance", [frechet_distance, kid])
@pytest.mark.parametrize("shapes", [((1, 4), (5, 4)), ((5, 4), (5, 3)), ((5,), (5,))])
def test_unusable_sets_are_refused(distance, shapes):
    with pytest.raises(ValueError, match="two feature sets"):
        distance(np.zeros(shapes[0]), np.zeros(shapes[1]))


def test_spread_of_uniform_and_constant_distributions(rng):
    assert spread(rng.uniform(size=(20000, 3))) == pytest.approx(1, abs=0.02)
    assert spread(np.full((5, 3), 0.4)) == pytest.approx(0, abs=1e-12)
