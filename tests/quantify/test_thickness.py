from __future__ import annotations

import math

import localthickness
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from drgan_lib.quantify import local_thickness, thickness
from drgan_lib.segmentation.tiles import apply_windows
from tests.quantify.conftest import disc


def band(width: float, angle: float, shift: float = 0.0, side: int = 90) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return abs(y * np.cos(angle) - x * np.sin(angle) - shift) < width / 2


@pytest.mark.parametrize("width", [2, 3, 4, 7, 10, 15])
def test_an_upright_band_is_as_thick_as_it_is_wide(width):
    for mask in (band(width, 0, 0.5 * (width % 2 == 1)), band(width, math.pi / 2, 0.5 * (width % 2 == 1))):
        assert mask.sum() == 90 * width
        np.testing.assert_allclose(local_thickness(mask).values, width)


def test_turned_bands_are_as_thick_as_they_are_wide():
    rng = np.random.default_rng(0)
    for width in (3, 5, 9, 14):
        found = [local_thickness(band(width, rng.uniform(0, math.pi), rng.random())).median for _ in range(12)]
        assert np.mean(found) == pytest.approx(width, abs=0.25)
        assert np.std(found) < 0.3


@pytest.mark.parametrize("radius", [4, 8, 15, 30])
def test_a_disc_is_as_thick_as_its_diameter(radius):
    found = []
    for dy, dx in np.random.default_rng(1).random((6, 2)):
        map_ = local_thickness(disc(radius, centre=(radius + 4 + dy, radius + 4 + dx)))
        assert map_.median == pytest.approx(map_.diameter_px.max(), abs=0.2)
        found.append(map_.median)
    assert np.mean(found) == pytest.approx(2 * radius - 0.7, abs=0.3)


@pytest.mark.parametrize("width", [5, 8, 9, 14])
@pytest.mark.parametrize("degrees", [0, 10, 30, 45, 90])
def test_localthickness_gives_the_same_or_up_to_a_pixel_more(width, degrees):
    mask = band(width, math.radians(degrees), 0.5 * (width % 2 == 1))
    theirs = 2 * float(np.median(localthickness.local_thickness(mask)[mask]))
    assert -0.05 <= theirs - local_thickness(mask).median <= 1.05


@pytest.mark.parametrize("radius", [8.3, 12.2, 20.4])
def test_localthickness_gives_discs_of_a_pixel_more(radius):
    mask = disc(radius, side=60)
    theirs = 2 * float(np.median(localthickness.local_thickness(mask)[mask]))
    assert 0.5 <= theirs - local_thickness(mask).median <= 1.5


def test_each_band_has_its_own_thickness():
    mask = np.zeros((60, 80), bool)
    mask[10:16], mask[30:42] = True, True
    found = local_thickness(mask, 2.5)
    assert set(found.diameter_px[mask].tolist()) == {6, 12}
    assert not found.diameter_px[~mask].any()
    assert found.unit == "nm"
    assert found.median == 30
    shares, edges = found.histogram(np.array([0, 20, 40]))
    assert shares.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert edges.tolist() == [0, 20, 40]


@given(arrays(bool, (14, 16)).filter(lambda m: not m.all()))
@settings(max_examples=40, deadline=None)
def test_it_is_the_largest_of_all_discs_around_a_pixel(mask):
    """Against every disc within the smoothed outline, at half pixels, not only those of the ridge."""
    smooth, found = ndimage.gaussian_filter(mask.astype(float), 0.7, mode="nearest"), local_thickness(mask).diameter_px
    places = np.meshgrid(*((np.arange(2 * n) - 0.5) / 2 for n in mask.shape), indexing="ij")
    inner = ndimage.map_coordinates(smooth, places, order=1, mode="nearest") > 0.5
    distance, expected = ndimage.distance_transform_edt(inner) / 2, np.zeros(mask.shape)
    for row, column in np.argwhere(distance > 0):
        y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
        inside = np.hypot(y - (row - 0.5) / 2, x - (column - 0.5) / 2) < distance[row, column]
        expected[inside] = np.maximum(expected[inside], 2 * distance[row, column])
    covered = mask & (expected > 0)
    np.testing.assert_allclose(found[covered], expected[covered], rtol=1e-5)
    assert (found[mask] >= 1).all() if mask.any() else not found.any()
    assert not found[~mask].any()


@given(st.integers(0, 3), st.booleans())
@settings(max_examples=8, deadline=None)
def test_turning_the_image_turns_the_map(turns, mirrored):
    mask = band(6, 0.4, side=40) | disc(9, side=40)
    turned = np.rot90(mask[::-1] if mirrored else mask, turns)
    map_ = local_thickness(mask).diameter_px
    np.testing.assert_allclose(local_thickness(turned).diameter_px, np.rot90(map_[::-1] if mirrored else map_, turns))


def test_no_wires_no_thickness():
    nothing = local_thickness(np.zeros((5, 6), int))
    assert math.isnan(nothing.median)
    assert nothing.histogram(4)[0].tolist() == [0, 0, 0, 0]


def test_in_tiles_it_is_that_of_the_whole_image(monkeypatch):
    mask = band(7, 0.3, side=160) | band(12, 1.2, side=160)
    whole = local_thickness(mask).diameter_px
    small = {"overlap_px": 48, "side_px": 96}
    monkeypatch.setattr(thickness, "apply_windows", lambda mask, function, **_: apply_windows(mask, function, **small))
    np.testing.assert_allclose(local_thickness(mask).diameter_px, whole)


@pytest.mark.parametrize(
    ("mask", "size", "error", "message"),
    [
        (np.ones((4, 4), bool), None, ValueError, "mask with background"),
        (np.zeros((4, 4, 3), bool), None, ValueError, r"shape \[h, w\]"),
        (np.zeros((4, 4)), None, TypeError, "threshold it first"),
        (np.zeros((4, 4), bool), 0, ValueError, "pixel size above 0 nm"),
    ],
)
def test_what_is_no_mask_is_refused(mask, size, error, message):
    with pytest.raises(error, match=message):
        local_thickness(mask, size)
