"""Drawn particles: exact class maps of discs, noisy micrographs, and toy parts of an arm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.draw import disk

from drgan_lib.classes import CONTOUR, PARTICLE, three_class
from drgan_lib.config import Experiment, SegmentationSettings, load_experiment
from drgan_lib.registry import SEGMENTERS, SOURCES, Entry, TrainedEntry
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.segmentation import NnUNet, nnunet
from drgan_lib.segmentation.classical import otsu_watershed
from drgan_lib.segmentation.instances import ClassMap
from drgan_lib.segmentation.network import Network
from drgan_lib.store import Store


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw(shape: tuple[int, int], discs: list[tuple[float, float, float]]) -> np.ndarray:
    """Instance labels int32 of discs (row, column, radius), which may be cut by the border."""
    labels = np.zeros(shape, np.int32)
    for k, (row, column, radius) in enumerate(discs, 1):
        labels[disk((row, column), radius, shape=shape)] = k
    return labels


def exact_map(labels: np.ndarray) -> ClassMap:
    """What a network without error says of `labels`."""
    classes = three_class(labels, 1)
    return ClassMap(classes, (classes == PARTICLE).astype(np.float32), (classes == CONTOUR).astype(np.float32))


def micrographs(n: int, size_px: int = 64, *, n_discs: int = 6, seed: int = 0, name: str = "sem") -> SampleSet:
    """Noisy images of discs that do not touch, with their instances."""
    rng, yy_xx = np.random.default_rng(seed), np.mgrid[:size_px, :size_px]

    def one(k: int) -> Sample:
        ids = np.zeros((size_px, size_px), np.int32)
        for label in range(1, n_discs + 1):
            centre, radius = rng.uniform(0, size_px, (2, 1, 1)), rng.uniform(5, 9)
            disc = ((yy_xx - centre) ** 2).sum(axis=0) < radius**2
            if not (ndimage.binary_dilation(disc, iterations=2) & (ids > 0)).any():
                ids[disc] = label
        gray = 60 + 120 * (ids > 0) + rng.normal(0, 10, ids.shape)
        return Sample(f"{name}{k}", (gray.clip(0, 255) / 255).astype(np.float32), 2.0, ids)

    return SampleSet.of(one(k) for k in range(n))


def some_discs(origin) -> SampleSet:
    """A toy source of samples."""
    return micrographs(60, n_discs=3, name="")


class Threshold:
    """A toy segmenter: the gray level half way between particles and background."""

    def fit(self, samples: SampleSet, *, seed: int, log=print) -> Threshold:
        inside = [sample.image[sample.instances > 0].mean() for sample in samples]
        outside = [sample.image[sample.instances == 0].mean() for sample in samples]
        self.level = (np.mean(inside) + np.mean(outside)) / 2
        return self

    def segment(self, image: np.ndarray) -> np.ndarray:
        return ndimage.label(ndimage.gaussian_filter(image, 1) > self.level)[0]


@pytest.fixture
def toys(monkeypatch) -> None:
    """A source `discs` and a segmenter `threshold`, which take a line each."""
    monkeypatch.setitem(SOURCES, "discs", Entry("tests.segmentation.conftest:some_discs", "drawn discs"))
    monkeypatch.setitem(SEGMENTERS, "threshold", TrainedEntry("tests.segmentation.conftest:Threshold", "a threshold"))


def surplus(true: np.ndarray, predicted: np.ndarray) -> float:
    """A toy metric: by how many instances too many were predicted."""
    return len(np.unique(predicted)) - len(np.unique(true))


@pytest.fixture
def experiment(toys):
    """Function that loads an experiment with small patches."""
    small = {"patches.size_px": 64, "scene.size_px": 64, "min_area_px": 20}
    small |= {"segmentation.features": 4, "segmentation.stages": 3}

    def load(arms: str = "discs", *, seed: int = 0, **overrides) -> Experiment:
        settings = {name.replace("__", "."): value for name, value in overrides.items()}
        return load_experiment("tio2_sem", "demo", small | {"segmentation.arms": arms} | settings, seed=seed)

    return load


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """What nnU-Net was asked for: it "trains" at once, and predicts by a threshold."""
    asked: list[str] = []

    def worker(request, variables, log_file, *, log):
        configuration, raw = request["configuration"], Path(variables["nnUNet_raw"])
        n = len(list(raw.glob("*/imagesTr/*")))
        fold = Path(request["results"], request["dataset"], "CompactTrainer__plans", "fold_all")
        before = [path.read_text() + " + " for path in fold.glob("checkpoint_latest.pth")]
        fold.mkdir(parents=True, exist_ok=True)
        (fold / "checkpoint_final.pth").write_text("".join(before) + f"{configuration['iterations']}")
        with log_file.open("a") as file:
            file.write(f"trained {configuration['iterations']}\n")
        asked.append(f"train {n} images, seed {configuration['seed']}")

    def class_map(self, image):
        asked.append("predict")
        return otsu_watershed(image)

    monkeypatch.setattr(nnunet, "run_worker", worker)
    monkeypatch.setattr(Network, "class_map", class_map)
    return asked


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> NnUNet:
    """A tiny network, trained in earnest on discs; it was cut off in the second of three epochs, and went on."""
    store = Store(tmp_path_factory.mktemp("store"))
    settings = SegmentationSettings(trainer="compact", iterations=110, batch_size=2, features=4, stages=3, seam_px=2)
    segmenter = NnUNet(settings, store, patch_px=32, min_area_px=20)
    with pytest.raises(KeyboardInterrupt):
        segmenter.fit(micrographs(48), seed=0, log=interrupt_at("epoch 2/3"))
    lines: list[str] = []
    segmenter.fit(micrographs(48), seed=0, log=lines.append)
    segmenter.lines = lines
    return segmenter


def interrupt_at(text: str):
    """A log that raises KeyboardInterrupt at a line that holds `text`."""

    def log(line: str) -> None:
        if text in line:
            raise KeyboardInterrupt

    return log
