from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist
from skimage.measure import regionprops

from drgan_lib.quantify import feret_diameters, measure_particles, pool
from drgan_lib.quantify.particles import DEFINITIONS, LENGTHS
from tests.quantify.conftest import disc, rectangle

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any)


def one(mask: np.ndarray, *args) -> pd.Series:
    (_, row), *_ = measure_particles(mask.astype(int), *args).iterrows()
    return row


def edge_midpoints(mask: np.ndarray) -> np.ndarray:
    offsets = np.array([(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)])
    return (np.argwhere(mask)[:, None] + offsets).reshape(-1, 2)


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_feret_diameters_are_those_of_all_points_and_directions(mask):
    """Independent of hull and calipers: every pair of points, and every hundredth of a degree."""
    points, angles = edge_midpoints(mask), np.radians(np.arange(0, 180, 0.02))
    largest, smallest = feret_diameters(mask)
    assert largest == pytest.approx(pdist(points).max())
    widths = np.ptp(points @ np.stack([np.cos(angles), np.sin(angles)]), axis=0)
    assert smallest <= widths.min() + 1e-9
    assert smallest == pytest.approx(widths.min(), abs=0.01)


@given(MASKS, st.integers(0, 3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_sizes_do_not_depend_on_how_the_particle_lies(mask, turns, mirrored):
    turned = np.rot90(mask[::-1] if mirrored else mask, turns)
    names = ["area_px2", *(f"{name}_px" for name in LENGTHS), "aspect_ratio", "circularity"]
    np.testing.assert_allclose(one(turned)[names].astype(float), one(mask)[names].astype(float), rtol=1e-9)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (4, 9), (12, 12)])
def test_upright_rectangles_have_the_sizes_of_geometry(height, width):
    row = one(np.pad(np.ones((height, width), bool), 3))
    assert row["area_px2"] == height * width
    assert (row["height_px"], row["width_px"]) == (height, width)
    assert (row["row_px"], row["column_px"]) == (3 + (height - 1) / 2, 3 + (width - 1) / 2)
    assert row["equivalent_diameter_px"] == pytest.approx(math.sqrt(4 * height * width / math.pi))
    assert row["feret_min_px"] == pytest.approx(min(height, width) if height * width > 1 else math.sqrt(0.5))
    # an ellipse of axes a, b has second moments a^2 / 16, b^2 / 16; a rectangle of sides a, b a^2 / 12, b^2 / 12
    assert row["major_axis_px"] == pytest.approx(max(height, width) * math.sqrt(4 / 3))
    assert row["minor_axis_px"] == pytest.approx(min(height, width) * math.sqrt(4 / 3))


@pytest.mark.parametrize("radius", [4, 8, 20, 60])
def test_discs_have_their_diameter_and_are_round(radius):
    rows = [
        one(disc(radius, centre=(radius + 4 + dy, radius + 4 + dx)))
        for dy, dx in np.random.default_rng(0).random((12, 2))
    ]
    mean = pd.DataFrame(rows).astype(float).mean()
    assert mean["equivalent_diameter_px"] == pytest.approx(2 * radius, abs=0.1)
    assert mean["major_axis_px"] == pytest.approx(2 * radius, abs=0.25)
    assert mean["minor_axis_px"] == pytest.approx(2 * radius, abs=0.25)
    assert -0.4 < mean["feret_min_px"] - 2 * radius < 0
    assert 0.4 < mean["feret_max_px"] - 2 * radius < 1
    assert mean["perimeter_px"] == pytest.approx(2 * math.pi * radius, rel=0.01)
    assert mean["circularity"] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("length", "width"), [(60, 20), (90, 30), (50, 40)])
def test_turned_rectangles_have_their_width_diagonal_and_circumference(length, width):
    rng = np.random.default_rng(1)
    rows = [one(rectangle(length, width, *rng.uniform(0, math.pi, 1), rng.random())) for _ in range(25)]
    mean = pd.DataFrame(rows).astype(float).mean()
    assert mean["area_px2"] == pytest.approx(length * width, rel=0.01)
    assert -0.2 < mean["feret_min_px"] - width < 1.1
    assert mean["feret_max_px"] == pytest.approx(math.hypot(length, width), abs=0.5)
    assert mean["major_axis_px"] == pytest.approx(length * math.sqrt(4 / 3), rel=0.01)
    assert mean["perimeter_px"] == pytest.approx(2 * (length + width), rel=0.02)
    assert mean["circularity"] == pytest.approx(math.pi * length * width / (length + width) ** 2, rel=0.04)


