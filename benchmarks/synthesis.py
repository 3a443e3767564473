"""Seconds per accepted image of the annotated set: image, instance ids, classes and table row, written to disk."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measure import duration, row
from drgan_lib.config import load_experiment
from drgan_lib.gan.networks import Generator
from drgan_lib.scene import make_renderer
from drgan_lib.synthesis import synthesize

TARGET_S = 0.5


def benchmark(n_images: int = 12) -> dict[str, dict]:
    """Wall time of `synthesize` over `n_images` images of an untrained generator, after a set of one image.

    Everything counts: attempts that were rejected, the COCO file, the nnU-Net dataset (here without backgrounds).
    """
    quiet = {"log": lambda line: None}
    with TemporaryDirectory() as folder:
        warm_up, measured = (
            load_experiment("tio2_sem", "laptop", {"synthesis.n_images": n}, runs=Path(folder) / name)
            for name, n in (("warm_up", 1), ("measured", n_images))
        )
        generator = Generator(measured.material, measured.profile.gan)
        renderer = make_renderer(measured, stage="synthesis")
        background = np.empty((0, *2 * [measured.material.scene.size_px]), np.float32)
        synthesize(warm_up, generator, renderer, renderer.meshes, background, **quiet)
        taken = duration(lambda: synthesize(measured, generator, renderer, renderer.meshes, background, **quiet))
    return {"synthesis_per_accepted_image": row(taken / n_images, "s", at_most=TARGET_S)}
