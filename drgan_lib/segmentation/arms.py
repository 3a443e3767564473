"""What the models to compare learn from: an arm is a set of parts, joined by + in its name.

Sources of annotated images are in `drgan_lib.synthesis.sources`. A further method without training goes into
`CLASSICAL`, what it is into `WORDS`, and its name into `drgan_lib.config.CLASSICAL`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from skimage.io import imsave
from skimage.segmentation import relabel_sequential

from drgan_lib.classes import LABELS, SEAM_LABELS, three_class, with_seams
from drgan_lib.config import Experiment
from drgan_lib.data import load_patches, open_dataset, read_mask, training_micrographs
from drgan_lib.files import atomic_path
from drgan_lib.nnunet_dataset import Case, write_nnunet
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.segmentation.checks import SegmentationError
from drgan_lib.segmentation.classical import otsu_watershed
from drgan_lib.segmentation.predictions import ClassMap

# Images set aside from each training set to tune the border-core instances on; fewer than the least mislead (a choice
# made on 5 synthetic images was worse on others than the defaults).
N_TUNING, LEAST_TUNING = 32, 10

# Name, image [h, w] in [0, 1] and instances, int [h, w].
Annotated = tuple[str, np.ndarray, np.ndarray]


def samples_of(exp: Experiment, folder: str | Path, arm: str) -> SampleSet:
    """What `arm` learns from, with the dataset in `folder`; opens nothing that it does not use."""
    # Imported late: the renderer comes with it.
    from drgan_lib.synthesis import Origin, load_synthetic, training_samples

    parts, nothing = arm.split("+"), SampleSet.of([])
    background = load_patches(exp).background if "background" in parts else ()
    origin = Origin(
        exp,
        micrographs=masked_micrographs(exp, folder) if "real" in parts else nothing,
        background=SampleSet.of(Sample(f"{number:03d}", patch) for number, patch in enumerate(background)),
        synthetic=load_synthetic(exp.stage_dir("synthetic")) if "synthetic" in parts else nothing,
    )
    return training_samples(arm, origin)


def masked_micrographs(exp: Experiment, folder: str | Path) -> SampleSet:
    """The training micrographs of the dataset in `folder` with their masks; `SegmentationError` for other shapes."""
    settings = exp.material.dataset
    dataset = open_dataset(settings, folder)
    samples = []
    for source, micrograph in zip(dataset.train, training_micrographs(dataset, settings), strict=True):
        mask = source.mask and read_mask(source.mask, sample_rows=settings.sample_rows)
        if mask is not None and mask.shape != micrograph.image.shape:
            raise SegmentationError(
                f"{source.mask}: expected a mask of the shape {micrograph.image.shape} of {source.image.name}, got "
                f"{mask.shape}; give the mask of this image, or remove it"
            )
        provenance = {"overlays": [list(box) for box in micrograph.overlays]}
        samples.append(Sample(micrograph.name, micrograph.image, micrograph.pixel_size_nm, mask, provenance=provenance))
    return SampleSet.of(samples)


CLASSICAL: dict[str, Callable[[np.ndarray], ClassMap]] = {"otsu": otsu_watershed}
WORDS = {
    "real": "training micrographs with their masks",
    "synthetic": "synthetic images",
    "background": "real background",
    "otsu": "nothing: Otsu threshold and watershed",
}


def in_words(arm: str) -> str:
    """What a model of `arm` was trained on."""
    return " and ".join(WORDS[part] for part in arm.split("+"))


def write_training_set(exp: Experiment, folder: str | Path, arm: str, place: Path) -> Path:
    """Writes the raw dataset of nnU-Net for `arm` below `place`, and what is set aside to tune instances on.

    About `N_TUNING` images with particles, a sixth of them at most and evenly spaced, go to `place/tuning/{images,
    instances}` (16 bit) instead; if that is fewer than `LEAST_TUNING`, so many, or none if they were more than a
    quarter. Patches of one micrograph overlap, so that all of them are set aside, or none, and a few more or fewer than
    `N_TUNING` may come out. Returns the raw dataset's folder.
    """
    annotated = [
        (sample.name, np.rint(sample.image * 255).astype(np.uint8), _in_16_bits(sample.instances))
        for sample in samples_of(exp, folder, arm)
    ]
    aside = _set_aside(annotated)
    shutil.rmtree(place / "tuning", ignore_errors=True)
    for k in sorted(aside):
        name, image, instances = annotated[k]
        if not instances.any():
            continue
        for part, array in (("images", image.astype(np.uint16) * 257), ("instances", instances)):
            with atomic_path(place / "tuning" / part / f"{name}.png") as temporary:
                imsave(temporary, array, check_contrast=False)
    settings = exp.profile.segmentation
    channel = exp.material.dataset.modality if settings.normalization == "zscore" else settings.normalization
    return write_nnunet(
        place / "nnUNet_raw" / f"Dataset001_{exp.material.name}",
        (
            Case(name, image, with_seams(three_class(instances, exp.material.contour_px), instances, settings.seam_px))
            for k, (name, image, instances) in enumerate(annotated)
            if k not in aside
        ),
        channel,
        f"{exp.material.title}: {in_words(arm)}",
        labels=SEAM_LABELS if settings.seam_px else LABELS,
    )


def _in_16_bits(instances: np.ndarray) -> np.ndarray:
    """uint16 [h, w]: the ids in their order, without gaps, which those of a large micrograph have in its patches."""
    return relabel_sequential(instances)[0].astype(np.uint16)


def _set_aside(annotated: Sequence[Annotated]) -> set[int]:
    """Numbers of the images that are not learned from."""
    sources: dict[str, list[int]] = {}
    for k, (name, _, _) in enumerate(annotated):
        sources.setdefault(name.rsplit("_", 2)[0] if name.startswith("real_") else name, []).append(k)
    counts = {source: sum(bool(annotated[k][2].any()) for k in numbers) for source, numbers in sources.items()}
    counts = {source: n for source, n in counts.items() if n}
    total = sum(counts.values())
    n_sources = min(N_TUNING, total // 6) * len(counts) // max(1, total)
    if total >= 4 * LEAST_TUNING:
        n_sources = max(n_sources, -(-LEAST_TUNING * len(counts) // total))
    chosen = [list(counts)[k] for k in np.linspace(0, len(counts) - 1, n_sources).round().astype(int)]
    if sum(counts[source] for source in chosen) < LEAST_TUNING:
        return set()
    return {k for source in chosen for k in sources[source]}
