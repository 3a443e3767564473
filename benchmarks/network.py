"""An iteration of the `laptop` network, as the worker trains it, alone and beside one or two busy processes."""

from __future__ import annotations

import tempfile

import numpy as np

from benchmarks.measure import beside_busy
from drgan_lib.config import load_experiment
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.segmentation import NnUNet
from drgan_lib.segmentation.trainers import COMPACT_EPOCH
from drgan_lib.store import Store

BESIDE_TARGET = 2  # times as long beside a busy process


def benchmark(epochs: int = 4, **settings: int) -> dict[str, dict]:
    """Seconds per iteration, augmentation included: the median of the epochs after the first."""
    settings |= {"iterations": COMPACT_EPOCH * epochs}
    exp = load_experiment("tio2_sem", "laptop", {f"segmentation.{name}": value for name, value in settings.items()})
    samples = SampleSet.of(squares(k, size_px=exp.network_px) for k in range(20))

    def iteration(seed: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            network = NnUNet(exp.profile.segmentation, Store(folder), patch_px=exp.network_px)
            network.fit(samples, seed=seed, log=lambda line: None)
            return network.training()["seconds"].iloc[1:].median() / COMPACT_EPOCH

    return beside_busy("network_iteration", iteration, at_most=BESIDE_TARGET)


def squares(seed: int, *, size_px: int) -> Sample:
    """A noisy image of squares: what it shows makes no difference to the time."""
    ids = np.zeros((size_px, size_px), np.int32)
    for k, start in enumerate(range(8, size_px - 16, 24), start=1):
        ids[start : start + 16, start : start + 16] = k
    noise = np.random.default_rng(seed).normal(0.3, 0.05, ids.shape)
    return Sample(f"{seed:02d}", np.clip(noise + 0.4 * (ids > 0), 0, 1).astype(np.float32), instances=ids)
