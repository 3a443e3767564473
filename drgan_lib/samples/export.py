"""Samples for other programs: PNG files, and a COCO file of their instances."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask
from skimage.io import imsave

from drgan_lib.files import atomic_path, write_json
from drgan_lib.samples.sets import Sample

PARTICLE = {"id": 1, "name": "particle"}


def write_png(samples: Iterable[Sample], folder: str | Path, *, bits: int = 8) -> Path:
    """Writes `folder/images/<name>.png` (gray) and `folder/instances/<name>.png` (16-bit ids); returns `folder`."""
    folder, dtype = Path(folder), np.dtype(f"uint{bits}")
    for sample in samples:
        arrays = {"images": np.rint(sample.image.clip(0, 1) * np.iinfo(dtype).max).astype(dtype)}
        if sample.instances is not None:
            arrays["instances"] = sample.instances.astype(np.uint16)
        for part, array in arrays.items():
            with atomic_path(folder / part / f"{sample.name}.png") as temporary:
                imsave(temporary, array, check_contrast=False)
    return folder


def write_coco(samples: Iterable[Sample], path: str | Path, *, description: str = "") -> Path:
    """Writes a COCO instance file to `path` and returns it.

    One annotation per visible particle, as compressed run lengths that decode to exactly its pixels; hidden parts are
    not included. `file_name` is that of `write_png`, `instance_id` the id in the map, `area` is in px^2, `bbox` is
    (x, y, width, height) in px.
    """
    images, annotations = [], []
    for image_id, sample in enumerate(samples, start=1):
        height, width = sample.image.shape
        images.append({"id": image_id, "file_name": f"images/{sample.name}.png", "height": height, "width": width})
        instances = np.zeros((height, width), np.int32) if sample.instances is None else sample.instances
        for instance in np.unique(instances[instances > 0]).tolist():
            run = coco_mask.encode(np.asfortranarray(instances == instance).astype(np.uint8, order="F"))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": PARTICLE["id"],
                    "instance_id": instance,
                    "segmentation": {"size": [height, width], "counts": run["counts"].decode("ascii")},
                    "area": int(coco_mask.area(run)),
                    "bbox": [float(edge) for edge in coco_mask.toBbox(run)],
                    "iscrowd": 0,
                }
            )
    about = {"info": {"description": description}, "images": images, "annotations": annotations}
    write_json(path, about | {"categories": [PARTICLE]})
    return Path(path)
