from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from drgan_lib.quantify import Counting, measure_particles, pool, read_table, write_table

COUNTING = Counting(min_area_px=30, border="weight")


@pytest.mark.parametrize("pixel_size_nm", [None, 2.5])
def test_a_table_comes_back_as_it_was(tmp_path, scattered, pixel_size_nm):
    table = pool(
        {"001": measure_particles(scattered, pixel_size_nm), "NA": measure_particles(scattered % 7, pixel_size_nm)}
    )
    paths = write_table(
        table, tmp_path / "new/particles", pixel_size_nm=pixel_size_nm, counting=COUNTING, model="runs/a"
    )
    assert [path.name for path in paths] == ["particles.csv", "particles.parquet", "particles.json"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)
    back, record = read_table(tmp_path / "new/particles")
    pd.testing.assert_frame_equal(back, table)
    csv = pd.read_csv(paths[0], dtype={"image": str}, keep_default_na=False, float_precision="round_trip")
    pd.testing.assert_frame_equal(csv, table)
    assert record == json.loads(paths[2].read_text())
    assert (record["pixel_size_nm"], record["min_area_px"], record["border"]) == (pixel_size_nm, 30, "weight")
    assert (record["n_rows"], record["model"]) == (len(table), "runs/a")
    assert list(record["definitions"]) == list(table.columns)
    assert record["definitions"]["equivalent_diameter_px"].endswith("in px")
    assert pixel_size_nm is None or record["definitions"]["area_nm2"].endswith("in nm^2")
    assert record["versions"].keys() >= {"drgan", "numpy", "scikit-image"}


def test_an_empty_table_comes_back_as_it_was(tmp_path):
    table = measure_particles(np.zeros((4, 4), int), 1.0)
    write_table(table, tmp_path / "none", pixel_size_nm=1.0, counting=COUNTING)
    pd.testing.assert_frame_equal(read_table(tmp_path / "none")[0], table)


def test_a_name_with_dots_keeps_them(tmp_path, scattered):
    csv, *_ = write_table(measure_particles(scattered), tmp_path / "a_5.0kV", pixel_size_nm=None, counting=COUNTING)
    assert csv.name == "a_5.0kV.csv"


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path, scattered):
    table = measure_particles(scattered)
    write_table(table, tmp_path / "t", pixel_size_nm=None, counting=COUNTING)
    bad = table.assign(bad=[object() for _ in range(len(table))])
    with pytest.raises(Exception, match="bad"):
        write_table(bad, tmp_path / "t", pixel_size_nm=None, counting=COUNTING)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)
    assert len(list(tmp_path.iterdir())) == 3
