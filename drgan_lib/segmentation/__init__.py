"""Segmentation: networks trained on synthetic and on real images, judged on real micrographs::

    arms --write_training_set--> nnU-Net's raw dataset --nnunet.train--> network --predict--> ClassMap
    ClassMap --plain, border_core--> instances --score--> figures, summarise--> tables

Masks of test micrographs are opened by `evaluate` alone, those of training micrographs by the arm `real` alone.
"""

from drgan_lib.segmentation.checks import SegmentationError
from drgan_lib.segmentation.curves import training_curves
from drgan_lib.segmentation.evaluate import (
    Prediction,
    comparison,
    differences,
    evaluate,
    figures_of_sets,
    load_predictions,
)
from drgan_lib.segmentation.instances import BorderCore, border_core, plain
from drgan_lib.segmentation.metrics import coco_ap, match, pooled, score
from drgan_lib.segmentation.model import Model, load_model, predict
from drgan_lib.segmentation.predictions import ClassMap, read_class_map
from drgan_lib.segmentation.segment import model_folders, segment

__all__ = [
    "BorderCore",
    "ClassMap",
    "Model",
    "Prediction",
    "SegmentationError",
    "border_core",
    "coco_ap",
    "comparison",
    "differences",
    "evaluate",
    "figures_of_sets",
    "load_model",
    "load_predictions",
    "match",
    "model_folders",
    "plain",
    "pooled",
    "predict",
    "read_class_map",
    "score",
    "segment",
    "training_curves",
]
