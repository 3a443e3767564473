"""What a top view shows, measured alike on micrographs and renders: sizes, coverage, counts, clusters, gray levels."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold

from drgan_lib.config import ELONGATED
from drgan_lib.data.edges import edge_weight
from drgan_lib.data.split import SURROUNDINGS, equivalent_diameters, split_particles
from drgan_lib.suggest.threads import find_threads

MIN_AREA_PX = 50  # as `Material.min_area_px`: anything smaller is no particle
# What decides the sizes, chosen on rendered twins, whose masks are exact.
GAP = 0.15  # a gap between particles is this share darker than the particles around it
NECK = 0.85  # two parts are two particles if the neck is less than this share of the narrower one's width
GAP_SMOOTHING = 0.08  # in typical diameters
HOLLOW = 0.25  # in a hole some pixel is at most this much of the way from background to bright particle
LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkaer (1996); its noise is 6 sigma
Z_84 = 0.8413  # a normal distribution has one standard deviation from its median to this quantile


class Window(NamedTuple):
    """A square of one image that counts are taken in, such as a training patch."""

    image: int
    row: int
    column: int
    size: int

    @property
    def crop(self) -> tuple[slice, slice]:
        return slice(self.row, self.row + self.size), slice(self.column, self.column + self.size)


class _ByImage:
    """Arrays of one length, of which `image` says which image each value is from."""

    def take(self, index: np.ndarray) -> Self:
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))

    def of(self, images: np.ndarray) -> Self:
        """The values of these images, of one after the other; an image may come more than once."""
        return self.take(np.concatenate([np.flatnonzero(self.image == i) for i in images]))


@dataclass(frozen=True)
class Sizes(_ByImage):
    """Diameters [n] in px of particles, or of pieces of rods and wires; no particle that the border cuts is among them.

    `weights` undo that large particles are cut more often (Miles and Lantuejoul); for pieces they are lengths.
    """

    diameters: np.ndarray
    weights: np.ndarray
    image: np.ndarray

    def quantile(self, share: float) -> float:
        """Weighted quantile of the diameters in px; nan if there are none."""
        if not len(self.diameters):
            return np.nan
        order = np.argsort(self.diameters)
        passed = np.cumsum(self.weights[order]) - self.weights[order] / 2
        return float(np.interp(share * self.weights.sum(), passed, self.diameters[order]))

    @property
    def median(self) -> float:
        return self.quantile(0.5)

    @property
    def spread(self) -> float:
        """Standard deviation of ln(diameter), from the quantiles, which a few merged particles do not move."""
        return float(np.log(self.quantile(Z_84) / self.quantile(1 - Z_84)) / 2)


@dataclass(frozen=True)
class Views(_ByImage):
    """One value per window [n]: `particles` seen, the `parts` that they form, `clusters` of parts less than a
    diameter apart, `coverage`, and the gray levels.
    """

    image: np.ndarray
    coverage: np.ndarray
    particles: np.ndarray
    parts: np.ndarray
    clusters: np.ndarray
    background: np.ndarray
    particle_level: np.ndarray
    noise: np.ndarray

    @property
    def looseness(self) -> float:
        """Of the neighbours within a cluster, the share that does not touch: 0 in agglomerates without any gap."""
        links = (self.particles - self.clusters).sum()
        return float(np.clip((self.parts - self.clusters).sum() / links, 0, 1)) if links > 0 else 0.0


@dataclass(frozen=True)
class Observation:
    """All that is measured; `labels` int32 [h, w] of each image are what was counted, `aspect` of rods and wires."""

    sizes: Sizes
    views: Views
    labels: list[np.ndarray]
    aspect: float | None = None


def observe(
    images: Sequence[np.ndarray], masks: Sequence[np.ndarray], windows: Sequence[Window], *, shape: str
) -> Observation:
    """Measures `images` (float [h, w], 1 is white) with foreground `masks` (bool [h, w]) in their `windows`."""
    if shape in ELONGATED:
        return _observe_threads(images, masks, windows)
    levels = [image - _background(image, mask) for image, mask in zip(images, masks, strict=True)]

    def dark(i: int, typical: float) -> np.ndarray:
        smooth = ndimage.gaussian_filter(levels[i], max(0.7, GAP_SMOOTHING * typical))
        share = ndimage.gaussian_filter(masks[i].astype(np.float32), SURROUNDINGS * typical)
        around = ndimage.gaussian_filter(smooth * masks[i], SURROUNDINGS * typical) / np.maximum(share, 1e-3)
        return smooth < (1 - GAP) * around

    labels, typical = split_particles(masks, dark, NECK)
    counts = [count(labels[w.image][w.crop]) for w in windows]
    return Observation(visible_sizes(labels), measure_views(images, masks, windows, counts, typical), labels)


def _background(image: np.ndarray, mask: np.ndarray) -> float:
    return 0.0 if mask.all() else float(np.median(image[~mask]))


def visible_sizes(labels: Sequence[np.ndarray]) -> Sizes:
    """Equivalent diameters of what is seen of the particles in `labels` (int [h, w] each)."""
    parts = []
    for index, one in enumerate(labels):
        for diameter, box in zip(equivalent_diameters(one), ndimage.find_objects(one), strict=True):
            if box is None or diameter**2 * np.pi / 4 < MIN_AREA_PX:
                continue
            rows, columns = box
            if weight := edge_weight((rows.start, columns.start, rows.stop, columns.stop), one.shape):
                parts.append((diameter, weight, index))
    diameters, weights, image = np.array(parts).reshape(-1, 3).T
    return Sizes(diameters, weights, image.astype(int))


def _observe_threads(
    images: Sequence[np.ndarray], masks: Sequence[np.ndarray], windows: Sequence[Window]
) -> Observation:
    solid = [_without_filled_loops(image, mask) for image, mask in zip(images, masks, strict=True)]
    found = [find_threads(mask) for mask in solid]
    diameters, lengths = (np.concatenate([getattr(f, name) for f in found]) for name in ("diameters", "lengths"))
    sizes = Sizes(diameters, lengths, np.repeat(np.arange(len(found)), [len(f.diameters) for f in found]))
    typical = sizes.median if len(diameters) else 0.0
    counts = []
    for w in windows:
        inside = found[w.image].ends - (w.row, w.column)
        n_ends = ((inside >= 0) & (inside < w.size)).all(axis=1).sum()
        counts.append(max(n_ends / 2, float(solid[w.image][w.crop].any())))
    ends = sum(len(f.ends) for f in found)
    aspect = float(2 * lengths.sum() / ends / typical) if ends and typical else None
    labels = [ndimage.label(mask)[0].astype(np.int32) for mask in solid]
    return Observation(sizes, measure_views(images, solid, windows, counts, typical), labels, aspect)


def _without_filled_loops(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mask without what is as dark as the background: the detection fills the meshes of a net of wires."""
    if not mask.any() or mask.all():
        return mask
    low, high = np.median(image[~mask]), np.percentile(image[mask], 90)
    darkness = -ndimage.gaussian_filter(image, 1.0)
    return mask & ~apply_hysteresis_threshold(darkness, -(low + high) / 2, -(low + HOLLOW * (high - low)))


