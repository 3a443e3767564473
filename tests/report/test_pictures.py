"""Scale bars, outlines and sizes of the pictures in a report."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from drgan_lib.report.pictures import evenly, jpeg, scale_bar, view

RED = (1.0, 0.0, 0.0)


def pixels(uri: str) -> np.ndarray:
    """RGB or gray levels of a data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))))


@pytest.mark.parametrize(
    ("width", "nm_per_px", "share", "nm"),
    [(400, 1.0, 0.25, 100), (1000, 2.5, 0.2, 500), (1000, 100, 0.2, 20_000), (1000, 0.01, 0.2, 2)],
)
def test_scale_bars_are_round_and_at_most_a_quarter(width, nm_per_px, share, nm):
    assert scale_bar(width, nm_per_px) == pytest.approx({"bar_nm": nm, "bar_share": share})


@pytest.mark.parametrize("side", [50, 600, 1800, 3000])
def test_bars_outlines_and_image_are_on_one_scale(side):
    """Whatever is enlarged, reduced or cut: a square of a tenth of the side, and the bar that measures it."""
    labels = np.zeros((side, side), np.int32)
    edge = side // 10
    labels[side // 2 : side // 2 + edge, side // 2 : side // 2 + edge] = 1
    held = view("square", "one", np.zeros(labels.shape), [(labels, RED, "solid")], 3.0, 10**7)
    marked = pixels(held["uri"])[..., 0] > 100
    assert marked.shape == (held["height"], held["width"])
    width_px = np.ptp(np.flatnonzero(marked.any(axis=0))) + 1
    nm_per_px = held["bar_nm"] / (held["bar_share"] * held["width"])
    assert width_px * nm_per_px == pytest.approx(3.0 * edge, rel=0.03)
    assert 600 / 2 < held["width"] <= 1200
    assert ("middle" in held["text"]) == (side > 2048)


def test_without_a_pixel_size_there_is_no_bar():
    assert "bar_nm" not in view("a", "", np.zeros((9, 9)), [], None, 10**6)


def test_styles_can_be_told_apart_without_colour():
    labels = np.zeros((700, 700), np.int32)
    labels[100:600, 100:600] = 1
    drawn = {}
    for style in ("solid", "dashed", "hatched"):
        uri = view("a", "", np.zeros(labels.shape), [(labels, RED, style)], None, 10**7)["uri"]
        drawn[style] = (pixels(uri)[..., 0] > 128).mean()
    assert 0.3 < drawn["dashed"] / drawn["solid"] < 0.7
    assert drawn["hatched"] > 5 * drawn["solid"]


@pytest.mark.parametrize("shape", [(900, 1200), (1200, 1200, 3)])
def test_pictures_keep_to_their_size(shape):
    """Noise compresses worst."""
    noise = np.random.default_rng(0).random(shape)
    small, large = len(jpeg(noise, 900_000)), len(jpeg(noise, 10**7))
    assert small <= 900_000 < large


def test_gray_levels_are_kept():
    flat = np.full((10, 10), 0.5)
    assert abs(pixels(jpeg(flat, 10**6)).astype(int) - 128).max() <= 1


def test_evenly_spread_numbers_hold_both_ends():
    assert evenly(6, 3) == [0, 1, 2]
    assert evenly(3, 101) == [0, 50, 100]
    assert evenly(6, 1) == [0]
