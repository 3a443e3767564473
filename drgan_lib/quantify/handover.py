"""What other programs open next: labels that Fiji and napari scale right, ImageJ's ROIs, and GeoJSON outlines."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import roifile
import tifffile
from scipy.ndimage import find_objects
from skimage.measure import find_contours

FOR_IMAGEJ = np.iinfo(np.uint16).max  # the largest label that ImageJ reads


def write_labels(labels: np.ndarray, path: Path, *, pixel_size_nm: float | None = None) -> None:
    """Writes instances int [h, w] as a TIFF with the size of a pixel: 16 bit as ImageJ does it, or 32 if needed."""
    if labels.max(initial=0) > FOR_IMAGEJ:
        tifffile.imwrite(path, labels.astype(np.uint32), compression="zlib")
        return
    scale = {} if pixel_size_nm is None else {"resolution": (1 / pixel_size_nm,) * 2}
    unit = {"unit": "pixel" if pixel_size_nm is None else "nm"}
    tifffile.imwrite(path, labels.astype(np.uint16), imagej=True, metadata=unit, compression="zlib", **scale)


def outlines(labels: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Label and outlines of the instances int [h, w]: corners float [n, 2], x and y in px, the first repeated last.

    Corners of pixels are whole numbers, (0, 0) that of the first pixel. Of an instance in several parts each has one.
    """
    found = []
    for number, box in enumerate(find_objects(labels), start=1):
        if box is not None:
            corner = box[1].start - 0.5, box[0].start - 0.5
            for line in find_contours(np.pad(labels[box] == number, 1), 0.5, fully_connected="high"):
                if not _is_hole(line):
                    found.append((number, line[:, ::-1] + corner))
    return found


def write_rois(found: list[tuple[int, np.ndarray]], path: Path) -> None:
    """Writes the `outlines` of instances as a set of ImageJ's ROIs, named by label."""
    rois = [roifile.ImagejRoi.frompoints(line[:-1], name=f"{number:05d}-{k}") for k, (number, line) in enumerate(found)]
    path.unlink(missing_ok=True)
    roifile.roiwrite(path, rois)


def write_geojson(found: list[tuple[int, np.ndarray]], table: pd.DataFrame, path: Path) -> None:
    """Writes the `outlines` of instances as GeoJSON polygons in px, with their rows of `table`."""
    rows = json.loads(table.set_index("id").to_json(orient="index"))
    features = [
        {
            "type": "Feature",
            "id": f"{number}-{k}",
            "geometry": {"type": "Polygon", "coordinates": [line.round(2).tolist()]},
            "properties": {"objectType": "annotation", "label": number, "measurements": rows[str(number)]},
        }
        for k, (number, line) in enumerate(found)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def _is_hole(line: np.ndarray) -> bool:
    """Whether a contour [n, 2] runs around a hole: scikit-image turns those the other way."""
    row, column = line.T
    return float(np.sum(row[:-1] * column[1:] - row[1:] * column[:-1])) > 0
