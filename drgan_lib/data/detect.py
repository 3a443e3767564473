"""Particles in a micrograph, found without annotations: bright on a darker background that may vary slowly.

Good enough to choose patches by; it is no segmentation, which is what the rest of the library is for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold, threshold_multiotsu, threshold_otsu
from skimage.segmentation import relabel_sequential

from drgan_lib.data.overlays import Box, covered
from drgan_lib.data.split import LEAST_AREA_PX, SURROUNDINGS, split_particles

SMOOTHING_PX = 1.5
NOISE_FLOOR = 6.0  # a particle is this many standard deviations of the smoothed background above it
LEAST_NOISE = 1e-3  # of that deviation: a quarter of a gray level of 255
SUSPECT_AREA_PX = 25
# What finds most particles on half of the training micrographs of TiO2, and on renders of 14 to 60 px.
GAP = 0.25  # a gap between particles is darker than its surroundings by this share of the threshold
NECK = 0.965  # two parts are two particles if the neck is less than this share of the narrower one's width
LEEWAY = 1.5  # between an image's own threshold and the one used for it
TWO_POPULATIONS = 0.7  # share of the variance between two classes above which they are; it is 0.64 for pure noise
MOST_RIM, LEAST_INSIDE = 0.25, 0.5  # of the border's pixels, and of all dark pixels


@dataclass(frozen=True)
class Detection:
    """Particles of one micrograph.

    `labels` int32 [h, w], 0 background; `boxes` int [n, 4] (top row, left column, bottom, right; ends
    excluded); `areas_px` int [n]; `suspect` bool [h, w]: particles and whatever is too faint or too small to
    count as one. Nothing is found where text is burnt in, and particles that it cuts are suspect, but not counted.
    """

    labels: np.ndarray
    boxes: np.ndarray
    areas_px: np.ndarray
    suspect: np.ndarray


def detect_particles(images: Sequence[np.ndarray], overlays: Sequence[Sequence[Box]] | None = None) -> list[Detection]:
    """Particles of the micrographs `images` (float32 [h, w] each), found by their contrast with the background.

    The threshold is Otsu's over all images together; an image in which particles and background are clearly two
    populations may ask for another one, within a factor of `LEEWAY` of its own. In no image is it below a floor set by
    the background's noise, so that an empty micrograph gives no particles. `overlays` are the rectangles of burnt-in
    text of each image, whose pixels are ignored. Particles that touch are told apart by `split_particles`.
    """
    boxes = overlays if overlays is not None else [()] * len(images)
    hidden = [covered(b, image.shape) for b, image in zip(boxes, images, strict=True)]
    flattened = [_flatten(image, h) for image, h in zip(images, hidden, strict=True)]
    samples = [f.contrast[::4, ::4][~h[::4, ::4]] for f, h in zip(flattened, hidden, strict=True)]
    even = [sample for sample, f in zip(samples, flattened, strict=True) if f.threshold is None]
    common = _otsu(np.concatenate(even)) if even else np.inf
    thresholds = [
        _threshold(sample, common) if f.threshold is None else f.threshold
        for f, sample in zip(flattened, samples, strict=True)
    ]
    found = [_foreground(f, t, h) for f, t, h in zip(flattened, thresholds, hidden, strict=True)]

    def dark(i: int, typical: float) -> np.ndarray:
        contrast = flattened[i].contrast
        return contrast < ndimage.gaussian_filter(contrast, SURROUNDINGS * typical) - GAP * thresholds[i]

    labels, _ = split_particles([mask for mask, _ in found], dark, NECK)
    return [_detection(one, suspect, h) for one, (_, suspect), h in zip(labels, found, hidden, strict=True)]


def particles_look_dark(image: np.ndarray) -> bool:
    """Whether `image` [h, w] seems to show dark particles on a bright ground, as in bright field.

    Then the darker of two gray classes is the smaller one, hardly touches the border, and most of it lies in parts that
    the border does not cut. (Of 32 training micrographs of TiO2, 31 seem so when they are inverted, and none as they
    are; of 21 of EMPS, with their crowds of particles, two do as they are.)
    """
    smooth = ndimage.gaussian_filter(image, SMOOTHING_PX)
    if np.ptp(smooth) == 0:
        return False
    dark = smooth <= threshold_otsu(smooth)
    parts, _ = ndimage.label(dark)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    inside = 1 - areas[np.unique(rim)].sum() / areas.sum()
    return bool(dark.mean() < 0.5 and (rim > 0).mean() < MOST_RIM and inside > LEAST_INSIDE)


def _otsu(values: np.ndarray) -> float:
    """Otsu's threshold; infinity if all values are the same."""
    return float(threshold_otsu(values)) if np.ptp(values) > 0 else np.inf


@dataclass(frozen=True)
class _Flattened:
    """Smoothed image minus its background, the background's deviation, and a threshold if it cannot be the common."""

    contrast: np.ndarray
    noise: float
    threshold: float | None = None


