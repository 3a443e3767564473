"""All models of a run, one after the other: trained, tuned, and shown the test micrographs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from skimage.io import imread, imsave

from drgan_lib.config import Experiment
from drgan_lib.data import held_out_sources, read_held_out
from drgan_lib.digest import code_digest, digest, file_digest
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.segmentation import nnunet, predictions
from drgan_lib.segmentation.arms import CLASSICAL, write_training_set
from drgan_lib.segmentation.instances import BorderCore
from drgan_lib.segmentation.model import Model
from drgan_lib.segmentation.predictions import read_class_map, write_class_map
from drgan_lib.segmentation.tune import tune_border_core


def model_folders(exp: Experiment) -> Iterator[tuple[str, int, Path]]:
    """Arm, seed and folder of every model of the run, in the order of `segmentation.arms`.

    The seeds count from that of the run, which all of them share with the images that they were trained on.
    """
    for arm, n_seeds in exp.profile.segmentation.arms.items():
        for seed in range(exp.seed, exp.seed + n_seeds):
            yield arm, seed, exp.stage_dir("segmentation") / "arms" / arm / f"seed{seed}"


def segment(exp: Experiment, folder: str | Path, *, log: Callable[[str], None] = print) -> Path:
    """Makes every model of `segmentation.arms` and segments the test micrographs of the dataset in `folder`.

    Each lies in segmentation/arms/ARM/seedN: the network (see `drgan_lib.segmentation.nnunet`), model.json with the
    instance method tuned for it, border_core.csv with all that was tried, and its `predictions`. What an interrupted
    call finished stands. Raises `SegmentationError` for an unusable training set and when nnU-Net fails or is killed,
    `DataError` for unusable test micrographs. Returns the stage's folder.
    """
    stage = exp.stage_dir("segmentation")
    images = write_test_images(exp, folder)
    models = list(model_folders(exp))
    write_json(stage / "models.json", [str(place.relative_to(stage)) for _, _, place in models])
    for _, _, place in models:
        (place / "model.json").unlink(missing_ok=True)  # until it is known to be that of these settings
    for number, (arm, seed, place) in enumerate(models, 1):
        log(f"model {number} of {len(models)}: {arm}, seed {seed}")
        if arm in CLASSICAL:
            for path in sorted(images.glob("*.png")):
                write_class_map(place / "predictions", path.stem, CLASSICAL[arm](imread(path) / 65535))
        else:
            if seed == exp.seed:
                raw = write_training_set(exp, folder, arm, place.parent)
            nnunet.train(exp, raw, place, seed=seed, log=log)
            _predict(exp, images, place, log)
            _tune(exp, arm, seed, place, log)
    return stage


def write_test_images(exp: Experiment, folder: str | Path) -> Path:
    """Test micrographs of the dataset in `folder` as 16-bit PNG in segmentation/images, whose path is returned.

    They are cropped to the sample rows and have the gray scale of the training micrographs.
    """
    images = exp.stage_dir("segmentation") / "images"
    shutil.rmtree(images, ignore_errors=True)
    for source in held_out_sources(exp, folder):
        micrograph = read_held_out(exp, source)
        with atomic_path(images / f"{micrograph.name}.png") as temporary:
            imsave(temporary, np.round(micrograph.image * 65535).astype(np.uint16), check_contrast=False)
    return images


def _predict(exp: Experiment, images: Path, place: Path, log: Callable[[str], None]) -> None:
    """Segments the test images, and those set aside for tuning, unless the network and they are those of last time."""
    aside = place.parent / "tuning" / "images"
    files = [*sorted(images.glob("*.png")), *sorted(aside.glob("*.png"))]
    trained = read_json(place / "trained_on.json")["sha256"]
    code = code_digest([nnunet.PREDICT, Path(predictions.__file__)], root=nnunet.HERE)
    key = {"sha256": digest(trained + code + "".join(path.name + file_digest(path) for path in files))}
    mark = place / "predicted.json"
    targets = {images: place / "predictions"} | ({aside: place / "tuning"} if aside.is_dir() else {})
    missing = any(nnunet.unpredicted(*target) for target in targets.items())
    if not missing and mark.is_file() and read_json(mark) == key:
        return
    mark.unlink(missing_ok=True)
    for out in targets.values():
        shutil.rmtree(out, ignore_errors=True)
    nnunet.predict(place, list(targets.items()), place / "nnunet.log", log=log)
    write_json(mark, key)


def _tune(exp: Experiment, arm: str, seed: int, place: Path, log: Callable[[str], None]) -> None:
    """Chooses the settings of the border-core instances on the images set aside, and completes the model."""
    material, aside = exp.material, place.parent / "tuning" / "instances"
    model = Model(
        folder=place,
        arm=arm,
        seed=seed,
        border_core=BorderCore(),
        pixel_size_nm=read_json(exp.stage_dir("data") / "dataset.json").get("pixel_size_nm"),
        patch_px=exp.network_px,
        shape=material.meshes.shape,
        min_area_px=material.min_area_px,
    )
    truths = {path.stem: imread(path).astype(np.int32) for path in sorted(aside.glob("*.png"))}
    if truths:
        maps = [read_class_map(place / "tuning", name) for name in truths]
        chosen, table = tune_border_core(maps, list(truths.values()), min_area=material.min_area_px)
        model = replace(model, border_core=chosen)
        with atomic_path(place / "border_core.csv") as temporary:
            table.to_csv(temporary, index=False)
        log(f"border-core instances, tuned on {len(truths)} images set aside from the training set: {chosen}")
    else:
        log("border-core instances: too few images to set any aside for tuning, so the defaults hold")
    model.save()
