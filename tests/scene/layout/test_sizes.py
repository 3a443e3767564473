"""Size distributions: against SciPy's and the user's table, units, and tables that cannot be used."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from drgan_lib.config import ConfigError, load_experiment
from drgan_lib.scene.layout import Layout, read_diameters, size_distribution
from drgan_lib.scene.plots import layout_statistics

NM = {"dataset.pixel_size_nm": 5.0}


def with_sizes(**sizes):
    return load_experiment("tio2_sem", overrides={**NM, "layout.sizes": sizes}).material


@pytest.fixture
def table(tmp_path):
    """Writes a table of diameters and returns its path."""

    def write(text):
        path = tmp_path / "diameters.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def measured(table, nm):
    """A material of the size distribution of a table of diameters in nm."""
    return with_sizes(law="empirical", table=str(table("diameter_nm\n" + "".join(f"{d}\n" for d in nm))))


def test_lognormal_sizes():
    sizes = size_distribution(with_sizes(law="lognormal", median=0.8, sigma=0.3)).sample(3000, np.random.default_rng(0))
    assert stats.kstest(sizes, stats.lognorm(0.3, scale=0.8).cdf).pvalue > 0.01


def test_normal_sizes_stop_at_a_tenth_of_the_mean():
    material = with_sizes(law="normal", mean=0.8, std=0.5)
    sizes = size_distribution(material).sample(3000, np.random.default_rng(1))
    draws = np.random.default_rng(2).normal(0.8, 0.5, 20_000)
    assert sizes.min() >= 0.08
    assert stats.ks_2samp(sizes, draws[draws > 0.08]).pvalue > 0.01


def test_bimodal_sizes_are_a_mixture():
    material = with_sizes(law="bimodal", mean=[0.8, 0.3], std=[0.05, 0.05], share=0.7)
    sizes = size_distribution(material).sample(3000, np.random.default_rng(3))
    assert np.mean(sizes > 0.55) == pytest.approx(0.7, abs=0.03)
    assert sizes[sizes > 0.55].mean() == pytest.approx(0.8, abs=0.01)
    assert sizes[sizes < 0.55].std() == pytest.approx(0.05, abs=0.005)


def test_the_distribution_of_a_table_is_that_of_its_rows(table):
    """400 diameters of two kinds of particles, rounded."""
    rng = np.random.default_rng(4)
    nm = np.round(np.concatenate([rng.normal(60, 4, 150), rng.normal(150, 10, 250)]))
    material = measured(table, nm)
    unit = material.scene_units("nm")
    sizes = size_distribution(material).sample(3000, np.random.default_rng(5)) / unit
    assert stats.ks_2samp(sizes, nm).pvalue > 0.01
    assert 0.95 * nm.min() <= sizes.min() < sizes.max() <= 1.05 * nm.max()
    assert len(np.unique(sizes)) == 3000
    assert size_distribution(material).cdf((nm[nm < 100].max() + 2) * unit) == pytest.approx(150 / 400, abs=0.01)


def test_a_gap_between_rounded_kinds_stays_empty(table):
    """500 particles of 20 nm, 500 of 21 nm, 300 each of 100 and 101 nm: ties, and nothing between 21 and 100 nm."""
    rows = np.repeat([20, 21, 100, 101], [500, 500, 300, 300])
    material = measured(table, rows)
    sizes, nm = size_distribution(material), material.scene_units("nm")
    assert sizes.cdf(np.array([19.4, 20.5, 21.6, 60, 99.4, 100.5, 101.6]) * nm) == pytest.approx(
        np.array([0, 500, 1000, 1000, 1000, 1300, 1600]) / 1600
    )
    assert sizes.mean == pytest.approx(nm * rows.mean())
    assert sizes.median == pytest.approx(21.1 * nm)


@pytest.mark.parametrize("step", [0.01, 1.0, 2.0])
def test_a_rounded_table_gives_the_distribution_before_rounding(table, step):
    rng = np.random.default_rng(9)
    nm = np.concatenate([rng.normal(25, 1.5, 600), rng.normal(120, 8, 1000)])
    material = measured(table, (step * np.round(nm / step)).round(2))
    cdf, unit = size_distribution(material).cdf, material.scene_units("nm")
    assert stats.kstest(nm * unit, cdf).pvalue > 0.5
    assert np.diff(cdf(np.array([40, 80]) * unit)) == pytest.approx(0, abs=1e-9)


def test_a_table_of_one_size_is_that_size(table):
    material = measured(table, [100, 100])
    draws = size_distribution(material).sample(5, np.random.default_rng(8))
    assert draws == pytest.approx(100 * material.scene_units("nm"))


@given(values=st.lists(st.floats(10, 500), min_size=2, max_size=40), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_table_keeps_its_mean_and_its_values(values, seed):
    values = [*values, values[0], values[0] * (1 + 1e-13)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "diameters.csv"
        path.write_text("diameter_nm\n" + "\n".join(map(repr, values)))
        law = size_distribution(with_sizes(law="empirical", table=str(path)))
    draws = law.sample(300, np.random.default_rng(seed)) / law.unit
    nearest = np.abs(draws[:, None] - values).min(axis=1)
    assert (nearest <= 0.0501 * draws / 0.95).all()
    assert law.mean == pytest.approx(law.unit * np.mean(values), rel=1e-6)
    assert stats.kstest(draws * law.unit, law.cdf).pvalue > 1e-6


SIZE = st.floats(20, 100)  # px
SPREAD = st.floats(0.02, 0.3)  # of the size


@given(
    asked=st.one_of(
        st.tuples(st.just("lognormal"), SIZE, SPREAD),
        st.tuples(st.just("normal"), SIZE, SPREAD),
        st.tuples(st.just("bimodal"), SIZE, SPREAD, SIZE, SPREAD, st.floats(0.1, 0.9)),
    ),
    unit=st.sampled_from(["scene", "px", "nm"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_any_distribution_in_any_unit_is_numpys(asked, unit, seed):
    law, size, spread, *second = asked
    rng, n = np.random.default_rng([seed, 1]), 2000
    scale = {"px": 1.0, "nm": 5.0, "scene": 1 / with_sizes(law="normal", mean=1, std=0).scene_unit_px}[unit]
    first = rng.normal(size, spread * size, n)
    if law == "lognormal":
        wanted, sizes = size * np.exp(spread * rng.normal(size=n)), {"median": scale * size, "sigma": spread}
    elif law == "normal":
        wanted, sizes = first[first > 0.1 * size], {"mean": scale * size, "std": scale * spread * size}
    else:
        other, spread_2, share = second
        wanted = np.where(rng.random(n) < share, first, rng.normal(other, spread_2 * other, n))
        std = [scale * spread * size, scale * spread_2 * other]
        sizes = {"mean": [scale * size, scale * other], "std": std, "share": share}
    material = with_sizes(law=law, unit=unit, **sizes)
    draws = size_distribution(material).sample(n, np.random.default_rng(seed)) * material.scene_unit_px
    assert stats.ks_2samp(draws, wanted).pvalue > 1e-6


@pytest.mark.parametrize(
    "sizes",
    [
        {"law": "lognormal", "median": 0.8, "sigma": 0.4},
        {"law": "normal", "mean": 0.8, "std": 0.3},
        {"law": "bimodal", "mean": [0.9, 0.3], "std": [0.1, 0.05], "share": 0.4},
        {"law": "bimodal", "mean": [0.9, 0.3], "std": [0.0, 0.0], "share": 0.4},
        {"law": "normal", "mean": 0.8, "std": 0.0},
        {"law": "lognormal", "median": 0.8, "sigma": 0.0},
    ],
)
def test_distribution_function_mean_and_median_agree_with_the_draws(sizes):
    law = size_distribution(with_sizes(**sizes))
    draws = law.sample(4000, np.random.default_rng(6))
    assert law.mean == pytest.approx(draws.mean(), rel=0.03)
    assert law.median == pytest.approx(np.median(draws), rel=0.05)
    points = np.array([0.25, 0.31, 0.5, 0.79, 0.81, 0.95])
    assert law.cdf(points) == pytest.approx((draws[:, None] <= points).mean(axis=0), abs=0.02)


@pytest.mark.parametrize("unit", ["scene", "px", "nm"])
def test_units(unit):
    median = {"scene": 0.8, "px": 30, "nm": 150}[unit]
    material = with_sizes(law="lognormal", unit=unit, median=median, sigma=0.1)
    assert size_distribution(material).median == pytest.approx(0.8 if unit == "scene" else 30 / material.scene_unit_px)


@pytest.mark.parametrize("unit", ["px", "nm"])
def test_the_figure_shows_the_distribution_in_scene_units(unit):
    material = with_sizes(law="bimodal", unit=unit, mean=[30, 60], std=[3, 3])
    sizes = size_distribution(material).sample(3000, np.random.default_rng(7))
    transforms = np.column_stack([np.zeros((3000, 3)), sizes])
    layout = Layout(transforms, np.zeros((3000, 3, 3)), np.zeros(3000, dtype=int))
    figure = layout_statistics([layout], [0.5], material)
    law, edges, _ = next(patch for patch in figure.axes[1].patches if hasattr(patch, "get_data")).get_data()
    placed, _ = np.histogram(sizes, edges, density=True)
    assert (law * np.diff(edges)).sum() == pytest.approx(1, abs=0.01)
    assert np.abs((law - placed) * np.diff(edges)).sum() < 0.1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("diameter_um\n0.1\n", r"got diameter_um; diameter_um: multiply it by 1000 and name it diameter_nm"),
        ("diameter_px\n9\n", r"multiply it by the pixel size in nm"),
        ("Diameter\n9\n", r"Diameter: if it is in nm, name it diameter_nm"),
        ("Diameter_nm\n9\n", r"Diameter_nm: rename it"),
        ("area,circularity\n9,1\n", r"got area, circularity; name the column"),
        ("id;diameter_nm\n1;9,5\n", r"separate the columns by commas"),
        ("id,diameter_nm\n1,90\n2,\n3,80\n4,\n", r"missing in rows 3, 5;"),
        ("diameter_nm\n90\nn/a\nlarge\n", r"missing in row 3; not a number in row 4;"),
        ("diameter_nm\n90\n0\n-4\ninf\n", r"not a number in row 5; zero or negative in rows 3, 4;"),
        ("diameter_nm\n" + "0\n" * 9, r"rows 2, 3, 4, 5, 6 and 4 more"),
        ("diameter_nm\n", r"has no rows"),
        ("", r"got an empty file"),
        ("diameter_nm,diameter_nm\n1,2\n", r"expected one column .* name only the one to use so"),
        ("diameter_nm\n112,5\n113,25\n", r"more fields than in the head, in rows 2, 3; correct these, with commas"),
        ("id,diameter_nm\n1,90\n1,1,200\n", r"more fields than in the head, in row 3;"),
        ('id,diameter_nm\n1,"112,5"\n', r"not a number in row 2; .* a point in decimals"),
        ("diameter_nm\n120\n\n130\n", r"missing in row 3;"),
        ("diameter_nm,id\n120,1\n\n,3\n130\n", r"missing in rows 3, 4;"),
        ("# measured by hand\n\ndiameter_nm\n90\n# doubtful from here\n\n-1\n", r"missing in row 6; zero .* row 7;"),
        ('id,diameter_nm\n"a\nb",90\nc,x\n', r"not a number in row 4;"),
    ],
)
def test_unusable_tables_are_refused(table, text, says):
    with pytest.raises(ConfigError, match=says):
        read_diameters(table(text))


def test_comments_blanks_at_the_end_and_other_columns_do_not_matter(table):
    text = '\ufeff# by hand, "A" and B\n\nid, diameter_nm ,note\n1, 90.5,"one, two"\n# gone\n2,1e2\n\n  \n'
    assert read_diameters(table(text)) == pytest.approx([90.5, 100])


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "picture.csv").write_bytes(bytes(range(256)))
    with pytest.raises(ConfigError, match=r"picture\.csv is not a readable CSV file"):
        read_diameters(tmp_path / "picture.csv")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv does not exist; correct layout\.sizes\.table"):
        read_diameters(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("nm", "says"),
    [
        ((0.15, 0.16, 0.17), r"median of 0\.16 nm, which is 0\.032 px; are these micrometres\?"),
        ((150000, 160000), r"field of 256 px of dataset\.pixel_size_nm=5 nm.*are these picometres"),
    ],
)
def test_diameters_in_another_unit_are_recognised(table, nm, says):
    with pytest.raises(ConfigError, match=says):
        size_distribution(measured(table, nm))


@pytest.mark.parametrize("median", [0.01, 20.0])
def test_sizes_below_a_pixel_or_beyond_the_field_are_refused(median):
    with pytest.raises(ConfigError, match=r"layout\.sizes: expected from 1 px to the field of 256 px, got a median of"):
        size_distribution(with_sizes(law="lognormal", median=median, sigma=0.1))
