"""Learn the appearance of nanoparticles from unannotated micrographs, and train segmentation networks on it.

The sub-packages are the stages of the method, and the chapters of the book: `data`, `scene`, `gan`, `synthesis`,
`segmentation`. They are driven by one object, `drgan_lib.config.Experiment`.
"""

__version__ = "0.1.0"
