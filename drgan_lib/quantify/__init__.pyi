from .compare import compare_models, quantify
from .distributions import Counting, Distribution, counted, distribution
from .images import check_images, open_images, read_pixel_sizes
from .measure import MeasureError, measure_images
from .measurement import Measurement, read_table, write_table
from .overlay import draw_particles
from .particles import feret_diameters, measure_particles, pool
from .plots import plot_distribution, plot_thickness
from .thickness import Thickness, local_thickness
