"""COCO's average precision against a hand-made curve, and pycocotools and faster-coco-eval called by hand."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import faster_coco_eval
import numpy as np
import pytest
from hypothesis import assume, given, settings
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from drgan_lib.segmentation.metrics import coco_ap
from drgan_lib.segmentation.metrics.counts import THRESHOLDS
from tests.segmentation.label_images import LABELS, adversarial_pair, grid, ids, iou_table, no_tie, random_pair

FASTER = faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster


@given(LABELS, LABELS)
@settings(max_examples=40, deadline=None)
def test_one_confident_image_agrees_with_a_hand_made_curve(true: np.ndarray, predicted: np.ndarray):
    assume(no_tie(true, predicted))
    assume(len(ids(true)) and len(ids(predicted)))
    rank = np.random.default_rng(0).permutation(8)[: len(ids(predicted))]
    confidence = 1 - rank / 10
    order = ids(predicted)[np.argsort(rank)]
    table = iou_table(true, predicted)
    areas = []
    for threshold in THRESHOLDS:
        hits = np.isin(order, ids(predicted)[(table > threshold).any(axis=0)])
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        recall = np.cumsum(hits) / len(ids(true))
        curve = [
            max([p for p, r in zip(precision, recall, strict=True) if r >= level - 1e-9], default=0)
            for level in np.linspace(0, 1, 101)
        ]
        areas.append(np.mean(curve))
    expected = {"coco_ap50": areas[0], "coco_ap50_95": np.mean(areas)}
    assert coco_ap([true], [predicted], [confidence]) == pytest.approx(expected, abs=1e-6)


def called_by_hand(coco, evaluation, pairs: list, confidence: list) -> tuple[float, float]:
    """AP50:95 and AP50 of the classes `coco` and `evaluation` on pairs of label images [h, w]."""
    height, width = pairs[0][0].shape
    images = [{"id": n, "height": height, "width": width} for n in range(len(pairs))]
    truth, found = [], []
    for image, pair in enumerate(pairs):
        for labels, items in zip(pair, (truth, found), strict=True):
            before = len(items)
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
                        "score": float(confidence[image][len(items) - before]) if items is found else 1.0,
                    }
                )
    with redirect_stdout(io.StringIO()):
        ground = coco()
        ground.dataset = {"info": {}, "images": images, "categories": [{"id": 1}], "annotations": truth}
        ground.createIndex()
        judge = evaluation(ground, ground.loadRes(found), "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return tuple(judge.stats[:2])


@pytest.mark.parametrize("library", [(COCO, COCOeval), FASTER])
def test_libraries_called_by_hand_give_the_same(library: tuple):
    pairs = [random_pair(seed) for seed in range(3)]
    confidence = [1 / (1 + ids(predicted) + image / 10) for image, (_, predicted) in enumerate(pairs)]
    ours = coco_ap([t for t, _ in pairs], [p for _, p in pairs], confidence)
    assert 0 < ours["coco_ap50_95"] < ours["coco_ap50"] < 1
    assert (ours["coco_ap50_95"], ours["coco_ap50"]) == pytest.approx(
        called_by_hand(*library, pairs, confidence), abs=1e-6
    )


def test_agrees_with_faster_coco_eval_on_200_pairs():
    figures = []
    for seed in range(200):
        true, predicted = adversarial_pair(seed)
        confidence = 1 / (1 + ids(predicted))
        ours = coco_ap([true], [predicted], [confidence])
        if true.any() and predicted.any():  # the library leaves the others undefined
            theirs = called_by_hand(*FASTER, [(true, predicted)], [confidence])
        else:
            theirs = (float(true.any() == predicted.any()),) * 2
        assert (ours["coco_ap50_95"], ours["coco_ap50"]) == pytest.approx(theirs, abs=1e-6), seed
        figures.append(theirs[0])
    assert len({*np.round(figures, 6)}) > 50


def test_more_detections_than_cocos_limit_count():
    true = grid(12, 12, gap=1)
    assert len(ids(true)) == 144
    assert coco_ap([true], [true])["coco_ap50"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("predicted", "confidence", "message"),
    [
        ([np.ones((4, 4), int)], None, r"got \[2, 1\]"),
        ([np.ones((4, 4), int)] * 2, [[1.0]], r"got \[2, 2, 1\]"),
        ([np.ones((4, 4), int)] * 2, [[1.0], [1.0, 0.5]], "each of 1 instances, got 2"),
        ([np.ones((4, 4), int), np.ones((4, 5), int)], None, r"got \[\(4, 4\), \(4, 5\)\]"),
    ],
)
def test_images_that_do_not_belong_together_are_refused(predicted, confidence, message):
    with pytest.raises(ValueError, match=message):
        coco_ap([np.ones((4, 4), int)] * 2, predicted, confidence)
