"""The numbers of chapter 06: known discs, shrunk and merged by known amounts, with and without masks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from drgan_lib.files import read_json
from drgan_lib.quantify import Counting, measure, pool, read_table
from drgan_lib.quantify.stage import compare_sources, quantify
from tests.quantify.conftest import disc

COUNTING = Counting(min_area_px=20)


def discs(radii) -> np.ndarray:
    """Labels of one disc per field of 40 px."""
    labels = np.zeros((40 * len(radii), 80), np.int32)
    for k, radius in enumerate(radii):
        labels[40 * k : 40 * (k + 1), 20:60][disc(radius, side=40)] = k + 1
    return labels


def prediction(name, true, border_core, plain=None):
    image = np.where(border_core > 0, 0.7, 0.2)
    plain = border_core if plain is None else plain
    return SimpleNamespace(name=name, image=image, true=true, predicted={"plain": plain, "border_core": border_core})


@pytest.fixture
def predictions():
    """Discs of radius 10 to 16 found exactly, and as discs of 9 tenths of that by `plain`."""
    radii = [np.linspace(10, 16, 9), np.linspace(10, 16, 7)]
    return [prediction(f"i{k}", discs(r), discs(r), discs(0.9 * r)) for k, r in enumerate(radii)]


def quiet(*arguments, **more):
    return quantify(*arguments, counting=COUNTING, log=len, **more)


def test_errors_are_those_that_were_made(predictions, tmp_path):
    said = []
    figures = quantify(predictions, {"i0": 5.0, "i1": 5.0}, tmp_path, counting=COUNTING, log=said.append)
    assert figures["median_diameter_error"]["value"] == 0
    assert figures["median_diameter_error_plain"]["value"] == pytest.approx(-0.1, abs=0.02)
    assert figures["d50_nm"]["value"] == figures["d50_nm_true"]["value"] == pytest.approx(5 * 26, rel=0.02)
    assert figures["d10_nm"]["value"] < figures["d50_nm"]["value"] < figures["d90_nm"]["value"]
    low, high = figures["d50_nm"]["interval"]
    assert low < figures["d50_nm"]["value"] < high
    small = (measure(predictions[0].true, 5.0)["feret_min_nm"] <= 100).mean()
    assert 0 <= figures["nano_fraction"]["value"] <= 1
    assert figures["nano_fraction"]["value"] == pytest.approx(small, abs=0.1)
    assert all({"value", "definition", "split", "n_images"} <= figure.keys() for figure in figures.values())
    assert {figure["n_images"] for figure in figures.values()} == {2}
    assert read_json(tmp_path / "figures.json") == figures
    true, plain = (figures[f"d50_nm_{source}"]["value"] for source in ("true", "plain"))
    assert said == [
        f"test: D50 {true:.4g} nm from the masks, {true:.4g} nm from border_core, {plain:.4g} nm from plain"
    ]


def test_tables_and_pictures_are_written(predictions, tmp_path):
    quiet(predictions, {"i0": 5.0, "i1": 5.0}, tmp_path)
    for source, field in (("true", "true"), ("border_core", "border_core"), ("plain", "plain")):
        table, record = read_table(tmp_path / f"particles_{source}")
        expected = pool({p.name: measure(p.true if field == "true" else p.predicted[field], 5.0) for p in predictions})
        pd.testing.assert_frame_equal(table, expected)
        assert (record["source"], record["pixel_size_nm"], record["min_area_px"]) == (source, 5.0, 20)
    rows = pd.read_csv(tmp_path / "distribution.csv").set_index(["size", "source", "figure"])
    row = rows.loc[("equivalent_diameter_nm", "plain", "d50")]
    assert row["error_percent"] == pytest.approx(100 * (row["value"] / row["true"] - 1))
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["distribution.png", "particles.png"]


def test_without_masks_there_is_no_truth_and_no_error(predictions, tmp_path):
    bare = [prediction(p.name, None, p.predicted["border_core"]) for p in predictions]
    figures = quiet(bare, {}, tmp_path)
    assert not [name for name in figures if "error" in name or "true" in name or "nm" in name]
    assert figures["d50_px"]["value"] == pytest.approx(26, rel=0.02)
    assert not (tmp_path / "particles_true.csv").exists()
    rows = pd.read_csv(tmp_path / "distribution.csv")
    assert rows[["true", "error_percent"]].isna().all(axis=None)


def test_only_images_with_a_mask_are_compared(predictions, tmp_path):
    mixed = [predictions[0], prediction("i1", None, predictions[1].predicted["border_core"])]
    figures = quiet(mixed, {"i0": 5.0}, tmp_path)
    assert figures["median_diameter_error"]["n_images"] == 1
    assert set(read_table(tmp_path / "particles_plain")[0]["image"]) == {"i0"}


def test_one_unknown_pixel_size_makes_all_pixels(predictions, tmp_path):
    assert "d50_px" in quiet(predictions, {"i0": 5.0, "i1": None}, tmp_path)
    assert "area_nm2" not in read_table(tmp_path / "particles_true")[0]


def test_a_model_that_was_not_tuned_has_only_plain_instances(predictions, tmp_path):
    for p in predictions:
        del p.predicted["border_core"]
    figures = quiet(predictions, {}, tmp_path, thickness=True)
    assert figures["median_diameter_error_plain"]["value"] == pytest.approx(-0.1, abs=0.02)
    assert "median_diameter_error" not in figures


def test_nothing_found_is_no_crash(tmp_path):
    nothing = np.zeros((80, 80), np.int32)
    figures = quiet([prediction("a", discs([10.0, 12.0]), nothing[:, :80])], {"a": 2.0}, tmp_path, thickness=True)
    assert figures["d50_nm"]["value"] is None
    assert figures["thickness_nm"]["value"] is None
    assert "median_diameter_error" not in figures
    assert figures["d50_nm_true"]["value"] == pytest.approx(44, rel=0.05)
    with pytest.raises(ValueError, match="run the segmentation stage first"):
        quiet([], {}, tmp_path)


def test_wires_have_a_thickness_and_its_error(tmp_path):
    true, thin = (np.zeros((60, 200), np.int32) for _ in range(2))
    true[20:30], thin[21:29] = 1, 1
    figures = quiet([prediction("a", true, thin)], {"a": 3.0}, tmp_path, thickness=True)
    assert figures["thickness_nm_true"]["value"] == pytest.approx(30)
    assert figures["thickness_nm"]["value"] == pytest.approx(24)
    assert figures["thickness_error"]["value"] == pytest.approx(-0.2)
    table = pd.read_csv(tmp_path / "thickness.csv").set_index(["source", "image"])
    assert table.loc[("true", "a"), "n_px"] == 2000
    assert (tmp_path / "thickness.png").is_file()


def test_the_error_of_the_thickness_is_over_images_that_have_both(tmp_path):
    thick, thin, all_over = (np.zeros((60, 200), np.int32) for _ in range(3))
    thick[20:40], thin[20:28], all_over[:] = 1, 1, 1
    images = [prediction("a", thick, all_over), prediction("b", thin, thin)]
    figures = quiet(images, {"a": 1.0, "b": 1.0}, tmp_path, thickness=True)
    assert figures["thickness_nm_true"]["value"] == pytest.approx(20)
    assert (figures["thickness_nm_true"]["n_images"], figures["thickness_nm"]["n_images"]) == (2, 1)
    assert (figures["thickness_error"]["value"], figures["thickness_error"]["n_images"]) == (pytest.approx(0), 1)


def test_the_comparison_has_every_source_and_figure(predictions):
    tables = {"true": measure(predictions[0].true), "border_core": measure(predictions[0].predicted["plain"])}
    rows = compare_sources(tables, "px", COUNTING)
    assert set(rows.index.unique("source")) == {"true", "border_core"}
    assert set(rows.index.unique("size")) == {"equivalent_diameter_px", "feret_max_px", "feret_min_px"}
    true = rows.xs("true", level="source")
    assert (true.loc[true["true"] > 0, "error_percent"] == 0).all()


def test_a_prediction_without_background_has_no_thickness_and_ends_nothing(tmp_path):
    true, all_over, said = np.zeros((60, 200), np.int32), np.ones((60, 200), np.int32), []
    true[20:30] = 1
    wires = [prediction("a", true, all_over, true)]
    figures = quantify(wires, {"a": 3.0}, tmp_path, counting=COUNTING, thickness=True, log=said.append)
    assert figures["thickness_nm"]["value"] is None
    assert figures["thickness_nm_plain"]["value"] == pytest.approx(30)
    assert any("a: no local thickness: expected a mask with background" in line for line in said)
