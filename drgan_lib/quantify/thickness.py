"""Local thickness of wires: at each pixel, the diameter of the largest inscribed disc that contains it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from drgan_lib.segmentation.tiles import apply_windows

SMOOTHING_PX = 0.7
RIDGE_SLOPE, REACH = 0.985, 3
CHUNK = 1_000_000
THICKEST_PX = 512


@dataclass(frozen=True)
class Thickness:
    """Local thickness of an image in px, float32 [h, w], 0 outside of the particles, and its pixel size if known."""

    diameter_px: np.ndarray
    pixel_size_nm: float | None = None

    @property
    def unit(self) -> str:
        return "px" if self.pixel_size_nm is None else "nm"

    @cached_property
    def values(self) -> np.ndarray:
        """The thickness of each particle pixel, float [n], in `unit`."""
        return self.diameter_px[self.diameter_px > 0].astype(float) * (self.pixel_size_nm or 1.0)

    @property
    def median(self) -> float:
        """Median over the pixels, in `unit`: thick parts weigh more than thin ones of the same length; NaN if empty."""
        return float(np.median(self.values)) if self.values.size else np.nan

    def histogram(self, bins: int | np.ndarray = 30) -> tuple[np.ndarray, np.ndarray]:
        """Share of the pixels in each bin, float [n], and the edges of the bins [n + 1] in `unit`."""
        counts, edges = np.histogram(self.values, bins)
        return counts / max(1, self.values.size), edges


def local_thickness(mask: np.ndarray, pixel_size_nm: float | None = None) -> Thickness:
    """Local thickness (Hildebrand and Rueegsegger 1997) of the foreground of `mask`, [h, w]: bool, or labels, not 0.

    The discs lie inside of the mask's outline, smoothed over 0.7 px and taken at half a pixel, so that the thickness of
    a band depends little on how it lies on the grid: upright bands of a whole number of pixels have exactly that
    thickness, turned ones within 0.3 px; discs come out about 0.7 px too small. (The package localthickness 0.1.3 gives
    up to 1 px more.) Labels are not kept apart: where wires cross, they are as thick as the crossing. Beyond the border
    of the image the wires are taken to go on. Large images are measured in tiles that overlap, for parts of up to
    512 px. Raises `ValueError` for a mask, or a tile of it, without background, where no disc has an end.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"expected a mask of shape [h, w], got {mask.shape}")
    if not (mask.dtype == bool or np.issubdtype(mask.dtype, np.integer)):
        raise TypeError(f"expected a mask of bools or labels, got {mask.dtype}; threshold it first")
    if pixel_size_nm is not None and not (np.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise ValueError(f"expected a pixel size above 0 nm, got {pixel_size_nm}; leave it out if it is not known")
    return Thickness(apply_windows(mask != 0, _diameters, overlap_px=2 * THICKEST_PX), pixel_size_nm)


def try_local_thickness(
    mask: np.ndarray, pixel_size_nm: float | None, *, name: str, log: Callable[[str], None]
) -> Thickness | None:
    """`local_thickness`, or None for what has none, of which `log` hears."""
    try:
        return local_thickness(mask, pixel_size_nm)
    except ValueError as reason:
        log(f"{name}: no local thickness: {reason}")
        return None


def _diameters(mask: np.ndarray) -> np.ndarray:
    """Thickness in px, float32 [h, w], of a mask or of a tile of it, bool [h, w]."""
    if mask.all():
        raise ValueError("expected a mask with background, got one, or a tile of it, that is foreground everywhere")
    diameter = np.zeros(mask.shape, np.float32)
    distance = _distance(mask)
    _draw_discs(diameter, distance, *_ridge(distance))
    # pixels at tips and on lines of one pixel are outside of the smoothed outline and of all discs
    beside = np.maximum(ndimage.maximum_filter(diameter, 3), 1)
    return np.where(mask, np.where(diameter > 0, diameter, beside), 0)


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance in px to the smoothed outline, float32 [2 h, 2 w], on a grid of half pixels."""
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), SMOOTHING_PX, mode="nearest")
    for axis in (0, 1):
        smooth = _doubled(smooth, axis)
    return (ndimage.distance_transform_edt(smooth > 0.5) / 2).astype(np.float32)


def _doubled(values: np.ndarray, axis: int) -> np.ndarray:
    """Twice as many values along an axis, a quarter of a step to each side of the old ones, by linear interpolation."""
    values = np.moveaxis(values, axis, 0)
    doubled = np.empty((2 * len(values), *values.shape[1:]), values.dtype)
    doubled[::2] = 0.75 * values + 0.25 * np.concatenate([values[:1], values[:-1]])
    doubled[1::2] = 0.75 * values + 0.25 * np.concatenate([values[1:], values[-1:]])
    return np.moveaxis(doubled, 0, axis)


def _ridge(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns [n] of the discs that no neighbour's holds: in none of 32 directions does the distance rise 1:1.

    Without the tolerance in `RIDGE_SLOPE`, pixelated outlines would leave nearly all discs. Up to about 60 px nothing
    is lost by it; of thicker parts, less than 1 in 1000 pixels, at the rim, comes out too thin.
    """
    padded = np.pad(distance, REACH)
    flat, width = padded.ravel(), padded.shape[1]
    centres = np.flatnonzero(flat)
    steps = range(-REACH, REACH + 1)
    for down, right in [(i, j) for i in steps for j in steps if math.gcd(i, j) == 1]:
        rise = flat[centres + down * width + right] - flat[centres]
        centres = centres[rise < RIDGE_SLOPE * math.hypot(down, right) / 2]
    row, column = np.divmod(centres, width)
    return row - REACH, column - REACH


def _draw_discs(diameter: np.ndarray, distance: np.ndarray, row: np.ndarray, column: np.ndarray) -> None:
    """Raises `diameter` [h, w] to that of the disc around each (row, column) [n] of the grid, at its pixels."""
    (height, width), flat = diameter.shape, diameter.ravel()
    radius = distance[row, column]
    row, column = (row - 0.5) / 2, (column - 0.5) / 2
    reach = np.ceil(radius).astype(int)
    for size in np.unique(reach):
        group, steps = np.flatnonzero(reach == size), np.arange(-size, size + 1)
        for part in np.array_split(group, -(-group.size * steps.size**2 // CHUNK)):
            rows, columns = (np.rint(at[part]).astype(int)[:, None] + steps for at in (row, column))
            square = (((rows - row[part, None]) ** 2)[:, :, None]) + ((columns - column[part, None]) ** 2)[:, None]
            inside = square < (radius[part] ** 2)[:, None, None]
            inside &= ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
            pixels = (rows[:, :, None] * width + columns[:, None])[inside]
            np.maximum.at(flat, pixels, np.repeat(2 * radius[part], inside.sum(axis=(1, 2))))
