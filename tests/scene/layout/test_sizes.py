"""Laws of sizes: against SciPy's and the user's table, units, and tables that cannot be used."""

import numpy as np
import pytest
from scipy import stats

from drgan_lib.config import ConfigError, load_experiment
from drgan_lib.scene.figures import layout_statistics
from drgan_lib.scene.layout import Layout, read_diameters, sample_sizes, size_cdf, size_law

NM = {"dataset.pixel_size_nm": 5.0}


def with_sizes(**sizes):
    return load_experiment("tio2_sem", overrides={**NM, "layout.sizes": sizes}).material


@pytest.fixture
def table(tmp_path):
    """Writes a table of diameters and returns its path."""

    def write(text):
        path = tmp_path / "diameters.csv"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def measured(table):
    """A table of 400 diameters in nm of two kinds of particles, rounded, and a material that takes its law."""
    rng = np.random.default_rng(4)
    nm = np.round(np.concatenate([rng.normal(60, 4, 150), rng.normal(150, 10, 250)]))
    path = table("particle,diameter_nm\n" + "".join(f"{k},{d}\n" for k, d in enumerate(nm)))
    return nm, with_sizes(law="empirical", table=str(path))


def test_lognormal_sizes():
    sizes = sample_sizes(with_sizes(law="lognormal", median=0.8, sigma=0.3), 3000, np.random.default_rng(0))
    assert stats.kstest(sizes, stats.lognorm(0.3, scale=0.8).cdf).pvalue > 0.01


def test_normal_sizes_stop_at_a_tenth_of_the_mean():
    material = with_sizes(law="normal", mean=0.8, std=0.5)
    sizes = sample_sizes(material, 3000, np.random.default_rng(1))
    draws = np.random.default_rng(2).normal(0.8, 0.5, 20_000)
    assert sizes.min() >= 0.08
    assert stats.ks_2samp(sizes, draws[draws > 0.08]).pvalue > 0.01


def test_bimodal_sizes_are_a_mixture():
    material = with_sizes(law="bimodal", mean=[0.8, 0.3], std=[0.05, 0.05], share=0.7)
    sizes = sample_sizes(material, 3000, np.random.default_rng(3))
    assert np.mean(sizes > 0.55) == pytest.approx(0.7, abs=0.03)
    assert sizes[sizes > 0.55].mean() == pytest.approx(0.8, abs=0.01)
    assert sizes[sizes < 0.55].std() == pytest.approx(0.05, abs=0.005)


def test_the_law_of_a_table_is_that_of_its_rows(measured):
    nm, material = measured
    sizes = sample_sizes(material, 3000, np.random.default_rng(5)) / material.scene_units("nm")
    assert stats.ks_2samp(sizes, nm).pvalue > 0.01
    assert nm.min() <= sizes.min() < sizes.max() <= nm.max()
    assert len(np.unique(sizes)) == 3000
    between = (nm[nm < 100].max() + 2) * material.scene_units("nm")
    assert size_cdf(material, between) == pytest.approx(150 / 400, abs=0.01)


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
    law = size_law(with_sizes(**sizes))
    draws = law.sample(4000, np.random.default_rng(6))
    assert law.mean == pytest.approx(draws.mean(), rel=0.03)
    assert law.median == pytest.approx(np.median(draws), rel=0.05)
    points = np.array([0.25, 0.31, 0.5, 0.79, 0.81, 0.95])
    assert law.cdf(points) == pytest.approx((draws[:, None] <= points).mean(axis=0), abs=0.02)


@pytest.mark.parametrize("unit", ["scene", "px", "nm"])
def test_units(unit):
    median = {"scene": 0.8, "px": 30, "nm": 150}[unit]
    material = with_sizes(law="lognormal", unit=unit, median=median, sigma=0.1)
    assert size_law(material).median == pytest.approx(0.8 if unit == "scene" else 30 / material.scene_unit_px)


@pytest.mark.parametrize("unit", ["px", "nm"])
def test_the_figure_shows_the_law_in_scene_units(unit):
    material = with_sizes(law="bimodal", unit=unit, mean=[30, 60], std=[3, 3])
    sizes = sample_sizes(material, 3000, np.random.default_rng(7))
    transforms = np.column_stack([np.zeros((3000, 3)), sizes])
    layout = Layout(transforms, np.zeros((3000, 3, 3)), np.zeros(3000, dtype=int))
    figure = layout_statistics([layout], [0.5], material)
    law, edges, _ = next(patch for patch in figure.axes[1].patches if hasattr(patch, "get_data")).get_data()
    placed, _ = np.histogram(sizes, edges, density=True)
    assert (law * np.diff(edges)).sum() == pytest.approx(1, abs=0.01)
    assert np.abs((law - placed) * np.diff(edges)).sum() < 0.1


def test_a_table_of_one_size_is_that_size(table):
    material = with_sizes(law="empirical", table=str(table("diameter_nm\n100\n100\n")))
    draws = sample_sizes(material, 5, np.random.default_rng(8))
    assert draws == pytest.approx(100 * material.scene_units("nm"))


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
        ("", r"not a readable CSV file"),
    ],
)
def test_unusable_tables_are_refused(table, text, says):
    with pytest.raises(ConfigError, match=says):
        read_diameters(table(text))


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv does not exist; correct layout\.sizes\.table"):
        read_diameters(tmp_path / "none.csv")


def test_diameters_in_micrometres_are_recognised(table):
    path = str(table("diameter_nm\n0.15\n0.16\n0.17\n"))
    with pytest.raises(ConfigError, match=r"median of 0\.16 nm, which is 0\.032 px; are these micrometres\?"):
        size_law(with_sizes(law="empirical", table=path))


def test_diameters_beyond_the_field_are_refused(table):
    path = str(table("diameter_nm\n150000\n160000\n"))
    with pytest.raises(ConfigError, match=r"field of 256 px of dataset\.pixel_size_nm=5 nm.*are these picometres"):
        size_law(with_sizes(law="empirical", table=path))


@pytest.mark.parametrize("median", [0.01, 20.0])
def test_sizes_below_a_pixel_or_beyond_the_field_are_refused(median):
    with pytest.raises(ConfigError, match=r"layout\.sizes: expected from 1 px to the field of 256 px, got a median of"):
        size_law(with_sizes(law="lognormal", median=median, sigma=0.1))
