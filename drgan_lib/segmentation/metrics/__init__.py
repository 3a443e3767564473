"""How well a segmentation agrees with the truth: pixels, instances, outlines, and COCO's average precision."""

from drgan_lib.segmentation.metrics.coco import coco_ap
from drgan_lib.segmentation.metrics.counts import Counts, Detections
from drgan_lib.segmentation.metrics.instance import Matching, match, remove_small
from drgan_lib.segmentation.metrics.scoring import DEFINITIONS, count, definitions, pooled, score
