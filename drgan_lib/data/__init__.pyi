from .bars import rows_above_bar
from .crowd import crowd
from .dataset import dataset_files, open_micrographs
from .detect import Detection, detect_particles, particles_look_dark
from .download import default_folder, fetch, find_mirror, read_registry, registries
from .patches import PatchSelection, select_patches
from .pixels import DataError
from .plots import outlined, plot_patches, plot_selection
from .read import GrayLevels, common_pixel_size, few_levels, read_mask, read_micrograph
from .rescale import rescaled
from .stage import check_split, load_patches, prepare
