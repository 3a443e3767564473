"""Segmentation: nnU-Net trained on synthetic images, judged on real micrographs."""

from drgan_lib.segmentation.checks import SegmentationError
from drgan_lib.segmentation.evaluate import Prediction, evaluate, load_predictions, overlays
from drgan_lib.segmentation.instances import plain
from drgan_lib.segmentation.metrics import coco_ap50, match, score
from drgan_lib.segmentation.nnunet import segment

__all__ = [
    "Prediction",
    "SegmentationError",
    "coco_ap50",
    "evaluate",
    "load_predictions",
    "match",
    "overlays",
    "plain",
    "score",
    "segment",
]
