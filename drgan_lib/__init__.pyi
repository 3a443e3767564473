from .config import Experiment, load_experiment, materials
from .data import fetch, open_micrographs
from .errors import DrganError
from .gan import load_generator, train
from .metric import Metric
from .quantify import measure_images, measure_particles
from .runs.chapter import open_chapter
from .runs.pipeline import run
from .samples import Sample, SampleSet, open_samples, write_coco, write_png, write_samples
from .scene.simulate import Renderer, sample_layout
from .segmentation import Segmenter, load_model, score
from .store import Store
from .suggest import suggest_material
from .synthesis import synthesize