def _flatten(image: np.ndarray, hidden: np.ndarray) -> _Flattened:
    """Fits a quadratic surface to the background; `hidden` pixels have no part in it, and come out as 0."""
    if hidden.all():
        return _Flattened(np.zeros(image.shape, np.float32), 0.0, np.inf)
    smooth = _smooth(np.asarray(image, np.float32), hidden)
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in smooth.shape)
    y, x = np.meshgrid(y, x, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    step = max(1, min(smooth.shape) // 48)  # a few thousand pixels are enough for six coefficients
    shown = ~hidden[::step, ::step].ravel()
    sample, design = smooth[::step, ::step].ravel()[shown].astype(float), terms[::step, ::step].reshape(-1, 6)[shown]
    background = sample <= _otsu(sample)
    first = background.mean()
    for _ in range(5):
        surface = np.linalg.lstsq(design[background], sample[background], rcond=None)[0]
        residual = sample - design @ surface
        noise = 1.4826 * np.median(np.abs(residual[background] - np.median(residual[background])))
        kept = np.abs(residual) <= 3 * max(noise, 1e-4)
        if kept.sum() < 12:
            break
        background = kept
    # Was the surface drawn up to the particles, or even through them?
    through = residual.std() > NOISE_FLOOR * LEAST_NOISE and _are_two(residual, _otsu(residual))
    if first < background.mean() and (background.mean() < 0.97 or through) and (crowded := _crowded(smooth, hidden)):
        return crowded
    return _Flattened(np.where(hidden, 0, smooth - terms @ surface.astype(np.float32)), max(float(noise), LEAST_NOISE))


def _crowded(smooth: np.ndarray, hidden: np.ndarray) -> _Flattened | None:
    """An image with so little background that no surface fits it: the lowest of three gray classes is background then.
    None if the classes are not apart.
    """
    shown = smooth[::2, ::2][~hidden[::2, ::2]]
    low, high = threshold_multiotsu(shown, 3)
    stage, next_class = shown[shown < low].mean(), shown[(shown >= low) & (shown < high)].mean()
    grain = (smooth - ndimage.gaussian_filter(smooth, 4 * SMOOTHING_PX))[~hidden]
    if next_class - stage < 3 * 1.4826 * np.median(np.abs(grain)):
        return None
    return _Flattened(np.where(hidden, 0, smooth - stage), 0.0, float(next_class - stage))


def _threshold(sample: np.ndarray, common: float) -> float:
    """The `common` threshold, held near the image's own if that tells two populations apart."""
    own = _otsu(sample)
    return float(np.clip(common, own / LEEWAY, own * LEEWAY)) if _are_two(sample, own) else common


def _are_two(values: np.ndarray, threshold: float) -> bool:
    """Whether Otsu's `threshold` parts the `values` in two populations."""
    bright = values > threshold
    if not bright.any():
        return False
    between = bright.mean() * (1 - bright.mean()) * (values[bright].mean() - values[~bright].mean()) ** 2
    return bool(between > TWO_POPULATIONS * values.var())


def _smooth(image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Gaussian mean over the pixels that are not hidden, so that the brightness of text stays in its rectangle."""
    if not hidden.any():
        return ndimage.gaussian_filter(image, SMOOTHING_PX)
    weight = ndimage.gaussian_filter((~hidden).astype(np.float32), SMOOTHING_PX)
    return ndimage.gaussian_filter(np.where(hidden, 0, image), SMOOTHING_PX) / np.maximum(weight, 1e-3)


def _foreground(flattened: _Flattened, threshold: float, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks [h, w] of the particles, and of these and whatever else stands out."""
    contrast, floor = flattened.contrast, NOISE_FLOOR * flattened.noise
    mask = apply_hysteresis_threshold(contrast, max(0.5 * threshold, floor), max(threshold, floor))
    mask = ndimage.binary_fill_holes(ndimage.binary_opening(mask)) & ~hidden
    mask = _without_specks(mask, LEAST_AREA_PX)
    return mask, mask | _without_specks(contrast > max(0.35 * threshold, floor), SUSPECT_AREA_PX)


def _without_specks(mask: np.ndarray, min_area_px: int) -> np.ndarray:
    components, _ = ndimage.label(mask)
    return mask & (np.bincount(components.ravel()) >= min_area_px)[components]


def _detection(labels: np.ndarray, suspect: np.ndarray, hidden: np.ndarray) -> Detection:
    cut = np.unique(labels[ndimage.binary_dilation(hidden)])
    labels = relabel_sequential(np.where(np.isin(labels, cut), 0, labels))[0].astype(np.int32)
    boxes = [(r.start, c.start, r.stop, c.stop) for r, c in ndimage.find_objects(labels)]
    areas = np.bincount(labels.ravel(), minlength=1)[1:]
    return Detection(labels, np.array(boxes, dtype=int).reshape(-1, 4), areas, suspect)
