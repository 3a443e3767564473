"""The metrics against closed forms, a brute-force assignment, panoptica and pycocotools."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from drgan_lib.segmentation.metrics import aji, boundary_f1, coco_ap50, match, remove_small, score

LABELS = arrays(np.int32, (6, 7), elements=st.integers(0, 3))


def grid(n_rows: int, n_columns: int, *, shift: int = 0, gap: int = 0) -> np.ndarray:
    """Touching (gap 0) 8 x 8 squares with ids of their own, moved `shift` pixels to the right."""
    labels = np.zeros((8 * n_rows, 8 * n_columns + 8), np.int32)
    for number in range(n_rows * n_columns):
        y, x = 8 * (number // n_columns), 8 * (number % n_columns) + shift
        labels[y : y + 8 - gap, x : x + 8 - gap] = number + 1
    return labels


def random_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Squares, and the same with noise, splits, merges, a phantom and a lost one."""
    rng = np.random.default_rng(seed)
    true = grid(3, 4, gap=1)
    predicted = np.roll(true, rng.integers(-1, 2), axis=rng.integers(2))
    predicted[rng.random(true.shape) < 0.15] = 0
    predicted[predicted == 2] = 1
    predicted[predicted == 5] = 0
    predicted[:4][predicted[:4] == 4] = 20
    predicted[-3:, -3:] = 30
    return true, predicted


