"""The numbers of chapter 06: known discs, shrunk and merged by known amounts, with and without masks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from drgan_lib.metric import Metric, read_metrics
from drgan_lib.quantify import Counting, compare_models, measure_particles, pool, quantify, read_table
from drgan_lib.samples import Sample, SampleSet
from tests.quantify.conftest import disc

COUNTING = Counting(min_area_px=20)
MANY, FEW = np.linspace(10, 16, 9), np.linspace(10, 16, 7)


def discs(radii) -> np.ndarray:
    """Labels of one disc per field of 40 px."""
    labels = np.zeros((40 * len(radii), 80), np.int32)
    for k, radius in enumerate(radii):
        labels[40 * k : 40 * (k + 1), 20:60][disc(radius, side=40)] = k + 1
    return labels


def images(*instances, size_nm: float | None = 5.0) -> SampleSet:
    """Images a, b, ... of what is in `instances`; None is an image of which nothing is known."""
    shape = next((ids.shape for ids in instances if ids is not None), (360, 80))
    pairs = zip("abc", instances, strict=False)
    return SampleSet.of(Sample(name, np.full(shape if i is None else i.shape, 0.2), size_nm, i) for name, i in pairs)


TRUTH = images(discs(MANY), discs(FEW))
FOUND = {"plain": images(discs(0.9 * MANY), discs(0.9 * FEW)), "border_core": TRUTH}


def run(truth, predictions, folder, **more) -> dict[str, Metric]:
    quantify(truth, predictions, folder, counting=COUNTING, log=len, **more)
    return read_metrics(folder / "metrics.json")


def test_errors_are_those_that_were_made(tmp_path):
    said = []
    found = quantify(TRUTH, FOUND, tmp_path, counting=COUNTING, log=said.append)
    metrics = read_metrics(tmp_path / "metrics.json")
    assert metrics["median_diameter_error"].value == 0
    assert metrics["median_diameter_error_plain"].value == pytest.approx(-0.1, abs=0.02)
    assert metrics["d50_nm"].value == metrics["d50_nm_true"].value == pytest.approx(5 * 26, rel=0.02)
    assert metrics["d10_nm"].value < metrics["d50_nm"].value < metrics["d90_nm"].value
    assert metrics["d50_nm"].low < metrics["d50_nm"].value < metrics["d50_nm"].high
    small = (measure_particles(TRUTH[0].instances, 5.0)["feret_min_nm"] <= 100).mean()
    assert metrics["nano_fraction"].value == pytest.approx(small, abs=0.1)
    assert {(m.n, m.split, m.more["min_area_px"]) for m in metrics.values()} == {(2, "test", 20)}
    assert (metrics["d50_nm"].unit, metrics["median_diameter_error"].unit) == ("nm", "")
    d50 = {source: m.distributions["equivalent_diameter"].metrics["d50"] for source, m in found.items()}
    assert list(d50) == ["true", "border_core", "plain"]
    true, plain = d50["true"], d50["plain"]
    assert said == [f"test: D50 {true} from the masks, {true} from the predictions, border_core, {plain} from the "
                    "predictions, plain"]  # fmt: skip


def test_tables_are_written(tmp_path):
    found = quantify(TRUTH, FOUND, tmp_path, counting=COUNTING, log=len)
    for source, samples in (FOUND | {"true": TRUTH}).items():
        table, record = read_table(tmp_path / f"particles_{source}")
        expected = pool({s.name: measure_particles(s.instances, 5.0) for s in samples})
        for given in (table, found[source].table):
            pd.testing.assert_frame_equal(given, expected)
        assert (record["source"], record["pixel_size_nm"], record["min_area_px"]) == (source, 5.0, 20)
    rows = pd.read_csv(tmp_path / "distribution.csv").set_index(["size", "source", "figure"])
    row = rows.loc[("equivalent_diameter_nm", "plain", "d50")]
    assert row["error_percent"] == pytest.approx(100 * (row["value"] / row["true"] - 1))
    assert set(rows.index.unique("size")) == {"equivalent_diameter_nm", "feret_max_nm", "feret_min_nm"}
    true = rows.xs("true", level="source")
    assert (true.loc[true["true"] > 0, "error_percent"] == 0).all()


def test_without_masks_there_is_no_truth_and_no_error(tmp_path):
    bare = images(None, None, size_nm=None)
    metrics = run(bare, {"border_core": images(discs(MANY), discs(FEW), size_nm=None)}, tmp_path)
    assert not [name for name in metrics if "error" in name or "true" in name or "nm" in name]
    assert metrics["d50_px"].value == pytest.approx(26, rel=0.02)
    assert not (tmp_path / "particles_true.csv").exists()
    rows = pd.read_csv(tmp_path / "distribution.csv")
    assert rows[["true", "error_percent"]].isna().all(axis=None)


def test_only_images_with_a_mask_are_compared(tmp_path):
    metrics = run(images(discs(MANY), None), FOUND, tmp_path)
    assert metrics["median_diameter_error"].n == 1
    assert set(read_table(tmp_path / "particles_plain")[0]["image"]) == {"a"}


def test_one_unknown_pixel_size_makes_all_pixels(tmp_path):
    mixed = images(discs(MANY), size_nm=None) + TRUTH[1:]
    assert "d50_px" in run(mixed, FOUND, tmp_path)
    assert "area_nm2" not in read_table(tmp_path / "particles_true")[0]
    table = compare_models(mixed, [("real", 0, FOUND)], tmp_path / "models.csv", counting=COUNTING)
    assert set(table["unit"]) == {"px"}
    assert table["d50"].iloc[0] == pytest.approx(26, rel=0.02)


def test_a_model_that_was_not_tuned_has_only_plain_instances(tmp_path):
    metrics = run(TRUTH, {"plain": FOUND["plain"]}, tmp_path, thickness=True)
    assert metrics["median_diameter_error_plain"].value == pytest.approx(-0.1, abs=0.02)
    assert not {"median_diameter_error", "thickness_error"} & metrics.keys()


def test_nothing_found_is_no_crash(tmp_path):
    true, nothing = images(discs([10.0, 12.0]), size_nm=2.0), images(np.zeros((80, 80), np.int32))
    metrics = run(true, {"border_core": nothing, "plain": nothing}, tmp_path, thickness=True)
    assert metrics["d50_nm"].value is None is metrics["thickness_nm"].value
    assert "median_diameter_error" not in metrics
    assert metrics["d50_nm_true"].value == pytest.approx(44, rel=0.05)
    row = compare_models(true, [("real", 0, {"plain": nothing})], tmp_path / "models.csv", counting=COUNTING).iloc[-1]
    assert (row["n"], row["n_error"]) == (0, -100)
    assert row[["d10", "d50", "d90", "d50_error"]].isna().all()


def test_other_images_than_the_truths_are_refused(tmp_path):
    for truth, predictions in ((images(), {"plain": images()}), (TRUTH, {})):
        with pytest.raises(ValueError, match="run the segmentation step first"):
            run(truth, predictions, tmp_path)
    with pytest.raises(ValueError, match="by plain of the images a, b, got b, a; segment the test micrographs again"):
        run(TRUTH, {"plain": TRUTH[[1, 0]]}, tmp_path)


def wires(start: int, stop: int) -> np.ndarray:
    labels = np.zeros((60, 200), np.int32)
    labels[start:stop] = 1
    return labels


def test_wires_have_a_thickness_and_its_error(tmp_path):
    metrics = run(images(wires(20, 30), size_nm=3.0), {"border_core": images(wires(21, 29))}, tmp_path, thickness=True)
    assert metrics["thickness_nm_true"].value == pytest.approx(30)
    assert metrics["thickness_nm"].value == pytest.approx(24)
    assert metrics["thickness_error"].value == pytest.approx(-0.2)
    table = pd.read_csv(tmp_path / "thickness.csv").set_index(["source", "image"])
    assert table.loc[("true", "a"), "n_px"] == 2000


def test_a_prediction_without_background_has_no_thickness_and_ends_nothing(tmp_path):
    """The error of the thickness is over the images that have both."""
    all_over, said = np.ones((60, 200), np.int32), []
    truth = images(wires(20, 40), wires(20, 28), size_nm=1.0)
    predictions = {"border_core": images(all_over, wires(20, 28)), "plain": truth}
    quantify(truth, predictions, tmp_path, counting=COUNTING, thickness=True, log=said.append)
    metrics = read_metrics(tmp_path / "metrics.json")
    assert metrics["thickness_nm_true"].value == metrics["thickness_nm_plain"].value == pytest.approx(20)
    assert (metrics["thickness_nm_true"].n, metrics["thickness_nm"].n) == (2, 1)
    assert (metrics["thickness_error"].value, metrics["thickness_error"].n) == (pytest.approx(0), 1)
    assert any("a: no local thickness: expected a mask with background" in line for line in said)
    row = pd.read_csv(tmp_path / "thickness.csv").set_index(["source", "image"]).loc[("border_core", "a")]
    assert row["n_px"] == 0
    assert math.isnan(row["median_nm"])


def test_each_model_has_the_error_that_was_made(tmp_path):
    def shrunk(factor: float) -> dict[str, SampleSet]:
        return {"plain": images(discs(MANY), discs(MANY)), "border_core": images(*[discs(factor * MANY)] * 2)}

    truth, path = images(discs(MANY), discs(MANY)), tmp_path / "models.csv"
    models = [("synthetic", 0, shrunk(0.9)), ("synthetic", 1, shrunk(0.8)), ("otsu", 0, shrunk(1.0))]
    table = compare_models(truth, models, path, counting=COUNTING)
    assert table["arm"].tolist() == ["masks", *["synthetic"] * 4, *["otsu"] * 2]
    assert table["instances"].tolist()[1:] == ["plain", "border_core"] * 3
    assert set(table["unit"]) == {"nm"}
    assert table["n"].tolist() == [18] * 7
    assert table["d50"].iloc[0] == pytest.approx(5 * 26, rel=0.02)
    assert math.isnan(table["d50_error"].iloc[0])
    errors = table.set_index(["arm", "seed", "instances"])[["n_error", "d10_error", "d50_error", "d90_error"]]
    for (arm, seed), expected in {("synthetic", 0): -10, ("synthetic", 1): -20, ("otsu", 0): 0}.items():
        assert (errors.loc[(arm, seed, "plain")] == 0).all()
        assert errors.loc[(arm, seed, "border_core")].tolist() == pytest.approx([0, *[expected] * 3], abs=2)
    pd.testing.assert_frame_equal(pd.read_csv(path), table, check_dtype=False)


def test_without_masks_there_is_nothing_to_compare(tmp_path):
    bare, path = images(None, None), tmp_path / "models.csv"
    table = compare_models(bare, [("real", 0, FOUND)], path, counting=COUNTING)
    assert table.empty
    assert pd.read_csv(path).columns.tolist() == table.columns.tolist()