def test_agrees_with_scikit_image(scattered):
    table, regions = measure_particles(scattered), regionprops(scattered)
    assert table["id"].tolist() == [r.label for r in regions]
    assert table["area_px2"].tolist() == [r.area for r in regions]
    np.testing.assert_allclose(table[["row_px", "column_px"]], [r.centroid for r in regions])
    np.testing.assert_allclose(table["equivalent_diameter_px"], [r.equivalent_diameter_area for r in regions])
    # it fills the hull with pixels first, which stick out, and takes pixels as points in its moments
    more = [r.feret_diameter_max for r in regions] - table["feret_max_px"]
    assert more.between(-1e-9, 1).all()
    np.testing.assert_allclose(table["major_axis_px"], [r.axis_major_length for r in regions], atol=0.15)


def test_every_length_and_area_is_given_in_px_and_nm(scattered):
    table = measure_particles(scattered, 2.5)
    for name in LENGTHS:
        np.testing.assert_allclose(table[f"{name}_nm"], 2.5 * table[f"{name}_px"])
    np.testing.assert_allclose(table["area_nm2"], 6.25 * table["area_px2"])
    assert table.drop(columns=[c for c in table if "_nm" in c]).equals(measure_particles(scattered))
    names = [name for name in DEFINITIONS if name != "image"]
    assert list(dict.fromkeys(c if c in DEFINITIONS else c.rpartition("_")[0] for c in table)) == names


def test_no_particles_no_rows_but_the_same_columns_and_types(scattered):
    empty, full = measure_particles(np.zeros((5, 4), int), 2.0), measure_particles(scattered, 2.0)
    assert len(empty) == 0
    assert empty.dtypes.equals(full.dtypes)


def test_the_border_is_the_outermost_line_of_pixels():
    labels = np.zeros((10, 12), np.uint8)
    labels[0, 5], labels[9, 2], labels[4, 0], labels[4, 11], labels[1:9, 4:8] = 1, 2, 3, 4, 5
    table = measure_particles(labels).set_index("id")
    assert table["touches_border"].tolist() == [True, True, True, True, False]
    # 8 rows fit in one way into the 8 inner ones of 10, 4 columns in 7 ways into the 10 inner ones of 12
    assert table["edge_weight"].tolist() == [0, 0, 0, 0, pytest.approx(10 * 12 / 7)]


def test_large_labels_and_parts_apart_are_one_particle_each():
    labels = np.zeros((9, 9), np.int64)
    labels[1, 1], labels[5, 5], labels[3, 7] = 2**40, 2**40, 7
    table = measure_particles(labels)
    assert table["id"].tolist() == [7, 2**40]
    assert table["area_px2"].tolist() == [1, 2]
    labels[:] = 0
    labels += 2**40  # no background at all
    assert measure_particles(labels)["id"].tolist() == [2**40]


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.zeros((2, 3, 3), int), ValueError, r"shape \[h, w\], got \(2, 3, 3\)"),
        (np.zeros((0, 3), int), ValueError, r"shape \[h, w\]"),
        (np.zeros((3, 3)), TypeError, "whole numbers, got float64"),
        (np.zeros((3, 3), bool), TypeError, "number the particles of a mask first"),
        (np.full((3, 3), -1), ValueError, "from 0 .* got -1"),
    ],
)
def test_what_is_no_label_image_is_refused(labels, error, message):
    with pytest.raises(error, match=message):
        measure_particles(labels)


@pytest.mark.parametrize("size", [0, -1.5, math.nan, math.inf])
def test_a_pixel_size_must_be_a_positive_number(size):
    with pytest.raises(ValueError, match="pixel size above 0 nm"):
        measure_particles(np.zeros((3, 3), int), size)


def test_pooled_tables_say_where_a_particle_comes_from(scattered):
    empty, full = measure_particles(np.zeros((5, 5), int)), measure_particles(scattered)
    pooled = pool({"a": empty, "b": full, "c": full[:2]})
    assert pooled["image"].value_counts().to_dict() == {"b": 60, "c": 2}
    assert pooled.drop(columns="image").dtypes.equals(full.dtypes)
    assert len(pool({"a": empty})) == 0
    with pytest.raises(ValueError, match="at least one table"):
        pool({})
    with pytest.raises(ValueError, match="with a pixel size or all without"):
        pool({"a": full, "b": measure_particles(scattered, 2.0)})


def test_an_empty_mask_has_no_diameter():
    with pytest.raises(ValueError, match="at least one pixel"):
        feret_diameters(np.zeros((3, 3), bool))
