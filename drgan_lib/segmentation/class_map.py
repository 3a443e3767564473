"""What a network says about each pixel of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drgan_lib.classes import CONTOUR, LABELS, PARTICLE, SEAM, SEAM_LABELS

FULL_SCALE = 65535  # probabilities are rounded to 16 bits: finer differences would break ties by noise


@dataclass(frozen=True)
class ClassMap:
    """classes uint8 (0 background, 1 particle, 2 contour), particle and border float32 probabilities, all [h, w].

    `border` is the probability that a pixel is contour or, of networks that learned seams, near a place where two
    particles meet; there it overlaps with `particle`.
    """

    classes: np.ndarray
    particle: np.ndarray
    border: np.ndarray

    def __post_init__(self):
        shapes = [array.shape for array in (self.classes, self.particle, self.border)]
        if len(set(shapes)) > 1 or len(shapes[0]) != 2:
            raise ValueError(f"expected classes and two probabilities of one shape [h, w], got {shapes}")
        if self.classes.size and self.classes.max() > max(LABELS.values()):
            raise ValueError(f"expected the classes {LABELS}, got the class {self.classes.max()}")

    def __getitem__(self, window: tuple[slice, slice]) -> ClassMap:
        return ClassMap(self.classes[window], self.particle[window], self.border[window])


def of_probabilities(probabilities: np.ndarray) -> ClassMap:
    """The class map of a network's `probabilities`, float [c, h, w] of 3 (`LABELS`) or 5 classes (`SEAM_LABELS`).

    A class and that class at a seam count together. Raises `ValueError` for another number of classes.
    """
    if len(probabilities) not in (len(LABELS), len(SEAM_LABELS)):
        raise ValueError(f"expected probabilities of 3 or 5 classes, got {len(probabilities)}")
    together, border = probabilities[: len(LABELS)], probabilities[CONTOUR]
    if len(probabilities) == len(SEAM_LABELS):
        together = together.copy()
        together[[PARTICLE, CONTOUR]] += probabilities[[PARTICLE + SEAM, CONTOUR + SEAM]]
        border = together[CONTOUR] + probabilities[PARTICLE + SEAM]
    return ClassMap(together.argmax(axis=0).astype(np.uint8), _rounded(together[PARTICLE]), _rounded(border))


def _rounded(probability: np.ndarray) -> np.ndarray:
    return np.round(probability.astype(np.float32).clip(0, 1) * FULL_SCALE) / np.float32(FULL_SCALE)
