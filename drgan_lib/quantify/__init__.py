"""Quantification: sizes of the particles in a label image, with their uncertainty."""

from drgan_lib.quantify.distribution import Counting, Distribution, Estimate, counted, distribution, summarise
from drgan_lib.quantify.feret import feret_diameters
from drgan_lib.quantify.figures import plot_distribution, plot_particles, plot_thickness
from drgan_lib.quantify.models import compare_models
from drgan_lib.quantify.particles import measure, pool
from drgan_lib.quantify.stage import SIZES, compare_sources, pixel_sizes_of_tests, quantify
from drgan_lib.quantify.tables import read_table, table_record, write_table
from drgan_lib.quantify.thickness import Thickness, local_thickness

__all__ = [
    "SIZES",
    "Counting",
    "Distribution",
    "Estimate",
    "Thickness",
    "compare_models",
    "compare_sources",
    "counted",
    "distribution",
    "feret_diameters",
    "local_thickness",
    "measure",
    "pixel_sizes_of_tests",
    "plot_distribution",
    "plot_particles",
    "plot_thickness",
    "pool",
    "quantify",
    "read_table",
    "summarise",
    "table_record",
    "write_table",
]
