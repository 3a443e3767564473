"""Chapter 04: annotated images out of a trained generator, and what segmentation networks learn from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
