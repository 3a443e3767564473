"""Seconds per accepted image of the annotated set: image, instance ids and table row, written to disk."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import duration, row
from drgan_lib.config import Experiment, load_experiment
from drgan_lib.gan.networks import Generator
from drgan_lib.scene import make_renderer
from drgan_lib.store import Store
from drgan_lib.synthesis import synthesize, write_summary

TARGET_S = 0.5


def benchmark(n_images: int = 12) -> dict[str, dict]:
    """Wall time of `synthesize` over `n_images` images of an untrained generator, after a set of one image.

    Everything counts: attempts that were rejected, the table, the COCO file.
    """
    with TemporaryDirectory() as folder:
        warm_up, measured = (
            load_experiment("tio2_sem", "laptop", {"synthesis.n_images": n}, seed=seed, runs=Path(folder))
            for seed, n in enumerate((1, n_images))
        )
        generator = Generator(measured.material, measured.profile.gan)
        renderer, store = make_renderer(measured, stage="synthesis"), Store(folder)

        def make(exp: Experiment) -> None:
            samples = synthesize(exp, generator, renderer, store, log=lambda line: None)
            write_summary(samples, Path(folder), exp)

        make(warm_up)
        taken = duration(lambda: make(measured))
    return {"synthesis_per_accepted_image": row(taken / n_images, "s", at_most=TARGET_S)}
