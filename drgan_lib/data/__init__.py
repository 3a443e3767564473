"""Micrographs: fetched, read, split, and cut into the patches that the GAN learns from."""

from drgan_lib.data.dataset import dataset_files, open_micrographs
from drgan_lib.data.detect import detect_particles
from drgan_lib.data.download import default_folder, fetch, find_mirror, read_registry, registries
from drgan_lib.data.patches import PatchSelection, select_patches
from drgan_lib.data.pixels import DataError
from drgan_lib.data.plots import outlined, plot_patches, plot_selection
from drgan_lib.data.read import GrayLevels, common_pixel_size, read_mask, read_micrograph
from drgan_lib.data.stage import check_split, load_patches, prepare
