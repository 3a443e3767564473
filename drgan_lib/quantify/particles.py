"""The table of particles: one row per instance of a label image."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.ndimage import find_objects
from scipy.spatial import ConvexHull
from skimage.measure import perimeter_crofton

from drgan_lib.data.edges import edge_weight

LENGTHS = ("equivalent_diameter", "feret_max", "feret_min", "major_axis", "minor_axis", "perimeter")
RATIOS = ("aspect_ratio", "circularity")
WHOLE = ("id", "height_px", "width_px", "area_px2")
DEFINITIONS = {
    "image": "name of the image",
    "id": "label of the particle in the label image",
    "row_px": "row of the centroid; the centre of the first pixel is 0",
    "column_px": "column of the centroid; the centre of the first pixel is 0",
    "height_px": "rows from the first to the last pixel",
    "width_px": "columns from the first to the last pixel",
    "area": "number of pixels, holes not included",
    "equivalent_diameter": "diameter of the disc of the same area",
    "feret_max": "largest Feret diameter: of the convex hull of the midpoints of the pixels' edges",
    "feret_min": "smallest Feret diameter of the same hull",
    "major_axis": "long axis of the ellipse with the second moments of the pixels, taken as squares",
    "minor_axis": "short axis of that ellipse",
    "perimeter": "Crofton's formula in four directions, edges of holes included; within 1 % for discs from 8 px on, 2 "
    "% too small on average for rectangles from 20 px on, plus or minus 3 % from one direction to the other",
    "aspect_ratio": "feret_max / feret_min",
    "circularity": "4 pi area / perimeter^2; 1 for discs, a few percent more for small ones, and 1.75 for a "
    "single pixel",
    "touches_border": "whether a pixel of the particle is in the first or last row or column of the image",
    "edge_weight": "1 / probability that a particle of this height and width, put anywhere in the image, does not "
    "touch its border (Miles 1974, Lantuejoul 1980); 0 for those that touch it",
}


def measure_particles(labels: np.ndarray, pixel_size_nm: float | None = None) -> pd.DataFrame:
    """Table of the particles in instance labels int [h, w], one row per label in rising order; 0 is background.

    Columns are those of `DEFINITIONS`, without `image`: each length as `..._px` and, given a pixel size, `..._nm`; the
    area as `area_px2` and `area_nm2`. All pixels of a label are one particle, connected or not. Without a particle the
    table has the same columns and no rows. Raises `ValueError` or `TypeError` if the labels are no label image or the
    pixel size is no positive number.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or not labels.size:
        raise ValueError(f"expected instance labels of shape [h, w], got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(
            f"expected instance labels of whole numbers, got {labels.dtype}; number the particles of a mask first, for "
            "instance with skimage.measure.label"
        )
    if labels.min() < 0:
        raise ValueError(f"expected labels from 0 (background) on, got {labels.min()}")
    if pixel_size_nm is not None and not (math.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise ValueError(f"expected a pixel size above 0 nm, got {pixel_size_nm}; leave it out if it is not known")
    ids = None
    if labels.max() > labels.size:  # a list of boxes needs memory for each number up to the largest
        ids, inverse = np.unique(np.append(labels, 0), return_inverse=True)
        labels = inverse[:-1].reshape(labels.shape)
    rows = [_row(number, box, labels) for number, box in enumerate(find_objects(labels), start=1) if box is not None]
    units = {"area": "area_px2"} | {name: f"{name}_px" for name in LENGTHS}
    columns = [units.get(name, name) for name in DEFINITIONS if name != "image"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns, float) | dict.fromkeys(WHOLE, np.int64))
    table["touches_border"] = table["touches_border"].astype(bool)
    if ids is not None:
        table["id"] = ids[table["id"]].astype(np.int64)
    for name in table if pixel_size_nm is not None else ():
        bare, _, unit = name.rpartition("_")
        if bare in (*LENGTHS, "area"):
            scaled = table[name] * pixel_size_nm ** (2 if unit == "px2" else 1)
            table.insert(table.columns.get_loc(name) + 1, f"{bare}_{unit.replace('px', 'nm')}", scaled)
    return table


