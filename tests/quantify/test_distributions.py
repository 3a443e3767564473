from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from drgan_lib.metric import Metric
from drgan_lib.quantify import Counting, Distribution, counted, distribution, measure_particles
from tests.quantify.conftest import disc

ALL = Counting()
NAMES = ["mean", "d10", "d50", "d90", "span"]


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


def of(diameters_nm, counting: Counting = ALL, *, column: str = "equivalent_diameter_nm", **more) -> Distribution:
    return distribution(particles(diameters_nm), column, counting, **more)


def with_metric(name: str, value: float, low: float, high: float, n: int) -> Distribution:
    return replace(of([]), metrics={name: Metric(value, "", low=low, high=high)}, n=n)


def test_a_particle_of_weight_two_counts_as_two():
    rng = np.random.default_rng(0)
    values, weights = rng.random(4000), rng.integers(1, 4, 4000)
    repeated = 100 * np.repeat(values, weights) + 50
    table, weighted = particles(100 * values + 50, weight=weights), Counting(border="weight")
    found = distribution(table, "equivalent_diameter_nm", weighted, n_resamples=0)
    quantiles = [found.metrics[name].value for name in ("d10", "d50", "d90")]
    np.testing.assert_allclose(quantiles, np.quantile(repeated, (0.1, 0.5, 0.9), method="hazen"), atol=0.1)
    assert found.metrics["mean"].value == pytest.approx(repeated.mean())
    assert found.metrics["nano_fraction"].value == pytest.approx((repeated <= 100).mean())
    assert (found.n, found.metrics["mean"].n, found.metrics["mean"].unit) == (4000, 4000, "nm")
    assert {found.metrics[name].low for name in NAMES} == {None}, "without resamples there are no intervals"


