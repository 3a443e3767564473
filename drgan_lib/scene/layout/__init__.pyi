from .contact import CLEARANCE, separation
from .place import poisson_disk_seeds, sample_layout
from .record import Layout, LayoutError, read_layouts, write_layouts
from .room import coverage, in_image
from .sizes import SizeDistribution, read_diameters, size_distribution
