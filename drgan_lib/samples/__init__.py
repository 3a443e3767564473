"""An image and all that is known of it (`Sample`), and many of them (`SampleSet`), in memory or on disk."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
