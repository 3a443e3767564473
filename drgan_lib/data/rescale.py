"""Micrographs at the working resolution, and what was found there in the file's pixels.

A pixel is a square: the corners of an image stay its corners, whatever the number of its pixels.
"""

import math
from dataclasses import replace

import numpy as np
from PIL import Image
from scipy import ndimage

from drgan_lib.samples import Sample, SampleSet

SMOOTHING_PX, REACH_PX = 0.7, 4  # of labels, before they are resized


def rescaled(samples: SampleSet, scale: float) -> SampleSet:
    """`samples` with `scale` pixels for one, their instances, pixel sizes and rectangles of text with them.

    Rectangles grow to whole pixels. `provenance` gets the "working_scale".
    """
    return samples if scale == 1 else samples.map(lambda sample: _rescaled(sample, scale))


def _rescaled(sample: Sample, scale: float) -> Sample:
    shape = scaled_shape(sample.image.shape, scale)
    about = {**sample.provenance, "working_scale": scale}
    if "overlays" in about:
        about["overlays"] = [
            [math.floor(scale * top), math.floor(scale * left), math.ceil(scale * bottom), math.ceil(scale * right)]
            for top, left, bottom, right in about["overlays"]
        ]
    return replace(
        sample,
        image=resize(sample.image, shape),
        instances=None if sample.instances is None else resize_labels(sample.instances, shape),
        pixel_size_nm=None if sample.pixel_size_nm is None else sample.pixel_size_nm / scale,
        provenance=about,
    )


def scaled_shape(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Rows and columns of an image of this shape at the working resolution."""
    height, width = (max(1, round(scale * n)) for n in shape)
    return height, width


def resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """`image`, float32 [h, w], with the rows and columns `shape`.

    Made smaller, a pixel is a mean under a triangle two pixels wide, which lets no finer detail through; made larger,
    values are interpolated linearly.
    """
    if image.shape == shape:
        return image
    return np.asarray(Image.fromarray(image.astype(np.float32)).resize(shape[::-1], Image.Resampling.BILINEAR))


def resize_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """`labels`, int [h, w] with 0 for background, with the rows and columns `shape`.

    A pixel gets the label, or the background, that has the largest share of what is near it: each label is smoothed on
    its own, so outlines come back without the steps of the old pixels. Wires of a single pixel do not survive that.
    """
    if labels.shape == shape:
        return labels
    result, most, rest = np.zeros(shape, labels.dtype), np.zeros(shape, np.float32), np.ones(shape, np.float32)
    for label, found in enumerate(ndimage.find_objects(labels), 1):
        if found is None:
            continue
        axes = (_around(*axis) for axis in zip(found, labels.shape, shape, strict=True))
        (rows, new_rows, (top, bottom)), (columns, new_columns, (left, right)) = axes
        size, place = (new_columns.stop - new_columns.start, new_rows.stop - new_rows.start), (new_rows, new_columns)
        if not all(size):
            continue
        share = ndimage.gaussian_filter((labels[rows, columns] == label).astype(np.float32), SMOOTHING_PX)
        share = Image.fromarray(share).resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
        rest[place] -= share
        wins = share > most[place]
        most[place][wins], result[place][wins] = np.asarray(share)[wins], label
    result[rest >= most] = 0
    return result


def _around(found: slice, size: int, new_size: int) -> tuple[slice, slice, tuple[float, float]]:
    """Along one axis: `found` and what is near it, the whole new pixels there, and their ends within it."""
    near = slice(max(0, found.start - REACH_PX), min(size, found.stop + REACH_PX))
    new = slice(-(-near.start * new_size // size), near.stop * new_size // size)
    return near, new, (new.start * size / new_size - near.start, new.stop * size / new_size - near.start)
