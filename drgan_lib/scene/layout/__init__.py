"""Which particles lie where: their number, sizes, orientations and places, without overlap."""

from drgan_lib.scene.layout.contact import CLEARANCE, separation
from drgan_lib.scene.layout.place import poisson_disk_seeds, sample_layout
from drgan_lib.scene.layout.record import Layout, LayoutError, read_layouts, write_layouts
from drgan_lib.scene.layout.room import coverage
from drgan_lib.scene.layout.sizes import SizeDistribution, size_distribution
from drgan_lib.scene.layout.table import read_diameters
