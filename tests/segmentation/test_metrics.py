"""The metrics against closed forms, a brute-force assignment, panoptica and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.metrics import f1_score, jaccard_score

from drgan_lib.segmentation.metrics import DEFINITIONS, coco_ap, match, remove_small, score
from drgan_lib.segmentation.metrics.counts import THRESHOLDS, count_outlines, f1
from tests.segmentation.label_images import LABELS, adversarial_pair, grid, ids, iou_table, no_tie


@given(LABELS, LABELS)
@settings(max_examples=150, deadline=None)
def test_matching_is_the_optimal_assignment(true: np.ndarray, predicted: np.ndarray):
    table = iou_table(true, predicted)
    good = np.where(table > 0.5, table, 0)
    best = good[linear_sum_assignment(good, maximize=True)]
    found = match(true, predicted).detections
    assert np.sort(found.iou) == pytest.approx(np.sort(best[best > 0]), abs=1e-12)
    assert (found.count_true, found.count_predicted) == table.shape


@given(LABELS, LABELS)
@settings(max_examples=100, deadline=None)
def test_qualities_are_symmetric_and_within_their_range(true: np.ndarray, predicted: np.ndarray):
    one, other = score(true, predicted), score(predicted, true)
    for name in ("dsc", "iou", "pq_semantic", "pq", "sq", "rq", "ap50"):
        assert one[name] == pytest.approx(other[name], abs=1e-12)
        assert 0 <= one[name] <= 1
    assert one["pq_semantic"] == pytest.approx(one["iou"], abs=1e-12)


def test_agrees_with_panoptica_and_scikit_learn_on_200_pairs():
    import panoptica
    from panoptica.metrics import Metric

    panoptica.disable_citation_reminder()
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.UNMATCHED_INSTANCE,
        instance_matcher=panoptica.NaiveThresholdMatching(matching_metric=Metric.IOU),
        instance_metrics=[Metric.IOU],
        global_metrics=[Metric.DSC],
        verbose=False,
    )
    compared = {kind: 0 for kind in range(8)}
    for seed in range(10_000):
        true, predicted = adversarial_pair(seed)
        if sum(compared.values()) == 200:
            break
        if not no_tie(true, predicted):
            continue
        compared[seed % 8] += 1
        ours = score(true, predicted)
        if not (true.any() and predicted.any()):  # panoptica leaves these undefined
            value = float(true.any() == predicted.any())
            assert {ours[name] for name in ("dsc", "pq", "sq", "rq", "ap50", "ap50_95", "aji", "boundary_f1")} == {
                value
            }
            continue
        pixels = (true > 0).ravel(), (predicted > 0).ravel()
        assert (ours["dsc"], ours["iou"]) == pytest.approx((f1_score(*pixels), jaccard_score(*pixels)), abs=1e-6)
        images = predicted.astype(np.uint8), true.astype(np.uint8)
        thresholds = evaluator.evaluate_autc(*images, threshold_step_size=0.05, result_all=False)["ungrouped"]
        theirs = thresholds.get_result_at_threshold(0.5)
        assert (ours["tp"], ours["fp"], ours["fn"]) == (theirs.tp, theirs.fp, theirs.fn)
        assert (ours["rq"], ours["dsc"]) == pytest.approx((theirs.rq, theirs.global_bin_dsc), abs=1e-6)
        if theirs.tp:
            assert (ours["pq"], ours["sq"]) == pytest.approx((theirs.pq, theirs.sq), abs=1e-6)
        results = [thresholds.get_result_at_threshold(threshold) for threshold in THRESHOLDS]
        ap = [r.tp / (r.tp + r.fp + r.fn) for r in results]
        assert (ours["ap50"], ours["ap50_95"]) == pytest.approx((ap[0], np.mean(ap)), abs=1e-6)
    assert sum(compared.values()) == 200
    assert min(compared.values()) >= 5, compared


def test_every_quality_and_error_has_its_definition():
    counts = {"count_true", "count_predicted", "tp", "fp", "fn"}
    image = grid(1, 2)
    assert {*score(image, image), *coco_ap([image], [image])} - counts == set(DEFINITIONS)
    for name in set(DEFINITIONS) - {"dsc", "dsc_1px", "iou", "pq_semantic"}:
        assert "minimum area" in DEFINITIONS[name]
        assert "touch the border" in DEFINITIONS[name]


@given(LABELS, LABELS)
@settings(max_examples=100, deadline=None)
def test_aji_is_what_its_definition_says(true: np.ndarray, predicted: np.ndarray):
    intersection, union, taken = 0, 0, set()
    for t in ids(true):
        candidates = [
            (((true == t) & (predicted == p)).sum() / ((true == t) | (predicted == p)).sum(), -p)
            for p in ids(predicted)
        ]
        iou, label = max(candidates, default=(0, 0))
        if iou > 0:
            taken.add(-label)
            intersection += ((true == t) & (predicted == -label)).sum()
            union += ((true == t) | (predicted == -label)).sum()
        else:
            union += (true == t).sum()
    union += sum((predicted == p).sum() for p in ids(predicted) if p not in taken)
    assert score(true, predicted)["aji"] == pytest.approx(intersection / union if union else 1.0, abs=1e-12)


@given(LABELS, LABELS, st.sampled_from([0.0, 1.0, 1.5, 2.0]))
@settings(max_examples=60, deadline=None)
def test_boundary_f1_is_what_its_definition_says(true: np.ndarray, predicted: np.ndarray, tolerance: float):
    def outline(labels):
        padded = np.pad(labels, 1, mode="edge")
        neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
        return np.argwhere((labels > 0) & np.any([n != labels for n in neighbours], axis=0))

    ours, theirs = outline(true), outline(predicted)
    if len(ours) == 0 or len(theirs) == 0:
        expected = float(len(ours) == len(theirs))
    else:
        near = cdist(ours, theirs) <= tolerance
        precision, recall = near.any(axis=0).mean(), near.any(axis=1).mean()
        expected = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert f1(*count_outlines(true, predicted, tolerance_px=tolerance)) == pytest.approx(expected, abs=1e-12)


def test_precision_and_recall_of_outlines_agree_with_panoptica_on_200_pairs():
    from panoptica.metrics import Metric

    values = []
    for seed in range(200):
        # One instance each, off the image's border, where panoptica draws an outline and we do not.
        true, predicted = (np.pad(labels > 0, 1).astype(int) for labels in adversarial_pair(seed))
        n_true, n_predicted, true_met, predicted_met = count_outlines(true, predicted, tolerance_px=2)
        if not (true.any() and predicted.any()):
            assert true_met == predicted_met == 0
            continue
        theirs = Metric.NSD(true.astype(bool), predicted.astype(bool), threshold=2)  # the mean of the two
        assert (predicted_met / n_predicted + true_met / n_true) / 2 == pytest.approx(theirs, abs=1e-6)
        values.append(theirs)
    assert len(values) > 150
    assert np.std(values) > 0.05


def test_closed_form_over_the_thresholds():
    # Every IoU is 30 / 42 = 0.714; the margin keeps outlines off the image's border, where there are none.
    figures = score(*(np.pad(grid(2, 3, gap=2, shift=shift), 4) for shift in (0, 1)))
    assert figures["ap50_95"] == pytest.approx(5 / 10)
    assert figures["aji"] == pytest.approx(30 / 42)
    assert (figures["boundary_f1"], figures["count_error"]) == (1, 0)


def test_closed_form_of_shifted_squares():
    figures = score(grid(2, 3, gap=2), grid(2, 3, shift=1, gap=2))
    assert figures["sq"] == pytest.approx(30 / 42)
    assert figures["dsc"] == pytest.approx(30 / 36)
    assert (figures["rq"], figures["ap50"], figures["tp"]) == (1, 1, 6)


def test_a_split_particle_matches_its_larger_part():
    true = np.zeros((10, 10), int)
    true[:, :] = 1
    predicted = true.copy()
    predicted[:, 6:] = 2
    figures = score(true, predicted)
    assert (figures["tp"], figures["fp"], figures["fn"]) == (1, 1, 0)
    assert (figures["ap50"], figures["dsc"]) == (0.5, 1)


def test_merged_neighbours_are_missed_though_pixels_agree():
    true = grid(1, 2)
    figures = score(true, (true > 0).astype(int))
    assert (figures["dsc"], figures["ap50"], figures["pq"]) == (1, 0, 0)


def test_an_overlap_of_exactly_one_half_is_no_match():
    true, predicted = np.array([[1, 1, 0]]), np.array([[1, 0, 0]])
    assert match(true, predicted).detections.tp == 0


def test_nested_instances_keep_apart():
    true = np.ones((9, 9), int)
    true[3:6, 3:6] = 2
    assert score(true, true)["tp"] == 2


@pytest.mark.parametrize(
    ("true", "predicted", "value"),
    [([[0, 0]], [[0, 0]], 1), ([[0, 0]], [[0, 1]], 0), ([[1, 0]], [[0, 0]], 0), ([[1, 0]], [[1, 0]], 1)],
)
def test_empty_and_one_pixel_images(true: list, predicted: list, value: int):
    figures = score(np.array(true), np.array(predicted))
    assert {figures[name] for name in ("dsc", "iou", "pq_semantic", "pq", "sq", "rq", "ap50", "ap50_95", "aji")} == {
        value
    }
    assert coco_ap([np.array(true)], [np.array(predicted)]) == pytest.approx(
        {"coco_ap50": value, "coco_ap50_95": value}
    )


def test_a_particle_that_fills_the_image_has_no_outline_to_miss():
    whole, nothing = np.ones((6, 6), int), np.zeros((6, 6), int)
    figures = score(whole, nothing)
    assert figures["boundary_f1"] == 1
    assert {figures[name] for name in ("dsc", "iou", "pq_semantic", "pq", "sq", "rq", "ap50", "ap50_95", "aji")} == {0}


def test_the_minimum_area_is_applied_to_both_sides_alike():
    true, predicted = grid(1, 2, gap=2), grid(1, 2, gap=2)
    true[7, 0], predicted[7, 8:10] = 9, 9
    assert (score(true, predicted)["fp"], score(true, predicted)["fn"]) == (1, 1)
    figures = score(true, predicted, min_area=3)
    assert (figures["tp"], figures["fp"], figures["fn"]) == (2, 0, 0)
    assert figures["dsc"] < 1
    assert coco_ap([true], [predicted], min_area=3)["coco_ap50"] == pytest.approx(1)
    assert remove_small(true, 36).max() == 2
    assert remove_small(true, 37).max() == 0


@pytest.mark.parametrize("side", [0, 1])
def test_instances_on_the_border_count_on_both_sides(side: int):
    cut, nothing = np.pad(np.ones((4, 4), int), ((0, 4), (0, 4))), np.zeros((8, 8), int)
    figures = score(*((cut, nothing) if side == 0 else (nothing, cut)))
    assert (figures["fn"], figures["fp"]) == ((1, 0) if side == 0 else (0, 1))
    assert (score(cut, cut)["tp"], coco_ap([cut], [cut])["coco_ap50"]) == (1, pytest.approx(1))


@pytest.mark.parametrize("metric", [score, match, count_outlines])
def test_shapes_must_agree(metric):
    with pytest.raises(ValueError, match="one shape"):
        metric(np.zeros((2, 3), int), np.zeros((3, 2), int))
