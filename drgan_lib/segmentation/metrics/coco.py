"""COCO's average precision through pycocotools."""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def coco_ap(
    true: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    confidence: Sequence[np.ndarray] | None = None,
    *,
    min_area: int = 0,
) -> dict[str, float]:
    """Average precision over a set of images, each an int [h, w] label image with 0 as background.

    `coco_ap50` counts a detection from an IoU of 0.5 on, `coco_ap50_95` is the mean over the thresholds 0.5, 0.55,
    ... 0.95. `confidence` holds for each image a number per predicted instance, in the order of rising ids, that ranks
    it; without it, or where it is the same for all, they rank in the order of the images, on which the result then
    depends. Instances of fewer than `min_area` pixels are removed from both sides, and the number of detections per
    image is not limited (COCO's limit is 100; micrographs hold hundreds). Without true instances both are 1 if nothing
    is predicted and 0 otherwise. Raises `ValueError` for lists of different lengths and images of different shapes.
    """
    sides = [true, predicted] if confidence is None else [true, predicted, confidence]
    if len({len(side) for side in sides}) > 1:
        raise ValueError(f"expected as many predictions (and confidences) as true images, got {[*map(len, sides)]}")
    truth, results, size = [], [], 0
    for number, pair in enumerate(zip(true, predicted, strict=True)):
        if pair[0].shape != pair[1].shape:
            raise ValueError(f"expected images of one shape for each other, got {[image.shape for image in pair]}")
        scores = None if confidence is None else confidence[number]
        found = _annotations(pair[1], number, offset=len(results), min_area=min_area, scores=scores)
        truth += _annotations(pair[0], number, offset=len(truth), min_area=min_area)
        results += found
        size = max(size, len(found))
    if not truth or not results:
        return dict.fromkeys(("coco_ap50", "coco_ap50_95"), float(not truth and not results))
    images = [{"id": n, "height": labels.shape[0], "width": labels.shape[1]} for n, labels in enumerate(true)]
    with redirect_stdout(io.StringIO()):
        ground, detections = COCO(), COCO()
        for collection, items in ((ground, truth), (detections, results)):
            collection.dataset = {"images": images, "categories": [{"id": 1}], "annotations": items}
            collection.createIndex()
        evaluation = COCOeval(ground, detections, "segm")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [size]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # [threshold, recall, class, area, limit]
    return {"coco_ap50": float(precision[0].mean()), "coco_ap50_95": float(precision.mean())}


def _annotations(
    labels: np.ndarray, image_id: int, *, offset: int, min_area: int, scores: Sequence[float] | None = None
) -> list[dict]:
    """COCO annotations of a label image; ids start at `offset` + 1 (pycocotools takes 0 for «unmatched»)."""
    ids = np.unique(labels[labels > 0])
    if scores is not None and len(scores) != len(ids):
        raise ValueError(f"expected a confidence for each of {len(ids)} instances, got {len(scores)}")
    items = []
    for label, score in zip(ids, np.ones(len(ids)) if scores is None else scores, strict=True):
        mask = rle.encode(np.asfortranarray(labels == label, dtype=np.uint8))
        if rle.area(mask) < min_area:
            continue
        items.append(
            {
                "id": offset + len(items) + 1,
                "image_id": image_id,
                "category_id": 1,
                "score": float(score),
                "segmentation": mask,
                "area": float(rle.area(mask)),
                "bbox": rle.toBbox(mask).tolist(),
                "iscrowd": 0,
            }
        )
    return items
