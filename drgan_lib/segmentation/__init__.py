"""Segmentation: networks trained on synthetic and on real images, judged on real micrographs::

    arms --write_training_set--> nnU-Net's raw dataset --nnunet.train--> network --predict--> ClassMap
    ClassMap --plain, border_core--> instances --score--> figures, summarise--> tables

No network and no setting sees a mask of a test micrograph: `load_predictions` and `evaluate` open them, to judge (and
`drgan_lib.data`, to see that they fit their images). Those of training micrographs are opened by the arm `real` alone.
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
    scores_of_images,
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
    "scores_of_images",
    "segment",
    "training_curves",
]
