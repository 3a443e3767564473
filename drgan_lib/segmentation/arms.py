"""What the models to compare learn from: an arm is a set of parts, joined by + in its name.

A further source of annotated images is a further part: a function of the experiment and the dataset's folder in
`PARTS`, what it is in `WORDS`, and its name in `drgan_lib.config.PARTS`. A further method without training goes into
`CLASSICAL` likewise.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from skimage.io import imsave
from skimage.segmentation import relabel_sequential

from drgan_lib.classes import LABELS, SEAM_LABELS, three_class, with_seams
from drgan_lib.config import Experiment
from drgan_lib.data import load_patches
from drgan_lib.files import atomic_path
from drgan_lib.nnunet_dataset import Case, write_nnunet
from drgan_lib.segmentation.classical import otsu_watershed
from drgan_lib.segmentation.predictions import ClassMap
from drgan_lib.segmentation.real import annotated_patches
from drgan_lib.segmentation.texture import bare_support, lay_texture

# Images set aside from each training set to tune the border-core instances on; fewer than the least mislead (a choice
# made on 5 synthetic images was worse on others than the defaults).
N_TUNING, LEAST_TUNING = 32, 10
BARE_EVERY = 3  # synthetic images for one bare support

# Name, image [h, w] in [0, 1] and instances, int [h, w].
Annotated = tuple[str, np.ndarray, np.ndarray]


def synthetic_images(exp: Experiment, folder: str | Path) -> Iterator[Annotated]:
    """The annotated set of the synthesis stage with textures of the support, and a third as many bare supports."""
    # Imported late: the renderer comes with it.
    from drgan_lib.synthesis import load_synthetic

    made, generator = load_synthetic(exp), np.random.default_rng(exp.seed)
    for number, name in enumerate(made.table["image"]):
        image, instances = made.images[number] / np.float32(255), made.instances[number]
        yield name, lay_texture(image, generator=generator), instances
        if number % BARE_EVERY == 0:
            yield f"bare_{name}", bare_support(image, instances, generator=generator), np.zeros_like(instances)


def background_patches(exp: Experiment, folder: str | Path) -> Iterator[Annotated]:
    """Patches of training micrographs in which nothing was found (chapter 01), as free of particles."""
    for number, patch in enumerate(load_patches(exp).background):
        yield f"{number:03d}", patch, np.zeros(patch.shape, np.int32)


PARTS: dict[str, Callable[[Experiment, str | Path], Iterator[Annotated]]] = {
    "real": annotated_patches,
    "synthetic": synthetic_images,
    "background": background_patches,
}
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
        (f"{part}_{name}", np.rint(image * 255).astype(np.uint8), _in_16_bits(instances))
        for part in arm.split("+")
        for name, image, instances in PARTS[part](exp, folder)
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
