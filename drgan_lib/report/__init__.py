"""The report: what was found, on one page that opens in any browser and needs nothing beside itself."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
