"""Segmentation: segmenters that learn from samples, judged on real micrographs::

    samples --Segmenter.fit--> segmenter --segment--> instances --score--> metrics, summarise--> tables
                                         --class_map--> ClassMap --plain, border_core--> instances

No network and no setting sees a mask of a test micrograph: `segment` copies them, `evaluate` opens them, to judge.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
