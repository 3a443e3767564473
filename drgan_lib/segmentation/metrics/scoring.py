"""All metrics of an image or of a set in one call, and the sentences that define them."""

from collections.abc import Sequence

import numpy as np

from drgan_lib.registry import METRICS
from drgan_lib.segmentation.metrics.counts import TOLERANCE_PX, Counts, count_near, count_outlines
from drgan_lib.segmentation.metrics.errors import KINDS, count_kinds
from drgan_lib.segmentation.metrics.instance import count_jaccard, match, overlaps, remove_small

_BOTH = (
    "instances under the minimum area are removed from truth and prediction alike and count as background; "
    "instances that touch the border of the image count like all others, on both sides"
)
_RANKED = (
    "over all images (pycocotools, any number of detections per image), instances ranked by their mean "
    f"softmax probability of class 1 (a method without probabilities: in the order of the images); {_BOTH}"
)
DEFINITIONS = {
    "dsc": "Dice similarity 2|T n P| / (|T| + |P|) of the particle pixels (class 1 against mask), all sizes",
    "dsc_1px": "Dice similarity in which a particle pixel counts as common if the other side has one there or next to "
    "it (four neighbours): outlines may lie one pixel apart, all sizes",
    "iou": "Jaccard index |T n P| / |T u P| of the particle pixels, all sizes",
    "pq_semantic": "DSC / (2 - DSC), what the paper prints as PQ; it is the IoU of the particle "
    "pixels and says nothing about instances",
    "pq": f"panoptic quality SQ x RQ over instances matched at IoU > 0.5 (Kirillov et al. 2019); {_BOTH}",
    "sq": f"segmentation quality: mean IoU of the matched instances, 0 if none match; {_BOTH}",
    "rq": f"recognition quality TP / (TP + FP/2 + FN/2) at IoU > 0.5; {_BOTH}",
    "ap50": f"TP / (TP + FP + FN) over instances matched at IoU > 0.5 (StarDist, Cellpose); {_BOTH}",
    "ap50_95": f"the same, mean over the IoU thresholds 0.5, 0.55, ... 0.95; {_BOTH}",
    "aji": f"aggregated Jaccard index (Kumar et al. 2017) over instances; {_BOTH}",
    "boundary_f1": f"F1 score of outline pixels that agree within {TOLERANCE_PX:g} px (Csurka et al. 2013); {_BOTH}",
    **{name: f"{words}; {_BOTH}" for name, words in KINDS.items()},
    "count_error": f"|predicted - true| / true number of instances (the number itself, if none are true); {_BOTH}",
    "coco_ap50": f"COCO average precision at IoU 0.5 {_RANKED}",
    "coco_ap50_95": f"COCO average precision, mean over the IoU thresholds 0.5, 0.55, ... 0.95, {_RANKED}",
}


def score(true: np.ndarray, predicted: np.ndarray, *, min_area: int = 0) -> dict[str, float | int]:
    """Agreement of two instance label images, int [h, w] with 0 as background.

    Pixel metrics (`dsc`, `dsc_1px`, `iou`, `pq_semantic`) compare `> 0` and know no minimum area. Instance metrics (all
    others) are taken after instances of fewer than `min_area` pixels have become background in both images. Instances
    that touch the border count like all others, on both sides. `found`, `merged`, `split`, `missed` and `imprecise` are
    shares of the true instances: they sum to 1, and without one all are `found`. Two empty images agree: every quality
    is 1 and the error 0; if one alone is empty, every quality is 0 (but `boundary_f1` is 1 where the other side has no
    outline either: a single particle that fills the image). Metrics of `drgan_lib.registry` follow. Raises `ValueError`
    for differing shapes.
    """
    further = {}
    if METRICS:
        kept = remove_small(true, min_area), remove_small(predicted, min_area)
        further = {name: float(entry.load()(*kept)) for name, entry in METRICS.items()}
    return count(true, predicted, min_area=min_area).metrics() | further


def definitions() -> dict[str, str]:
    """What each metric is, those of the registry included, in words."""
    return DEFINITIONS | {name: f"{entry.words}; {_BOTH}" for name, entry in METRICS.items()}


def pooled(true: Sequence[np.ndarray], predicted: Sequence[np.ndarray], *, min_area: int = 0) -> dict[str, float | int]:
    """The metrics of `score` over a set of image pairs: every count is summed over the images first.

    So a pixel or an instance weighs the same whichever image holds it, as if the images were one large micrograph,
    while the mean of `score` weighs every image the same. Raises `ValueError` without images and for lists of
    different lengths.
    """
    return total(true, predicted, min_area=min_area).metrics()


def total(true: Sequence[np.ndarray], predicted: Sequence[np.ndarray], *, min_area: int = 0) -> Counts:
    """The counts of all image pairs together; `ValueError` as in `pooled`."""
    if not len(true) or len(true) != len(predicted):
        raise ValueError(f"expected as many predictions as true images, at least 1, got {len(predicted)}, {len(true)}")
    first, *rest = (count(t, p, min_area=min_area) for t, p in zip(true, predicted, strict=True))
    return sum(rest, start=first)


def count(true: np.ndarray, predicted: np.ndarray, *, min_area: int = 0) -> Counts:
    """What the metrics of `score` are made of; the counts of several images add with `+`."""
    kept = remove_small(true, min_area), remove_small(predicted, min_area)
    detections, inside, found = match(*kept).detections, true > 0, predicted > 0
    pixels = np.array([inside.sum(), found.sum(), (inside & found).sum()])
    kinds = count_kinds(overlaps(*kept))
    return Counts(pixels, detections, count_jaccard(*kept), count_outlines(*kept), count_near(inside, found), kinds)
