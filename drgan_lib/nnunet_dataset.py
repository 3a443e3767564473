"""nnU-Net's raw dataset, written as a whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from drgan_lib.classes import LABELS
from drgan_lib.files import write_json


@dataclass(frozen=True)
class Case:
    """One training image of nnU-Net: `image` uint8 and `label`, uint8 classes, both [h, w]."""

    name: str
    image: np.ndarray
    label: np.ndarray


def write_nnunet(
    folder: Path, cases: Iterable[Case], channel: str, description: str, *, labels: Mapping[str, int] = LABELS
) -> Path:
    """Writes a raw dataset of nnU-Net v2 to `folder`, called DatasetNNN_<name>, and returns that.

    `labels` names the classes. Images are 8-bit grayscale PNG, read as one channel; its name `channel` tells nnU-Net
    how to normalise. The folder appears under its name only when it is complete, and replaces an older one.
    """
    # Outside nnUNet_raw, where nnU-Net would take an unfinished folder for a dataset.
    partial = folder.parent.with_name(f"{folder.parent.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    images, classes = partial / "imagesTr", partial / "labelsTr"
    images.mkdir(parents=True)
    classes.mkdir()
    for case in cases:
        Image.fromarray(case.image).save(images / f"{case.name}_0000.png")
        Image.fromarray(case.label).save(classes / f"{case.name}.png")
    about = {
        "name": folder.name.partition("_")[2],
        "description": description,
        "channel_names": {"0": channel},
        "labels": dict(labels),
        "numTraining": len(list(images.iterdir())),
        "file_ending": ".png",
    }
    write_json(partial / "dataset.json", about)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial.rename(folder)
    return folder
