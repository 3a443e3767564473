"""Segments images with a trained network, in the worker's process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.preprocessing.normalization.default_normalization_schemes import (
    RescaleTo01Normalization,
    ZScoreNormalization,
)
from skimage.io import imread

from drgan_lib.files import read_json
from drgan_lib.hardware import has_bfloat16
from drgan_lib.segmentation.predictions import of_probabilities, write_class_map

MIRROR_PX = 32
STEP, COMPACT_STEP = 0.5, 0.75  # between tiles, of their size


def predict_all(places: list[dict[str, str]], results: Path, device: torch.device) -> None:
    """Segments the images of all `places` with the mean of the folds of the one model in `results`."""
    (plans,) = results.glob("*/*/plans.json")
    folds = tuple(path.name.removeprefix("fold_") for path in sorted(plans.parent.glob("fold_*")))
    compact = plans.parent.name.startswith("CompactTrainer")
    # Each mirrored copy costs as much as the image itself, and half steps as much again: too much for laptops.
    step = COMPACT_STEP if compact else STEP
    predictor = nnUNetPredictor(step, device=device, use_mirroring=not compact, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(plans.parent), folds)
    bfloat16 = compact and device.type == "cpu" and has_bfloat16(device)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        for place in places:
            predict(predictor, Path(place["images"]), Path(place["out"]))


def predict(predictor: nnUNetPredictor, images: Path, out: Path) -> None:
    """Writes the class map of each of `images/*.png` to `out`.

    nnU-Net's own way: tiles of the patch size, half-patch steps, Gaussian weights and the mean over mirrored copies;
    with the compact trainer longer steps and no copies. Gray levels are normalised by `images/levels.json`, if it is
    there. Each image goes on beyond its border, as in a mirror: the network takes what is missing there for background,
    and would end particles before the border.
    """
    levels = read_json(images / "levels.json") if (images / "levels.json").is_file() else {}
    paths = sorted(images.glob("*.png"))
    for path in paths:
        image = np.pad(imread(path).astype(np.float32), MIRROR_PX, mode="symmetric")[None, None]
        with normalised_by(levels.get(path.stem)):
            _, probabilities = predictor.predict_single_npy_array(
                image, {"spacing": (999, 1, 1)}, save_or_return_probabilities=True
            )
        inside = np.s_[MIRROR_PX:-MIRROR_PX, MIRROR_PX:-MIRROR_PX]
        write_class_map(out, path.stem, of_probabilities(probabilities[:, 0][:, *inside]))
    print(f"STAGE predicted {len(paths)} images", flush=True)


@contextmanager
def normalised_by(levels: dict[str, float] | None) -> Iterator[None]:
    """nnU-Net's normalisations with these `mean`, `std`, `min` and `max` in place of the image's own (None)."""
    if levels is None:
        yield
        return

    def fixed(origin: float, scale: float) -> Callable[..., np.ndarray]:
        return lambda _, image, seg=None: ((image - origin) / max(scale, 1e-8)).astype(np.float32)

    zscore, low = fixed(levels["mean"], levels["std"]), levels["min"]
    with (
        mock.patch.object(ZScoreNormalization, "run", zscore),
        mock.patch.object(RescaleTo01Normalization, "run", fixed(low, levels["max"] - low)),
    ):
        yield
