"""Quantification: sizes of the particles in a label image, with their uncertainty; a user's own images measured::

instances --measure_particles, pool--> table --distribution--> D10, D50, D90 with intervals
images --measure_images, with a trained model--> instances and tables on disk
"""

from drgan_lib.quantify.compare import compare_models, quantify
from drgan_lib.quantify.distributions import Counting, Distribution, counted, distribution
from drgan_lib.quantify.images import open_images
from drgan_lib.quantify.measure import MeasureError, measure_images
from drgan_lib.quantify.measurement import Measurement, read_table, write_table
from drgan_lib.quantify.particles import feret_diameters, measure_particles, pool
from drgan_lib.quantify.plots import plot_distribution, plot_particles, plot_thickness
from drgan_lib.quantify.thickness import Thickness, local_thickness
