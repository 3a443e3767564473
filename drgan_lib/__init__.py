"""Learn the appearance of nanoparticles from unannotated micrographs, and train segmentation networks on it.

Here and in the sub-packages, the names in `__init__.pyi` are imported when they are first used: no import takes longer
than what is needed of it. The sub-packages are the stages of the method, and the chapters of the book: `data`, `scene`,
`gan`, `synthesis`, `segmentation`, `quantify`.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
