"""Samples for other programs: PNG files, and a COCO file of their instances."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from skimage.io import imsave

from drgan_lib.files import atomic_path
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
    (x, y, width, height) in px. The file is written image by image, whatever their number.
    """
    number = 0
    with atomic_path(path) as temporary, temporary.open("w") as file, TemporaryFile("w+") as images:
        file.write(f'{{"info": {json.dumps({"description": description})}, "categories": {json.dumps([PARTICLE])},\n')
        file.write('"annotations": [')
        for image_id, sample in enumerate(samples, start=1):
            height, width = sample.image.shape
            about = {"id": image_id, "file_name": f"images/{sample.name}.png", "height": height, "width": width}
            images.write(f"{',' if image_id > 1 else ''}\n{json.dumps(about)}")
            for annotation in _annotations(sample):
                number += 1
                about = {"id": number, "image_id": image_id, "category_id": PARTICLE["id"]} | annotation
                file.write(f"{',' if number > 1 else ''}\n{json.dumps(about)}")
        file.write('],\n"images": [')
        images.seek(0)
        shutil.copyfileobj(images, file)
        file.write("]}\n")
    return Path(path)


def _annotations(sample: Sample) -> Iterator[dict[str, Any]]:
    """What COCO says of each instance, but for its numbers and category."""
    instances = np.zeros(sample.image.shape, np.int32) if sample.instances is None else sample.instances
    for instance in np.unique(instances[instances > 0]).tolist():
        run = coco_mask.encode(np.asfortranarray(instances == instance).astype(np.uint8, order="F"))
        yield {
            "instance_id": instance,
            "segmentation": {"size": list(instances.shape), "counts": run["counts"].decode("ascii")},
            "area": int(coco_mask.area(run)),
            "bbox": [float(edge) for edge in coco_mask.toBbox(run)],
            "iscrowd": 0,
        }
