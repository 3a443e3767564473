"""Micrographs: fetched, read, split, and cut into the patches that the GAN learns from."""

from drgan_lib.data.dataset import Dataset, Source, open_dataset, take_subset, training_micrographs
from drgan_lib.data.detect import Detection, detect_particles
from drgan_lib.data.fetch import default_folder, fetch, find_mirror, read_registry, registries
from drgan_lib.data.held_out import held_out_sources, read_held_out
from drgan_lib.data.patches import PatchSelection, select_patches
from drgan_lib.data.pixels import DataError
from drgan_lib.data.prepare import Patches, load_patches, prepare
from drgan_lib.data.read import GrayLevels, Micrograph, read_mask, read_micrograph, read_micrographs

__all__ = [
    "DataError",
    "Dataset",
    "Detection",
    "GrayLevels",
    "Micrograph",
    "PatchSelection",
    "Patches",
    "Source",
    "default_folder",
    "detect_particles",
    "fetch",
    "find_mirror",
    "held_out_sources",
    "load_patches",
    "open_dataset",
    "prepare",
    "read_held_out",
    "read_mask",
    "read_micrograph",
    "read_micrographs",
    "read_registry",
    "registries",
    "select_patches",
    "take_subset",
    "training_micrographs",
]
