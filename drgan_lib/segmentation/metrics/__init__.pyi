from .coco import coco_ap
from .counts import Counts, Detections
from .instance import Matching, match, remove_small
from .scoring import DEFINITIONS, count, definitions, pooled, score
