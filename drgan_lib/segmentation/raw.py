"""nnU-Net's files of a training set."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from drgan_lib.classes import LABELS, SEAM_LABELS, three_class, with_seams
from drgan_lib.files import write_json
from drgan_lib.samples import Sample, SampleSet


def content(samples: SampleSet) -> str:
    """Digest of names, images (16 bit) and, where they are known, instances."""
    found = hashlib.sha256()
    for sample in samples:
        found.update(f"{sample.name} {sample.image.shape}".encode())
        found.update(_in_16_bits(sample).tobytes())
        if sample.instances is not None:
            found.update(sample.instances.tobytes())
    return found.hexdigest()


def write_raw(folder: Path, samples: SampleSet, *, contour_px: int, seam_px: int, channel: str) -> None:
    """Writes the raw dataset of nnU-Net v2 to `folder`, called DatasetNNN_<name>, as a whole or not at all.

    Images are 16-bit gray PNG; the name of their `channel` tells nnU-Net how to normalise. Labels are those of
    `drgan_lib.classes`, with seams if `seam_px` is above 0, and nnU-Net's `ignore` if something is unknown.
    """
    # Outside nnUNet_raw, where nnU-Net would take an unfinished folder for a dataset.
    partial = folder.parent.with_name(f"{folder.parent.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "imagesTr").mkdir(parents=True)
    (partial / "labelsTr").mkdir()
    labels = SEAM_LABELS if seam_px else LABELS
    for sample in samples:
        label = label_of(sample.instances, contour_px=contour_px, seam_px=seam_px)
        if label.max() >= len(labels):
            labels = labels | {"ignore": int(label.max())}
        for pixels, path in (
            (_in_16_bits(sample), partial / "imagesTr" / f"{sample.name}_0000.png"),
            (label, partial / "labelsTr" / f"{sample.name}.png"),
        ):
            Image.fromarray(pixels).save(path, compress_level=0)  # they are removed after the training
    about = {
        "channel_names": {"0": channel},
        "labels": labels,
        "numTraining": len(samples),
        "file_ending": ".png",
    }
    write_json(partial / "dataset.json", about)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial.rename(folder)


def label_of(instances: np.ndarray, *, contour_px: int, seam_px: int) -> np.ndarray:
    """The label uint8 [h, w] of `instances`, int [h, w]; its highest class, after those that are learned, is ignored.

    Where a particle borders on what is unknown it has a seam, as beside any other; the other side is ignored.
    """
    unknown = instances < 0
    ids = np.where(unknown, instances.max(initial=0) + 1, instances)
    label = with_seams(three_class(ids, contour_px), ids, seam_px)
    near = ndimage.binary_dilation(unknown, iterations=contour_px)
    label[near & (instances <= 0)] = len(SEAM_LABELS if seam_px else LABELS)
    return label


def _in_16_bits(sample: Sample) -> np.ndarray:
    return np.rint(sample.image.clip(0, 1) * 65535).astype(np.uint16)
