from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from drgan_lib.quantify import Counting, counted, distribution, measure, summarise
from drgan_lib.quantify.distribution import Distribution, Estimate
from drgan_lib.quantify.weighted import weighted_quantiles
from tests.quantify.conftest import disc

ALL = Counting()
SHARES = (0.1, 0.5, 0.9)
ALL_FIGURES = ["mean", "d10", "d50", "d90", "span"]


def particles(diameters_nm, *, border=False, weight=1.0) -> pd.DataFrame:
    """A table that holds what a distribution needs, at 1 nm per px."""
    diameters = np.asarray(diameters_nm, float)
    return pd.DataFrame(
        {
            "area_px2": np.rint(math.pi / 4 * diameters**2).astype(int),
            "equivalent_diameter_nm": diameters,
            "feret_min_nm": diameters,
            "touches_border": np.broadcast_to(border, diameters.shape),
            "edge_weight": np.broadcast_to(weight, diameters.shape),
        }
    )


def test_a_particle_of_weight_two_counts_as_two():
    rng = np.random.default_rng(0)
    values, weights = rng.random(4000), rng.integers(1, 4, 4000)
    repeated = np.repeat(values, weights)
    found = weighted_quantiles(values, weights.astype(float), SHARES)
    np.testing.assert_allclose(found, np.quantile(repeated, SHARES, method="hazen"), atol=1e-3)
    table = particles(100 * values + 50, weight=weights)
    weighted = summarise(table, "equivalent_diameter_nm", Counting(border="weight"))
    assert weighted["mean"] == pytest.approx((100 * repeated + 50).mean())
    assert weighted["nano_fraction"] == pytest.approx((repeated <= 0.5).mean())
    assert weighted["n"] == 4000


