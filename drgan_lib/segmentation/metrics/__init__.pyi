from .coco import coco_ap
from .counts import Counts, Detections
from .errors import KINDS, table_of_kinds
from .instance import Matching, match, remove_small
from .scoring import DEFINITIONS, count, definitions, pooled, score, total
