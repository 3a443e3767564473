"""All models of a run beside the masks: discs found exactly, shrunk, and not at all."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from drgan_lib.quantify import Counting, compare_models
from tests.quantify.test_stage import discs, prediction

COUNTING = Counting(min_area_px=20)
RADII = np.linspace(10, 16, 9)


def shrunk(factor: float, *, masked: bool = True):
    true = discs(RADII)
    return [prediction(name, true if masked else None, discs(factor * RADII), true) for name in ("a", "b")]


def test_each_model_has_the_error_that_was_made(tmp_path):
    models = [("synthetic", 0, shrunk(0.9)), ("synthetic", 1, shrunk(0.8)), ("otsu", 0, shrunk(1.0))]
    table = compare_models(models, {"a": 5.0, "b": 5.0}, tmp_path / "models.csv", counting=COUNTING)
    assert table["arm"].tolist() == ["masks", *["synthetic"] * 4, *["otsu"] * 2]
    assert table["instances"].tolist()[1:] == ["plain", "border_core"] * 3
    assert set(table["unit"]) == {"nm"}
    assert table["n"].tolist() == [18] * 7
    truth = table.iloc[0]
    assert truth["d50"] == pytest.approx(5 * 26, rel=0.02)
    assert math.isnan(truth["d50_error"])
    errors = table.set_index(["arm", "seed", "instances"])[["n_error", "d10_error", "d50_error", "d90_error"]]
    for (arm, seed), expected in {("synthetic", 0): -10, ("synthetic", 1): -20, ("otsu", 0): 0}.items():
        assert (errors.loc[(arm, seed, "plain")] == 0).all()
        assert errors.loc[(arm, seed, "border_core")].tolist() == pytest.approx([0, *[expected] * 3], abs=2)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "models.csv"), table, check_dtype=False)


def test_one_unknown_pixel_size_makes_all_pixels(tmp_path):
    table = compare_models([("real", 0, shrunk(1.0))], {"a": 5.0}, tmp_path / "models.csv", counting=COUNTING)
    assert set(table["unit"]) == {"px"}
    assert table["d50"].iloc[0] == pytest.approx(26, rel=0.02)


def test_nothing_found_has_no_diameter_and_lacks_all_particles(tmp_path):
    nothing = [prediction("a", discs(RADII), np.zeros((360, 80), np.int32))]
    row = compare_models([("real", 0, nothing)], {}, tmp_path / "models.csv", counting=COUNTING).iloc[-1]
    assert (row["n"], row["n_error"]) == (0, -100)
    assert row[["d10", "d50", "d90", "d50_error"]].isna().all()


def test_without_masks_there_is_nothing_to_compare(tmp_path):
    table = compare_models([("real", 0, shrunk(1.0, masked=False))], {}, tmp_path / "models.csv", counting=COUNTING)
    assert table.empty
    assert pd.read_csv(tmp_path / "models.csv").columns.tolist() == table.columns.tolist()
