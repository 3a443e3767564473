"""How the particles of images lie, as far as they are found without annotations: for comparing renders with patches."""

from collections.abc import Sequence

import numpy as np

from drgan_lib.classes import ids_near
from drgan_lib.data.detect import detect_particles

NEAR_PX = 2  # between particles that count as neighbours
LEAST_FOUND = 4  # particles, for a spread of their brightness
DEFINITIONS = {
    "particles": "particles found per image, mean",
    "particles_std": "their standard deviation over the images",
    "coverage": "share of the pixels on them, mean",
    "coverage_std": "its standard deviation over the images",
    "neighbours": f"others within {NEAR_PX} px of a particle, mean",
    "d5": "equivalent diameter of the visible parts that no border cuts, 5th percentile, px",
    "d50": "the same, median",
    "d95": "the same, 95th percentile",
    "brightness_spread": "standard deviation of ln(mean gray level above the background) within an image, median",
}


def crowd(images: Sequence[np.ndarray]) -> dict[str, float]:
    """The numbers of `DEFINITIONS` for images, float [h, w] each; NaN where too little is found.

    Renders that are to pass for micrographs should give about the same as these: what the detection of chapter 01 gets
    wrong, it gets wrong in both.
    """
    counts, covered, neighbours, diameters, spreads = [], [], [], [], []
    for image, found in zip(images, detect_particles(images), strict=True):
        n, (height, width) = len(found.areas_px), image.shape
        counts.append(n)
        covered.append((found.labels > 0).mean())
        if n == 0:
            continue
        neighbours.append(2 * len(_pairs(found.labels)) / n)
        top, left, bottom, right = found.boxes.T
        whole = (top > 0) & (left > 0) & (bottom < height) & (right < width)
        diameters.append(2 * np.sqrt(found.areas_px[whole] / np.pi))
        means = np.bincount(found.labels.ravel(), image.ravel())[1:] / found.areas_px
        above = means - np.median(image[found.labels == 0])
        if (above > 0).sum() >= LEAST_FOUND:
            spreads.append(np.log(above[above > 0]).std())
    sizes = np.concatenate(diameters) if diameters else np.array([])
    quantiles = np.quantile(sizes, [0.05, 0.5, 0.95]) if len(sizes) else np.full(3, np.nan)
    values = [np.mean(counts), np.std(counts), np.mean(covered), np.std(covered)]
    values += [np.mean(neighbours) if neighbours else np.nan, *quantiles, np.median(spreads) if spreads else np.nan]
    return dict(zip(DEFINITIONS, map(float, values), strict=True))


def _pairs(labels: np.ndarray) -> set[tuple[int, int]]:
    """Pairs (smaller, larger) of instances that are at most `NEAR_PX` apart."""
    lowest, highest = ids_near(labels, NEAR_PX)
    meet = lowest < highest
    return set(zip(lowest[meet].tolist(), highest[meet].tolist(), strict=True))
