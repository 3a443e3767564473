"""What segments images: one call from an image to instances, and the rules by which classes become particles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from scipy.ndimage import find_objects

from drgan_lib.config import Experiment
from drgan_lib.data.rescale import resize, resize_labels, scaled_shape
from drgan_lib.errors import DrganError
from drgan_lib.registry import SEGMENTERS
from drgan_lib.samples import SampleSet
from drgan_lib.segmentation.instances import ClassMap
from drgan_lib.store import Store

Rule = Callable[[ClassMap], np.ndarray]


class SegmentationError(DrganError, RuntimeError):
    """A training set that cannot be learned from, a training that failed, or results that are not there."""


class Segmenter(Protocol):
    """Something that learns from samples, or needs not, and finds the particles of an image.

    That is all that an arm needs. A segmenter that has settings to take from an experiment, or keeps what it learned,
    has a class method `of_experiment(exp, store)`; one with `identity`, a text that names all that its results depend
    on, is not asked again for predictions that it made. Those that give classes first are a `ClassSegmenter`.
    """

    def fit(self, samples: SampleSet, *, seed: int, log: Callable[[str], None] = print) -> Segmenter:
        """Learns from the instances of `samples`; returns itself."""

    def segment(self, image: np.ndarray) -> np.ndarray:
        """Instances int32 [h, w], 0 for background, of `image`, float32 [h, w] in [0, 1]."""


class ClassSegmenter(ABC):
    """A segmenter with a second layer: `class_map(image)`, and `rules` that make instances of it, the best one last."""

    rules: Mapping[str, Rule]

    @abstractmethod
    def class_map(self, image: np.ndarray) -> ClassMap:
        """Classes and probabilities of each pixel of `image`, float32 [h, w] in [0, 1]."""

    def segment(self, image: np.ndarray) -> np.ndarray:
        """Instances int32 [h, w], 0 for background, of `image`, float32 [h, w] in [0, 1]."""
        *_, rule = self.rules.values()
        return rule(self.class_map(image))


def make_segmenter(name: str, exp: Experiment, store: Store) -> Segmenter:
    """A new segmenter of this name in `drgan_lib.registry.SEGMENTERS`, with the settings of the experiment."""
    made = SEGMENTERS[name].load()
    return made.of_experiment(exp, store) if hasattr(made, "of_experiment") else made()


def segment_at(segmenter: Segmenter, image: np.ndarray, scale: float) -> np.ndarray:
    """Instances int32 [h, w] of `image`, found in it with `scale` pixels for one."""
    return resize_labels(segmenter.segment(resize(image, scaled_shape(image.shape, scale))), image.shape)


def segment_by_rules(
    segmenter: Segmenter, image: np.ndarray, unjudged: np.ndarray, scale: float = 1.0
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """By rule: instances int32 [h, w], and their mean probability of class 1, float32 [n] in the order of rising ids.

    They are found in `image` with `scale` pixels for one. Where nothing can be judged, `unjudged` bool [h, w], there
    are none, nor those more than half of which lies there. A segmenter without classes has one rule, `plain`, and no
    such confidence.
    """
    if not isinstance(segmenter, ClassSegmenter):
        return {"plain": (_judged(segment_at(segmenter, image, scale), unjudged), None)}
    found = segmenter.class_map(resize(image, scaled_shape(image.shape, scale)))
    particle = resize(found.particle, image.shape)
    by_rule = {name: resize_labels(rule(found), image.shape) for name, rule in segmenter.rules.items()}
    by_rule = {name: _judged(labels, unjudged) for name, labels in by_rule.items()}
    return {name: (labels, _confidence(labels, particle)) for name, labels in by_rule.items()}


def _judged(labels: np.ndarray, unjudged: np.ndarray) -> np.ndarray:
    n = int(labels.max(initial=0)) + 1
    inside, whole = np.bincount(labels[unjudged], minlength=n), np.bincount(labels.ravel(), minlength=n)
    return np.where(unjudged | (2 * inside > whole)[labels], 0, labels)


def _confidence(labels: np.ndarray, probability: np.ndarray) -> np.ndarray:
    boxes = ((label, box) for label, box in enumerate(find_objects(labels), 1) if box is not None)
    return np.array([probability[box][labels[box] == label].mean() for label, box in boxes], np.float32)
