"""All figures of one image in one call, and the sentences that define them."""

from __future__ import annotations

import numpy as np

from drgan_lib.segmentation.metrics.boundary import TOLERANCE_PX, boundary_f1
from drgan_lib.segmentation.metrics.instance import aji, match, remove_small

_BOTH = "instances under the minimum area are removed from truth and prediction alike and count as background"
DEFINITIONS = {
    "dsc": "Dice similarity 2|T n P| / (|T| + |P|) of the particle pixels (class 1 against mask), all sizes",
    "iou": "Jaccard index |T n P| / |T u P| of the particle pixels, all sizes",
    "pq_semantic": "DSC / (2 - DSC), the figure that the paper prints as PQ; it is the IoU of the particle "
    "pixels and says nothing about instances",
    "pq": f"panoptic quality SQ x RQ over instances matched at IoU > 0.5 (Kirillov et al. 2019); {_BOTH}",
    "sq": f"segmentation quality: mean IoU of the matched instances, 0 if none match; {_BOTH}",
    "rq": f"recognition quality TP / (TP + FP/2 + FN/2) at IoU > 0.5; {_BOTH}",
    "ap50": f"TP / (TP + FP + FN) over instances matched at IoU > 0.5 (StarDist, Cellpose); {_BOTH}",
    "ap50_95": f"the same, mean over the IoU thresholds 0.5, 0.55, ... 0.95; {_BOTH}",
    "aji": f"aggregated Jaccard index (Kumar et al. 2017) over instances; {_BOTH}",
    "boundary_f1": f"F1 score of outline pixels that agree within {TOLERANCE_PX:g} px (Csurka et al. 2013); {_BOTH}",
    "count_error": f"|predicted - true| / true number of instances (the number itself, if none are true); {_BOTH}",
    "coco_ap50": "COCO average precision at IoU 0.5 over all images (pycocotools, any number of detections "
    f"per image), instances ranked by their mean softmax probability of class 1; {_BOTH}",
}


def score(true: np.ndarray, predicted: np.ndarray, *, min_area: int = 0) -> dict[str, float | int]:
    """Agreement of two instance label images, int [h, w] with 0 as background.

    Pixel figures (`dsc`, `iou`, `pq_semantic`) compare `> 0` and know no minimum area. Instance figures
    (all others) are taken after instances of fewer than `min_area` pixels have become background in both images.
    Instances that touch the border count like all others, on both sides. Two empty images agree: every quality is
    1 and the error 0; if one alone is empty, every quality is 0. Raises `ValueError` for differing shapes.
    """
    kept_true, kept_predicted = remove_small(true, min_area), remove_small(predicted, min_area)
    matching = match(kept_true, kept_predicted)
    overlap = int(((true > 0) & (predicted > 0)).sum())
    total = int((true > 0).sum()) + int((predicted > 0).sum())
    dsc = 2 * overlap / total if total else 1.0
    return {
        "dsc": dsc,
        "iou": overlap / (total - overlap) if total else 1.0,
        "pq_semantic": dsc / (2 - dsc),
        "pq": matching.pq,
        "sq": matching.sq,
        "rq": matching.rq,
        "ap50": matching.ap50,
        "ap50_95": matching.ap50_95,
        "aji": aji(kept_true, kept_predicted),
        "boundary_f1": boundary_f1(kept_true, kept_predicted),
        "count_error": abs(matching.count_predicted - matching.count_true) / max(matching.count_true, 1),
        "count_true": matching.count_true,
        "count_predicted": matching.count_predicted,
        "tp": matching.tp,
        "fp": matching.fp,
        "fn": matching.fn,
    }
