from .evaluation import (
    comparison,
    differences,
    evaluate,
    kinds_of_error,
    metrics_of_sets,
    published,
    scores_of_images,
)
from .instances import BorderCore, ClassMap, border_core, plain
from .metrics import coco_ap, match, pooled, score
from .model import Model, list_models, load_model, load_predictions, read_models, training_curves
from .network import Network
from .nnunet import NnUNet
from .plots import gallery, overlays, plot_table, plot_training
from .segmenter import ClassSegmenter, SegmentationError, Segmenter
from .stage import segment
from .summary import Published, summarise