def test_metrics_of_the_numbers_from_1_to_1000():
    metrics = of(np.arange(1, 1001)).metrics
    expected = {"mean": 500.5, "d10": 100.5, "d50": 500.5, "d90": 900.5, "span": 800 / 500.5, "nano_fraction": 0.1}
    assert {name: metric.value for name, metric in metrics.items()} == pytest.approx(expected)
    half = norm.ppf(0.975) * np.std(np.arange(1000)) / math.sqrt(1000)
    assert (metrics["mean"].low, metrics["mean"].high) == pytest.approx((500.5 - half, 500.5 + half), abs=2)
    # the standard error of a quantile: sqrt(p (1 - p) / n) / density
    assert metrics["d50"].high - metrics["d50"].low == pytest.approx(2 * 1.96 * 15.8, rel=0.15)
    assert all(metric.low <= metric.value <= metric.high for metric in metrics.values())


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 150 intervals of 95 %, 142.5 hold it on average, and fewer than 134 with a probability of 1 in 1000."""
    rng, mu, sigma = np.random.default_rng(5), math.log(100), 0.3
    truth = {"d50": 100, "nano_fraction": 0.5}
    truth |= {"mean": 100 * math.exp(sigma**2 / 2), "d90": 100 * math.exp(1.2816 * sigma)}
    hits = dict.fromkeys(truth, 0)
    for _ in range(150):
        metrics = of(rng.lognormal(mu, sigma, 150), n_resamples=300).metrics
        for name in hits:
            hits[name] += metrics[name].low <= truth[name] <= metrics[name].high
    assert min(hits.values()) >= 134


def test_the_same_seed_gives_the_same_intervals():
    sizes = np.random.default_rng(0).lognormal(4, 0.5, 50)
    first, second, other = (of(sizes, seed=seed) for seed in (1, 1, 2))
    assert first == second
    assert first.metrics != other.metrics


def test_all_particles_on_one_side_leave_the_share_uncertain():
    share = of(np.full(20, 50.0)).metrics["nano_fraction"]
    assert share.value == share.high == 1
    assert 0.8 < share.low < 0.9


def test_who_counts_is_stated():
    table = particles([10, 10, 5, 5, 20], border=[True, False, False, True, False])
    result = distribution(table, "equivalent_diameter_nm", Counting(min_area_px=30))
    assert (result.n, result.n_border, result.n_small) == (2, 2, 1)
    assert result.sizes.tolist() == [10, 20]
    assert result.metrics["mean"].value == 15
    assert result.table()["value"][["n", "n_border", "n_small"]].tolist() == [2, 2, 1]
    keep, weights = counted(table, Counting(min_area_px=30))
    assert keep.tolist() == [False, True, False, False, True]
    assert weights.tolist() == [0, 1, 0, 0, 1]


def test_too_few_particles_have_no_interval():
    none, one = of([]), of([50])
    assert none.n == 0
    assert {x for m in none.metrics.values() for x in (m.value, m.low, m.high)} == {None}
    assert one.metrics["d50"].value == 50
    for result in (none, one):
        assert math.isnan(result.needed("d50"))
        assert not result.enough()
        assert result.nano_criterion == "unknown"
        assert len(result.table()) == 9
        assert result.table()[["low", "n_needed", "enough"]].isna().all(axis=None)


@pytest.mark.parametrize(("n", "known"), [(5, []), (6, ["mean", "d50"]), (35, ["mean", "d50"]), (36, NAMES)])
def test_an_interval_needs_particles_on_both_sides(n, known):
    """With 95 % and n draws, the median is beyond all of them, on one side, with 2^-n; 2.5 % lie between 5 and 6."""
    result = of(np.random.default_rng(0).lognormal(4, 0.3, n), n_resamples=200)
    assert [name for name in NAMES if result.metrics[name].low is not None] == known
    assert result.enough("d10", target=10) == (known == NAMES)
    assert result.metrics["nano_fraction"].low is not None


def test_equal_particles_are_not_enough_for_being_few():
    assert not of([100, 100, 100]).enough()


def test_without_pixel_size_there_is_no_nano_fraction(scattered):
    result = distribution(measure_particles(scattered), "equivalent_diameter_px", ALL)
    assert "nano_fraction" not in result.metrics
    assert (result.nano_criterion, result.smallest_nm, result.metrics["d50"].unit) == ("unknown", None, "px")


@pytest.mark.parametrize(("interval", "verdict"), [((0.5, 0.7), "met"), ((0.2, 0.49), "not met"), ((0.4, 0.5), "open")])
def test_the_criterion_needs_the_whole_interval_on_one_side(interval, verdict):
    assert with_metric("nano_fraction", sum(interval) / 2, *interval, n=9).nano_criterion == verdict


def test_four_times_the_particles_halve_the_interval():
    result = with_metric("d50", 50.0, 45.0, 55.0, n=100)
    assert result.relative_half_width("d50") == pytest.approx(0.1)
    assert result.needed("d50", 0.05) == 400
    assert not result.enough("d50", 0.05)
    assert result.enough("d50", 0.1)
    row = result.table(0.1).loc["d50"]
    assert (row["relative_half_width"], row["n_needed"], row["enough"]) == (pytest.approx(0.1), 100, True)
    with pytest.raises(ValueError, match="target above 0"):
        result.needed("d50", 0)


def test_the_number_needed_is_what_turns_out_to_be_needed():
    sizes = np.random.default_rng(2).lognormal(4, 0.5, 20_000)
    needed = int(of(sizes[:300]).needed("mean", 0.02))
    assert needed > 1000
    assert of(sizes[:needed]).relative_half_width("mean") == pytest.approx(0.02, rel=0.15)


def test_weights_undo_what_the_border_does_to_the_sizes():
    """Windows cut out around discs of two sizes, as many of each: the large ones touch the border far more often."""
    rng, rows, side = np.random.default_rng(0), [], 64
    for radius in np.tile([2.0, 14.0], 600):
        row, column = rng.uniform(-16, side + 16, 2)
        if radius < min(row, column) and max(row, column) < side - radius:  # the others touch the border or are outside
            rows.append(measure_particles(disc(radius, centre=(row, column), side=side).astype(int)))
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
            weights.append(measure_particles(labels[:11, :13])["edge_weight"][0])
    assert 0.5 * len(weights) > np.count_nonzero(weights) > 0
    assert np.mean(weights) == pytest.approx(1)


def test_what_is_no_size_is_refused(scattered):
    table = measure_particles(scattered)
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
        assert of(sizes, Counting(min_area_px=5000), column="feret_min_nm").nano_criterion == verdict


def test_where_nanoparticles_are_too_small_to_count_the_criterion_is_unknown():
    labels = np.kron(np.arange(1, 37).reshape(6, 6), disc(10, side=50))
    fine, coarse = (
        distribution(measure_particles(labels, size_nm), "feret_min_nm", Counting(min_area_px=50))
        for size_nm in (8.0, 15.0)
    )
    assert fine.smallest_nm == pytest.approx(8 * 7.98, rel=1e-3)
    assert (fine.nano_criterion, coarse.nano_criterion) == ("not met", "unknown")
