"""The annotated set for other programs: an nnU-Net v2 raw dataset and a COCO instance file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from drgan_lib.classes import PARTICLE
from drgan_lib.config import Experiment
from drgan_lib.files import write_json
from drgan_lib.nnunet_dataset import Case, write_nnunet


def nnunet_raw(exp: Experiment) -> Path:
    """Folder of the raw dataset; nnU-Net finds it with `nnUNet_raw` set to the folder above."""
    return exp.stage_dir("synthetic") / "nnUNet_raw" / f"Dataset001_{exp.material.name}"


def to_nnunet(exp: Experiment, names: Sequence[str], background: np.ndarray) -> Path:
    """Writes the raw dataset of nnU-Net v2 to `nnunet_raw(exp)` and returns that folder.

    `names` are the synthetic images to take ("00000", ...), which become the cases `synthetic_00000`;
    `background` are real patches without particles, float [m, h, w] in [0, 1], which become the cases
    `background_000` with empty labels, as in the paper (npj Comput. Mater. 11, 197, 2025). Raises `ValueError` for
    background patches of another shape or range.
    """
    background = np.asarray(background)
    if background.size and (background.ndim != 3 or background.min() < 0 or background.max() > 1):
        raise ValueError(
            f"expected background patches [m, h, w] in [0, 1], got shape {background.shape} in "
            f"[{background.min()}, {background.max()}]; divide 8-bit patches by 255"
        )

    def cases() -> Iterator[Case]:
        for name in names:
            image, label = (_read(exp.stage_dir("synthetic") / part / f"{name}.png") for part in ("images", "labels"))
            yield Case(f"synthetic_{name}", image, label)
        for number, patch in enumerate(background):
            image = np.round(patch * 255).astype(np.uint8)
            yield Case(f"background_{number:03d}", image, np.zeros_like(image))

    origin = f"{len(names)} synthetic images, {len(background)} real background patches"
    return write_nnunet(nnunet_raw(exp), cases(), exp.material.dataset.modality, f"{exp.material.title}: {origin}")


def to_coco(folder: Path, names: Sequence[str], path: Path, *, description: str = "") -> Path:
    """Writes a COCO instance file of `folder/instances/<name>.png` to `path` and returns `path`.

    One annotation per visible particle, as compressed run lengths that decode to exactly its pixels in the
    instance map; hidden parts are not included. `file_name` is relative to `folder`, `instance_id` is the id
    in the map, `area` is in px^2, `bbox` is (x, y, width, height) in px.
    """
    images, annotations = [], []
    for image_id, name in enumerate(names, start=1):
        instances = np.asarray(Image.open(folder / "instances" / f"{name}.png"))
        height, width = instances.shape
        images.append({"id": image_id, "file_name": f"images/{name}.png", "height": height, "width": width})
        ids = np.unique(instances[instances > 0])
        runs = coco_mask.encode(np.asfortranarray((instances[..., None] == ids).astype(np.uint8))) if ids.size else []
        for instance, run in zip(ids, runs, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": PARTICLE,
                    "instance_id": int(instance),
                    "segmentation": {"size": [height, width], "counts": run["counts"].decode("ascii")},
                    "area": int(coco_mask.area(run)),
                    "bbox": [float(edge) for edge in coco_mask.toBbox(run)],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": PARTICLE, "name": "particle"}]
    coco = {"info": {"description": description}, "images": images, "annotations": annotations}
    write_json(path, coco | {"categories": categories})
    return path


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)