def measure_views(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    windows: Sequence[Window],
    counts: Sequence[float],
    typical: float,
) -> Views:
    """Views of the `windows` with their `counts` of particles; clusters link over gaps below `typical` px."""
    rows = []
    for w, particles in zip(windows, counts, strict=True):
        mask, image = masks[w.image][w.crop], images[w.image][w.crop]
        near = ndimage.distance_transform_edt(~mask) <= typical / 2 if mask.any() else mask
        parts, clusters = count(ndimage.label(mask)[0]), ndimage.label(near)[1]
        rows.append((w.image, mask.mean(), particles, parts, clusters, *_levels(image, mask)))
    columns = np.array(rows, dtype=float).reshape(-1, 8).T
    return Views(columns[0].astype(int), *columns[1:])


def _levels(image: np.ndarray, mask: np.ndarray) -> tuple[float, float, float]:
    """Median gray of background and of particles (nan if there are none), and the noise of the background."""
    background = ~ndimage.binary_dilation(mask, iterations=3)
    if background.sum() < MIN_AREA_PX:
        background = image <= np.percentile(image, 5)
    ripple = np.abs(ndimage.convolve(image.astype(np.float32), LAPLACIAN))[background].mean()
    particle = float(np.median(image[mask])) if mask.any() else np.nan
    return float(np.median(image[background])), particle, float(np.sqrt(np.pi / 2) * ripple / 6)


def count(labels: np.ndarray) -> int:
    """Number of labels of at least `MIN_AREA_PX` pixels."""
    return int((np.bincount(labels.ravel())[1:] >= MIN_AREA_PX).sum())
