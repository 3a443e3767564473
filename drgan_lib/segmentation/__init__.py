"""Segmentation: segmenters that learn from samples, judged on real micrographs::

    samples --Segmenter.fit--> segmenter --segment--> instances --score--> metrics, summarise--> tables
                                         --class_map--> ClassMap --plain, border_core--> instances

No network and no setting sees a mask of a test micrograph: `segment` copies them, `evaluate` opens them, to judge.
"""

from drgan_lib.segmentation.class_map import ClassMap
from drgan_lib.segmentation.evaluation import (
    comparison,
    differences,
    evaluate,
    metrics_of_sets,
    published,
    scores_of_images,
)
from drgan_lib.segmentation.instances import BorderCore, border_core, plain
from drgan_lib.segmentation.metrics import coco_ap, match, pooled, score
from drgan_lib.segmentation.model import Model, list_models, load_model, load_predictions, read_models, training_curves
from drgan_lib.segmentation.nnunet import NnUNet
from drgan_lib.segmentation.plots import gallery, overlays, plot_table, plot_training
from drgan_lib.segmentation.segmenter import SegmentationError, Segmenter
from drgan_lib.segmentation.stage import segment
from drgan_lib.segmentation.summary import summarise
