"""Learning the appearance: a regressor of scene parameters and a PatchGAN, trained through the renderer."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
