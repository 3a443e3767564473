"""Learn the appearance of nanoparticles from unannotated micrographs, and train segmentation networks on it.

The names below are imported when they are first used, so that `import drgan_lib` takes no time. The sub-packages are
the stages of the method, and the chapters of the book: `data`, `scene`, `gan`, `synthesis`, `segmentation`, `quantify`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Where each public name is from.
_PUBLIC = {
    "DrganError": "errors",
    "Experiment": "config",
    "load_experiment": "config",
    "materials": "config",
    "Sample": "samples",
    "SampleSet": "samples",
    "open_samples": "samples",
    "write_samples": "samples",
    "write_png": "samples",
    "write_coco": "samples",
    "Metric": "metric",
    "Store": "store",
    "fetch": "data",
    "open_micrographs": "data",
    "Renderer": "scene.simulate",
    "sample_layout": "scene.simulate",
    "suggest": "suggest",
    "train": "gan",
    "load_generator": "gan",
    "synthesize": "synthesis",
    "Segmenter": "segmentation",
    "load_model": "segmentation",
    "score": "segmentation",
    "measure_particles": "quantify",
    "measure_images": "quantify",
    "run": "runs.pipeline",
    "open_chapter": "runs.chapter",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