def iou_table(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.array(
        [
            [((true == t) & (predicted == p)).sum() / ((true == t) | (predicted == p)).sum() for p in ids(predicted)]
            for t in ids(true)
        ]
    ).reshape(len(ids(true)), len(ids(predicted)))


def ids(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels[labels > 0])


def no_tie(true: np.ndarray, predicted: np.ndarray) -> bool:
    """No pair at exactly one half, where the libraries' «greater» and «greater or equal» differ."""
    return not np.isclose(iou_table(true, predicted), 0.5).any()


@given(LABELS, LABELS)
@settings(max_examples=150, deadline=None)
def test_matching_is_the_optimal_assignment(true: np.ndarray, predicted: np.ndarray):
    table = iou_table(true, predicted)
    good = np.where(table > 0.5, table, 0)
    best = good[linear_sum_assignment(good, maximize=True)]
    found = match(true, predicted)
    assert np.sort(found.iou) == pytest.approx(np.sort(best[best > 0]), abs=1e-12)
    assert (found.tp + found.fn, found.tp + found.fp) == table.shape


@given(LABELS, LABELS)
@settings(max_examples=100, deadline=None)
def test_qualities_are_symmetric_and_within_their_range(true: np.ndarray, predicted: np.ndarray):
    one, other = score(true, predicted), score(predicted, true)
    for name in ("dsc", "iou", "pq_semantic", "pq", "sq", "rq", "ap50"):
        assert one[name] == pytest.approx(other[name], abs=1e-12)
        assert 0 <= one[name] <= 1
    assert one["pq_semantic"] == pytest.approx(one["iou"], abs=1e-12)


def adversarial_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random label images, one of: noisy squares, blobs, touching, nested, split, one-pixel, empty."""
    rng = np.random.default_rng(seed)
    kind = seed % 8
    if kind < 2:
        return random_pair(seed)
    true = grid(3, 4, gap=int(rng.integers(2)))
    if kind == 2:  # touching squares, moved
        return true, np.roll(true, rng.integers(1, 5), axis=1)
    if kind == 3:  # nested
        true[2:6, 2:6], inner = 50, true.copy()
        inner[3:5, 3:5] = 51
        return true, inner
    if kind == 4:  # split along a random line
        predicted = true + 100 * (np.arange(true.shape[1]) > rng.integers(1, 30)) * (true > 0)
        return true, predicted
    if kind == 5:  # single pixels
        predicted = np.zeros_like(true)
        places = rng.choice(true.size, size=12, replace=False)
        predicted.flat[places] = np.arange(1, 13)
        return (predicted, np.where(predicted > 4, predicted, 0)) if seed % 2 else (true, predicted)
    if kind == 6:  # one or both empty
        empty = np.zeros_like(true)
        return [(true, empty), (empty, true), (empty, empty)][seed // 8 % 3]
    cells = rng.integers(0, 6, size=(2, 3, 4))  # blocks of equal ids
    return tuple(np.kron(block, np.ones((7, 8), int)).astype(np.int32) for block in cells)


def test_agrees_with_panoptica_on_200_pairs():
    import panoptica
    from panoptica.metrics import Metric

    panoptica.disable_citation_reminder()
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.UNMATCHED_INSTANCE,
        instance_matcher=panoptica.NaiveThresholdMatching(matching_metric=Metric.IOU, matching_threshold=0.5),
        instance_metrics=[Metric.IOU],
        global_metrics=[Metric.DSC],
    )
    compared, seed = 0, 0
    while compared < 200:
        true, predicted = adversarial_pair(seed)
        seed += 1
        if not no_tie(true, predicted):
            continue
        compared += 1
        ours = score(true, predicted)
        if not (true.any() and predicted.any()):  # panoptica leaves these undefined
            value = float(true.any() == predicted.any())
            assert {ours[name] for name in ("dsc", "pq", "sq", "rq", "ap50", "ap50_95", "aji", "boundary_f1")} == {
                value
            }
            continue
        theirs = evaluator.evaluate(predicted.astype(np.uint8), true.astype(np.uint8))["ungrouped"]
        assert (ours["tp"], ours["fp"], ours["fn"]) == (theirs.tp, theirs.fp, theirs.fn)
        assert (ours["rq"], ours["dsc"]) == pytest.approx((theirs.rq, theirs.global_bin_dsc), abs=1e-6)
        if theirs.tp:
            assert (ours["pq"], ours["sq"]) == pytest.approx((theirs.pq, theirs.sq), abs=1e-6)


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
    assert aji(true, predicted) == pytest.approx(intersection / union if union else 1.0, abs=1e-12)


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
    assert boundary_f1(true, predicted, tolerance_px=tolerance) == pytest.approx(expected, abs=1e-12)


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
    assert match(true, predicted).tp == 0


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
    assert coco_ap50([np.array(true)], [np.array(predicted)]) == pytest.approx(value)


def test_the_minimum_area_is_applied_to_both_sides_alike():
    true, predicted = grid(1, 2, gap=2), grid(1, 2, gap=2)
    true[7, 0], predicted[7, 8:10] = 9, 9
    assert (score(true, predicted)["fp"], score(true, predicted)["fn"]) == (1, 1)
    figures = score(true, predicted, min_area=3)
    assert (figures["tp"], figures["fp"], figures["fn"]) == (2, 0, 0)
    assert figures["dsc"] < 1
    assert coco_ap50([true], [predicted], min_area=3) == pytest.approx(1)
    assert remove_small(true, 36).max() == 2
    assert remove_small(true, 37).max() == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        score(np.zeros((2, 3), int), np.zeros((3, 2), int))


@given(LABELS, LABELS)
@settings(max_examples=40, deadline=None)
def test_one_confident_image_agrees_with_a_hand_made_curve(true: np.ndarray, predicted: np.ndarray):
    assume(no_tie(true, predicted))
    assume(len(ids(true)) and len(ids(predicted)))
    rank = np.random.default_rng(0).permutation(8)[: len(ids(predicted))]
    confidence = np.zeros(true.shape)
    for position, label in zip(rank, ids(predicted), strict=True):
        confidence[predicted == label] = 1 - position / 10
    order = ids(predicted)[np.argsort(rank)]
    hits = np.isin(order, match(true, predicted).predicted_ids)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    recall = np.cumsum(hits) / len(ids(true))
    curve = [
        max([p for p, r in zip(precision, recall, strict=True) if r >= level - 1e-9], default=0)
        for level in np.linspace(0, 1, 101)
    ]
    assert coco_ap50([true], [predicted], [confidence]) == pytest.approx(np.mean(curve), abs=1e-6)


def test_pycocotools_called_by_hand_gives_the_same():
    pairs = [random_pair(seed) for seed in range(3)]
    height, width = pairs[0][0].shape
    images = [{"id": n, "height": height, "width": width} for n in range(3)]
    truth, found = [], []
    for image, pair in enumerate(pairs):
        for labels, items in zip(pair, (truth, found), strict=True):
            for label in ids(labels):
                code = rle.encode(np.asfortranarray(labels == label, dtype=np.uint8))
                items.append(
                    {
                        "id": len(items) + 1,
                        "image_id": image,
                        "category_id": 1,
                        "segmentation": code,
                        "area": float(rle.area(code)),
                        "iscrowd": 0,
                        "bbox": rle.toBbox(code).tolist(),
                    }
                )
                items[-1]["score"] = 1 / (1 + label)
    with redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {"info": {}, "images": images, "categories": [{"id": 1}], "annotations": truth}
        ground.createIndex()
        judge = COCOeval(ground, ground.loadRes(found), "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    confidence = [1 / (1 + predicted) for _, predicted in pairs]
    ours = coco_ap50([t for t, _ in pairs], [p for _, p in pairs], confidence)
    assert 0 < ours < 1
    assert ours == pytest.approx(judge.stats[1], abs=1e-6)


def test_more_detections_than_cocos_limit_count():
    true = grid(12, 12, gap=1)
    assert len(ids(true)) == 144
    assert coco_ap50([true], [true]) == pytest.approx(1)