def pool(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One table of several images': `image`, the key, is the first column. Raises `ValueError` without a table."""
    if not tables:
        raise ValueError("expected at least one table to pool, got none")
    if len({tuple(table.columns) for table in tables.values()}) > 1:
        raise ValueError("the tables have different columns; measure all images with a pixel size or all without one")
    filled = [table for table in tables.values() if len(table)] or [next(iter(tables.values()))]
    pooled = pd.concat(filled, ignore_index=True)
    names = [name for name, table in tables.items() for _ in range(len(table))]
    pooled.insert(0, "image", pd.Series(names, dtype=object))
    return pooled


def feret_diameters(mask: np.ndarray) -> tuple[float, float]:
    """Largest and smallest Feret diameter in px of the particle in `mask`, bool [h, w] with at least one pixel.

    Both are of the convex hull of the midpoints of the pixels' edges, since hulls of whole pixels reach too far and
    hulls of pixel centres not far enough: upright rectangles of more than one pixel have exactly their shorter side as
    the smallest one; for discs and turned rectangles of 6 to 100 px they are between 0.3 px too small and 0.9 px too
    large on average. The `feret_diameter_max` of scikit-image is up to 1 px larger.
    """
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise ValueError("expected a mask with at least one pixel, got an empty one")
    left, right = mask[rows].argmax(axis=1), width - 1 - mask[rows, ::-1].argmax(axis=1)
    top, bottom = mask[:, columns].argmax(axis=0), height - 1 - mask[::-1, columns].argmax(axis=0)
    # only the outermost pixels of a line can hold corners
    ends = (rows, left - 0.5), (rows, right + 0.5), (top - 0.5, columns), (bottom + 0.5, columns)
    points = np.concatenate([np.stack(end, axis=1) for end in ends])
    hull = points[ConvexHull(points).vertices]
    largest = np.linalg.norm(hull[:, None] - hull, axis=-1).max()
    edges = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([-edges[:, 1], edges[:, 0]]) / np.linalg.norm(edges, axis=1)
    # rotating calipers: the smallest width of a convex polygon is perpendicular to one of its edges
    smallest = np.ptp(hull @ normals, axis=0).min()
    return float(largest), float(smallest)


def _row(number: int, box: tuple[slice, slice], labels: np.ndarray) -> dict[str, float]:
    top, left, bottom, right = box[0].start, box[1].start, box[0].stop, box[1].stop
    height, width = bottom - top, right - left
    mask = labels[box] == number
    rows, columns = np.nonzero(mask)
    row, column, area = rows.mean(), columns.mean(), len(rows)
    down, across = rows - row, columns - column
    # pixels are squares, not points: 1 / 12 is the variance of a uniform distribution of width 1
    of_rows, of_columns, mixed = down @ down / area + 1 / 12, across @ across / area + 1 / 12, down @ across / area
    mean, half = (of_rows + of_columns) / 2, math.hypot((of_rows - of_columns) / 2, mixed)
    largest, smallest = feret_diameters(mask)
    perimeter = perimeter_crofton(mask, directions=4)
    weight = edge_weight((top, left, bottom, right), labels.shape)
    return {
        "id": number,
        "row_px": top + row,
        "column_px": left + column,
        "height_px": height,
        "width_px": width,
        "area_px2": area,
        "equivalent_diameter_px": 2 * math.sqrt(area / math.pi),
        "feret_max_px": largest,
        "feret_min_px": smallest,
        "major_axis_px": 4 * math.sqrt(mean + half),
        "minor_axis_px": 4 * math.sqrt(max(mean - half, 1 / 12)),
        "perimeter_px": perimeter,
        "aspect_ratio": largest / smallest,
        "circularity": 4 * math.pi * area / perimeter**2,
        "touches_border": weight == 0,
        "edge_weight": weight,
    }
