"""What became of each true particle, in scenes where it is plain, and by brute force in scenes where it is not."""

import numpy as np
import pytest
from hypothesis import given, settings

from drgan_lib.segmentation.metrics import KINDS, score, table_of_kinds, total
from tests.segmentation.label_images import LABELS, grid, ids, iou_table


def test_each_kind_in_a_scene_of_its_own():
    true, predicted = grid(1, 6, gap=1), grid(1, 6, gap=1)
    predicted[:, 8:24][predicted[:, 8:24] > 0] = 2  # the second and the third, merged
    predicted[:3, 24:31], predicted[3:5, 24:31] = 40, 41  # the fourth, in three parts
    predicted[:, 32:40] = 0  # the fifth
    predicted[:, 40:48] = 0  # the sixth
    predicted[:4, 40:56] = 6
    found = score(true, predicted)
    assert {kind: found[kind] * 6 for kind in KINDS} == pytest.approx(
        {"found": 1, "merged": 2, "split": 1, "missed": 1, "imprecise": 1}
    )


def test_sizes_are_diameters_of_circles_of_equal_area():
    true = np.zeros((64, 64), int)
    true[:10, :10], true[20:40, :20], true[:, 30:62] = 1, 2, 3  # circles of 11.3, 22.6 and 51.1 px
    table = table_of_kinds(total([true, true], [true, np.zeros_like(true)]).kinds)
    assert table["diameter_px"].tolist() == ["below 12", "18 to 24", "32 and more", "all"]
    assert table["n"].tolist() == [2, 2, 2, 6]
    assert (table[["found", "missed"]] == 0.5).all(axis=None)


@given(LABELS, LABELS)
@settings(max_examples=200, deadline=None)
def test_every_particle_is_of_one_kind(true: np.ndarray, predicted: np.ndarray):
    expected = dict.fromkeys(KINDS, 0)
    iou = iou_table(true, predicted)
    for row, t in enumerate(ids(true)):
        own = true == t
        inside = {p: (own & (predicted == p)).sum() for p in ids(predicted)}
        most = [p for p, n in inside.items() if 2 * n > own.sum()]
        neighbours = [
            u
            for u in ids(true)
            if u != t and most and 2 * ((true == u) & (predicted == most[0])).sum() > (true == u).sum()
        ]
        parts = [n for p, n in inside.items() if 2 * n > (predicted == p).sum()]
        if (iou[row] > 0.5).any():
            kind = "found"
        elif neighbours:
            kind = "merged"
        elif len(parts) > 1 and 2 * sum(parts) > own.sum():
            kind = "split"
        else:
            kind = "missed" if 2 * sum(inside.values()) <= own.sum() else "imprecise"
        expected[kind] += 1
    n = len(ids(true))
    found = score(true, predicted)
    shares = {kind: expected[kind] / n if n else float(kind == "found") for kind in KINDS}
    assert {kind: found[kind] for kind in KINDS} == pytest.approx(shares)


def test_an_outline_one_pixel_beside_is_forgiven_and_one_two_pixels_beside_is_not():
    true = np.zeros((20, 20), int)
    true[5:15, 5:15] = 1
    one, two = (np.zeros_like(true) for _ in range(2))
    one[4:16, 5:15], one[5:15, 4:16] = 1, 1  # dilated by a pixel, without its corners
    two[3:17, 5:15] = 1
    assert score(true, one)["dsc_1px"] == score(one, true)["dsc_1px"] == 1
    assert score(true, two)["dsc_1px"] == pytest.approx((100 + 120) / (100 + 140))
    assert score(true, np.zeros_like(true))["dsc_1px"] == 0
