"""Quantification: sizes of the particles in a label image, with their uncertainty; a user's own images measured::

    instances --measure_particles, pool--> table --distribution--> D10, D50, D90 with intervals
    images --measure_images, with a trained model--> instances and tables on disk

Sizes are in nm where the size of a pixel is known, else in px.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
