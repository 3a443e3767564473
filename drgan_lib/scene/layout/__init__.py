"""Which particles lie where: their number, sizes, orientations and places, without overlap unless they are sintered."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
