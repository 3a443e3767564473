"""What a network says about each pixel of an image, in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skimage.io import imread, imsave

from drgan_lib.classes import CONTOUR, LABELS, PARTICLE, SEAM, SEAM_LABELS
from drgan_lib.files import atomic_path

PARTS = ("classes", "particle", "border")
FULL_SCALE = 65535  # of a probability on disk


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


def of_probabilities(probabilities: np.ndarray) -> ClassMap:
    """The class map of a network's `probabilities` float [c, h, w] of 3 (`LABELS`) or 5 classes (`SEAM_LABELS`).

    A class and that class at a seam count together. Raises `ValueError` for another number of classes.
    """
    if len(probabilities) not in (len(LABELS), len(SEAM_LABELS)):
        raise ValueError(f"expected probabilities of 3 or 5 classes, got {len(probabilities)}")
    together, border = probabilities[: len(LABELS)], probabilities[CONTOUR]
    if len(probabilities) == len(SEAM_LABELS):
        together = together.copy()
        together[[PARTICLE, CONTOUR]] += probabilities[[PARTICLE + SEAM, CONTOUR + SEAM]]
        border = together[CONTOUR] + probabilities[PARTICLE + SEAM]
    classes = together.argmax(axis=0).astype(np.uint8)
    return ClassMap(classes, together[PARTICLE].astype(np.float32), border.astype(np.float32))


def read_class_map(folder: str | Path, name: str) -> ClassMap:
    """The prediction for the image `name` as `write_class_map` left it; `FileNotFoundError` names what is missing."""
    paths = _paths(folder, name)
    if missing := [f"{path.parent.name}/{path.name}" for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"expected a prediction of {name} in {folder}, found no {', '.join(missing)}")
    classes, *probabilities = (imread(path) for path in paths)
    return ClassMap(classes, *(probability.astype(np.float32) / FULL_SCALE for probability in probabilities))


def write_class_map(folder: str | Path, name: str, class_map: ClassMap) -> None:
    """Writes `classes/name.png` (uint8), `particle/name.png` and `border/name.png` (probability, uint16)."""
    arrays = (class_map.classes.astype(np.uint8), _to_uint16(class_map.particle), _to_uint16(class_map.border))
    for path, array in zip(_paths(folder, name), arrays, strict=True):
        with atomic_path(path) as temporary:
            imsave(temporary, array, check_contrast=False)


def predicted_names(folder: str | Path) -> set[str]:
    """Names of the images that `folder` holds a whole prediction of."""
    return set.intersection(*({path.stem for path in (Path(folder) / part).glob("*.png")} for part in PARTS))


def _paths(folder: str | Path, name: str) -> tuple[Path, Path, Path]:
    return tuple(Path(folder) / part / f"{name}.png" for part in PARTS)


def _to_uint16(probability: np.ndarray) -> np.ndarray:
    return np.round(np.clip(probability, 0, 1) * FULL_SCALE).astype(np.uint16)
