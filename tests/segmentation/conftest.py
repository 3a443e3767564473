"""Fabricated disks on a noisy background: what the earlier stages leave, and micrographs with masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.io import imsave

from drgan_lib.config import Experiment, load_experiment
from drgan_lib.files import write_json
from drgan_lib.samples import Sample, write_samples, write_shard


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def disks(size_px: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 and instances int [size_px, size_px] of `n` disks that do not touch."""
    instances, yy, xx = np.zeros((size_px, size_px), int), *np.mgrid[:size_px, :size_px]
    for label in range(1, n + 1):
        y, x, radius = *rng.uniform(0, size_px, 2), rng.uniform(5, 9)
        disk = (yy - y) ** 2 + (xx - x) ** 2 < radius**2
        if not (ndimage.binary_dilation(disk, iterations=2) & (instances > 0)).any():
            instances[disk] = label
    image = 60 + 120 * (instances > 0) + rng.normal(0, 10, instances.shape)
    return image.clip(0, 255).astype(np.uint8), instances


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `fabricate` puts the test micrographs and their masks."""
    return tmp_path / "dataset"


@pytest.fixture
def fabricate(tmp_path: Path, folder: Path) -> Callable[..., Experiment]:
    """Function that writes what the data and synthesis stages leave, and returns the experiment."""

    def make(*, n_train: int = 4, with_masks: bool = True, seed: int = 0, **overrides: object) -> Experiment:
        settings = {
            "patches.size_px": 64,
            "scene.size_px": 64,
            "min_area_px": 20,
            "dataset.sample_rows": 72,
            "segmentation.features": 4,
            "segmentation.stages": 3,
            "segmentation.batch_size": 2,
            **{key.replace("__", "."): value for key, value in overrides.items()},
        }
        exp = load_experiment("tio2_sem", "demo", settings, seed=seed, runs=tmp_path / "runs")
        rng, rows = np.random.default_rng(0), ["path\tkind\tsplit"]
        for part in ("images", "masks"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for name in ("learned", "sem0", "sem1"):
            image, instances = disks(80, 8, rng)
            imsave(folder / "images" / f"{name}.png", image, check_contrast=False)
            mask = ((instances > 0) * 255).astype(np.uint8)
            imsave(folder / "masks" / f"{name}.png", mask, check_contrast=False)
            split = "train" if name == "learned" else "test"
            rows += [f"images/{name}.png\timage\t{split}"] + [f"masks/{name}.png\tmask\t{split}"] * with_masks
        (folder / "registry.tsv").write_text("\n".join(rows) + "\n")
        record = {"train": [{"image": "images/learned.png"}], "gray_levels": {"kind": "8-bit", "full_scale": 255.0}}
        write_json(exp.stage_dir("data") / "dataset.json", record)
        for kind, level, n in (("train", 0, 1), ("background", 60, 2)):
            patches = [Sample(f"{k:03d}", np.full((64, 64), level / 255)) for k in range(n)]
            write_samples(exp.stage_dir("data") / kind, patches)
        made = []
        for number in range(n_train):
            image, instances = disks(64, 6, rng)
            made.append(Sample(f"{number:05d}", image / np.float32(255), instances=instances))
        write_shard(exp.stage_dir("synthetic") / "samples", 0, made)
        write_json(exp.stage_dir("synthetic") / "acceptance.json", {"accepted": n_train})
        return exp

    return make
