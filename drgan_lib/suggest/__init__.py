"""Settings proposed from unannotated micrographs::

    micrographs --observe--> Observation --propose--> Proposal --as_yaml--> a material's file

What an expert would otherwise guess, sizes, number, coverage, clusters and gray levels, is measured on the training
micrographs, and corrected by measuring renders of the proposed settings in the same way. The expert stays free to edit.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