def test_figures_of_the_numbers_from_1_to_1000():
    result = distribution(particles(np.arange(1, 1001)), "equivalent_diameter_nm", ALL)
    values = {name: e.value for name, e in result.estimates.items()}
    expected = {"mean": 500.5, "d10": 100.5, "d50": 500.5, "d90": 900.5, "span": 800 / 500.5, "nano_fraction": 0.1}
    assert values == pytest.approx(expected)
    half = norm.ppf(0.975) * np.std(np.arange(1000)) / math.sqrt(1000)
    assert result.estimates["mean"].low == pytest.approx(500.5 - half, abs=2)
    assert result.estimates["mean"].high == pytest.approx(500.5 + half, abs=2)
    # the standard error of a quantile: sqrt(p (1 - p) / n) / density
    assert result.estimates["d50"].high - result.estimates["d50"].low == pytest.approx(2 * 1.96 * 15.8, rel=0.15)
    assert all(e.low <= e.value <= e.high for e in result.estimates.values())


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 150 intervals of 95 %, 142.5 hold it on average, and fewer than 134 with a probability of 1 in 1000."""
    rng, hits = np.random.default_rng(5), {"mean": 0, "d50": 0, "d90": 0, "nano_fraction": 0}
    mu, sigma = math.log(100), 0.3
    truth = {
        "mean": 100 * math.exp(sigma**2 / 2),
        "d50": 100,
        "d90": 100 * math.exp(1.2816 * sigma),
        "nano_fraction": 0.5,
    }
    for _ in range(150):
        result = distribution(particles(rng.lognormal(mu, sigma, 150)), "equivalent_diameter_nm", ALL, n_resamples=300)
        for name in hits:
            hits[name] += result.estimates[name].low <= truth[name] <= result.estimates[name].high
    assert min(hits.values()) >= 134


def test_the_same_seed_gives_the_same_intervals():
    table = particles(np.random.default_rng(0).lognormal(4, 0.5, 50))
    first, second, other = (distribution(table, "equivalent_diameter_nm", ALL, seed=seed) for seed in (1, 1, 2))
    assert first == second
    assert first.estimates != other.estimates


def test_all_particles_on_one_side_leave_the_share_uncertain():
    share = distribution(particles(np.full(20, 50.0)), "equivalent_diameter_nm", ALL).estimates["nano_fraction"]
    assert share.value == share.high == 1
    assert 0.8 < share.low < 0.9


def test_who_counts_is_stated():
    table = particles([10, 10, 5, 5, 20], border=[True, False, False, True, False])
    result = distribution(table, "equivalent_diameter_nm", Counting(min_area_px=30))
    assert (result.n, result.n_border, result.n_small) == (2, 2, 1)
    assert result.estimates["mean"].value == 15
    assert result.table()["value"][["n", "n_border", "n_small"]].tolist() == [2, 2, 1]
    keep, weights = counted(table, Counting(min_area_px=30))
    assert keep.tolist() == [False, True, False, False, True]
    assert weights.tolist() == [0, 1, 0, 0, 1]


def test_too_few_particles_have_no_interval():
    none = distribution(particles([]), "equivalent_diameter_nm", ALL)
    assert none.n == 0
    assert all(math.isnan(x) for e in none.estimates.values() for x in (e.value, e.low, e.high))
    one = distribution(particles([50]), "equivalent_diameter_nm", ALL)
    assert one.estimates["d50"].value == 50
    for result in (none, one):
        assert math.isnan(result.needed("d50"))
        assert not result.enough()
        assert result.nano_criterion == "unknown"
        assert len(result.table()) == 9


@pytest.mark.parametrize(("n", "known"), [(5, []), (6, ["mean", "d50"]), (35, ["mean", "d50"]), (36, ALL_FIGURES)])
def test_an_interval_needs_particles_on_both_sides(n, known):
    """With 95 % and n draws, the median is beyond all of them, on one side, with 2^-n; 2.5 % lie between 5 and 6."""
    sizes = np.random.default_rng(0).lognormal(4, 0.3, n)
    result = distribution(particles(sizes), "equivalent_diameter_nm", ALL, n_resamples=200)
    found = [name for name in ALL_FIGURES if not math.isnan(result.estimates[name].low)]
    assert found == known
    assert result.enough("d10", target=10) == (known == ALL_FIGURES)
    assert not math.isnan(result.estimates["nano_fraction"].low)


def test_equal_particles_are_not_enough_for_being_few():
    assert not distribution(particles([100, 100, 100]), "equivalent_diameter_nm", ALL).enough()


def test_without_pixel_size_there_is_no_nano_fraction(scattered):
    result = distribution(measure(scattered), "equivalent_diameter_px", ALL)
    assert "nano_fraction" not in result.estimates
    assert result.nano_criterion == "unknown"


@pytest.mark.parametrize(("interval", "verdict"), [((0.5, 0.7), "met"), ((0.2, 0.49), "not met"), ((0.4, 0.5), "open")])
def test_the_criterion_needs_the_whole_interval_on_one_side(interval, verdict):
    result = Distribution("feret_min_nm", ALL, 9, 0, 0, 0.95, {"nano_fraction": Estimate(sum(interval) / 2, *interval)})
    assert result.nano_criterion == verdict


def test_four_times_the_particles_halve_the_interval():
    result = Distribution("feret_min_nm", ALL, 100, 0, 0, 0.95, {"d50": Estimate(50.0, 45.0, 55.0)})
    assert result.estimates["d50"].relative_half_width == pytest.approx(0.1)
    assert result.needed("d50", 0.05) == 400
    assert not result.enough("d50", 0.05)
    assert result.enough("d50", 0.1)
    with pytest.raises(ValueError, match="target above 0"):
        result.needed("d50", 0)


def test_the_number_needed_is_what_turns_out_to_be_needed():
    rng = np.random.default_rng(2)
    sizes = rng.lognormal(4, 0.5, 20_000)
    few = distribution(particles(sizes[:300]), "equivalent_diameter_nm", ALL)
    needed = int(few.needed("mean", 0.02))
    assert needed > 1000
    many = distribution(particles(sizes[:needed]), "equivalent_diameter_nm", ALL)
    assert many.estimates["mean"].relative_half_width == pytest.approx(0.02, rel=0.15)


def test_weights_undo_what_the_border_does_to_the_sizes():
    """Windows cut out around discs of two sizes, as many of each: the large ones touch the border far more often."""
    rng, rows, side = np.random.default_rng(0), [], 64
    for radius in np.tile([2.0, 14.0], 600):
        row, column = rng.uniform(-16, side + 16, 2)
        if radius < min(row, column) and max(row, column) < side - radius:  # the others touch the border or are outside
            rows.append(measure(disc(radius, centre=(row, column), side=side).astype(int)))
    table = pd.concat(rows, ignore_index=True)
    share = {}
    for border in ("exclude", "weight"):
        _, weights = counted(table, Counting(border=border))
        share[border] = weights[table["equivalent_diameter_px"] < 10].sum() / weights.sum()
    assert share["exclude"] > 0.65
    assert share["weight"] == pytest.approx(0.5, abs=0.06)


def test_weights_sum_to_one_over_all_places_of_a_particle():
    """The method of Miles and Lantuejoul: particles that are lost are made up for by those that are not."""
    weights = []
    for down in range(11):
        for right in range(13):
            labels = np.zeros((20, 20), int)
            labels[down : down + 5, right : right + 3] = 1
            weights.append(measure(labels[:11, :13])["edge_weight"][0])
    assert 0.5 * len(weights) > np.count_nonzero(weights) > 0
    assert np.mean(weights) == pytest.approx(1)


def test_what_is_no_size_is_refused(scattered):
    table = measure(scattered)
    for column in ("touches_border", "row_px", "missing"):
        with pytest.raises(ValueError, match=r"expected one of the table's sizes .*equivalent_diameter_px"):
            distribution(table, column, ALL)
    with pytest.raises(ValueError, match="measure with a pixel size for columns in nm"):
        distribution(table, "equivalent_diameter_nm", ALL)
    with pytest.raises(ValueError, match="level between 0 and 1"):
        distribution(table, "feret_min_px", ALL, level=95)
    with pytest.raises(ValueError, match="at least 0 px"):
        Counting(min_area_px=-1)
    with pytest.raises(ValueError, match="exclude or weight"):
        Counting(border="include")


def test_small_particles_that_were_left_out_leave_the_criterion_open():
    large, small = np.full(400, 120.0), np.full(4000, 70.0)
    for sizes, verdict in ((large, "not met"), (np.append(large, small), "open")):
        assert distribution(particles(sizes), "feret_min_nm", Counting(min_area_px=5000)).nano_criterion == verdict


def test_where_nanoparticles_are_too_small_to_count_the_criterion_is_unknown():
    labels = np.zeros((400, 400), np.int32)
    for k in range(64):
        row, column = 50 * (k // 8), 50 * (k % 8)
        labels[row : row + 50, column : column + 50][disc(10, side=50)] = k + 1
    fine, coarse = (
        distribution(measure(labels, size_nm), "feret_min_nm", Counting(min_area_px=50)) for size_nm in (8.0, 15.0)
    )
    assert fine.smallest_nm == pytest.approx(8 * 7.98, rel=1e-3)
    assert (fine.nano_criterion, coarse.nano_criterion) == ("not met", "unknown")
    assert distribution(measure(labels), "feret_min_px", ALL).smallest_nm is None
