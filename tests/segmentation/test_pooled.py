"""Figures of a set of images: its images side by side, its weights, its bad inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.segmentation.metrics import pooled, score
from tests.segmentation.label_images import LABELS, grid


def side_by_side(images: list[np.ndarray]) -> np.ndarray:
    """One label image of several, each in a frame of background wider than the outlines' tolerance."""
    shifted = [np.where(labels > 0, labels + 1000 * number, 0) for number, labels in enumerate(images)]
    return np.hstack([np.pad(labels, 3) for labels in shifted])


PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=4)


@given(PAIRS, st.integers(0, 6), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_pooled_figures_are_those_of_the_images_side_by_side(pairs: list, min_area: int, random):
    # The frame is on both, because the edge of an image makes no outline.
    true, predicted = ([np.pad(labels, 1) for labels in side] for side in zip(*pairs, strict=True))
    figures = pooled(true, predicted, min_area=min_area)
    assert figures == pytest.approx(
        score(side_by_side(true), side_by_side(predicted), min_area=min_area), rel=0, abs=1e-12
    )
    order = random.sample(range(len(pairs)), len(pairs))
    assert pooled([true[k] for k in order], [predicted[k] for k in order], min_area=min_area) == figures


@given(LABELS, LABELS, st.integers(0, 6), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_equal_images_pool_to_the_figures_of_one(true: np.ndarray, predicted: np.ndarray, min_area: int, n: int):
    one = score(true, predicted, min_area=min_area)
    many = pooled([true] * n, [predicted] * n, min_area=min_area)
    extensive = {"count_true", "count_predicted", "tp", "fp", "fn"}
    if one["count_true"] == 0:
        extensive.add("count_error")
    assert many == pytest.approx({name: v * (n if name in extensive else 1) for name, v in one.items()}, abs=1e-12)


def test_pooling_weighs_instances_where_the_mean_weighs_images():
    crowded, lonely = grid(3, 4, gap=1), grid(1, 1)
    pairs = [crowded, lonely], [crowded, np.zeros_like(lonely)]
    assert pooled(*pairs)["ap50"] == pytest.approx(12 / 13)
    assert np.mean([score(t, p)["ap50"] for t, p in zip(*pairs, strict=True)]) == pytest.approx(1 / 2)


def test_errors_of_count_cancel_only_in_the_pool():
    true, more, less = grid(1, 3, gap=1), grid(1, 4, gap=1)[:, :32], grid(1, 2, gap=1)
    more, less = (np.pad(labels, ((0, 0), (0, 32)))[:, : true.shape[1]] for labels in (more, less))
    assert [score(true, labels)["count_error"] for labels in (more, less)] == pytest.approx([1 / 3, 1 / 3])
    assert pooled([true, true], [more, less])["count_error"] == 0


@pytest.mark.parametrize(("n_true", "n_predicted"), [(0, 0), (2, 1), (0, 1)])
def test_pooling_wants_as_many_predictions_as_images(n_true: int, n_predicted: int):
    with pytest.raises(ValueError, match="expected as many predictions as true images"):
        pooled([grid(1, 1)] * n_true, [grid(1, 1)] * n_predicted)
