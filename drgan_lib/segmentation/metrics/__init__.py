"""How well a segmentation agrees with the truth: pixels, instances, outlines, and COCO's average precision."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
