"""The process in which nnU-Net runs: `python -m drgan_lib.segmentation.worker request.json`.

nnU-Net reads its folders from the environment at import, sets Matplotlib's backend, prints at length and may
be killed for memory; none of that should happen to the notebook. `drgan_lib.segmentation.nnunet` writes the
request, sets the environment and starts this module.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from nnunetv2.experiment_planning.plan_and_preprocess_api import (
    extract_fingerprints,
    plan_experiments,
    preprocess,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.preprocessing.normalization.default_normalization_schemes import ZScoreNormalization
from nnunetv2.run.run_training import run_training
from skimage.io import imread

from drgan_lib.classes import CONTOUR, PARTICLE
from drgan_lib.files import read_json, write_json
from drgan_lib.hardware import has_bfloat16
from drgan_lib.segmentation.predictions import ClassMap, write_class_map

DATASET_ID = 1
MIRROR_PX = 32


def main(request: dict[str, Any]) -> None:
    """Trains where the request names a dataset, predicts where it names images; completed parts are kept."""
    device = torch.device(request["device"])
    if device.type == "cpu":
        torch.set_num_threads(request["threads"])
    results = Path(request["results"])
    if "dataset" in request:
        plan_and_train(request, results, device)
    if "predict" in request:
        predict_all(request["predict"], results, device)


def plan_and_train(request: dict[str, Any], results: Path, device: torch.device) -> None:
    """nnU-Net's planning and preprocessing, then its training of each fold."""
    folder = Path(request["preprocessed"]) / request["dataset"]
    done = folder / "complete.json"
    if not done.is_file():
        plans_name = plan_and_preprocess(folder, request)
        write_json(done, {"plans": plans_name})
    plans_name = read_json(done)["plans"]
    print("STAGE preprocessed", flush=True)
    if device.type == "cpu":  # augmentation in this process: the same run every time (the planner refuses 0)
        os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112
    configuration, trainer = request["configuration"]["name"], request["trainer"]
    model_folder = results / request["dataset"] / f"{trainer}__{plans_name}__{configuration}"
    for fold in request["folds"]:
        fold_folder = model_folder / f"fold_{fold}"
        if not (fold_folder / "checkpoint_final.pth").is_file():
            run_training(
                request["dataset"],
                configuration,
                fold,
                trainer_class_name=trainer,
                plans_identifier=plans_name,
                continue_training=(fold_folder / "checkpoint_latest.pth").is_file(),
                device=device,
            )
    print("STAGE trained", flush=True)


def predict_all(places: list[dict[str, str]], results: Path, device: torch.device) -> None:
    """Segments the images of all `places` with the mean of the folds of the one model in `results`."""
    (plans,) = results.glob("*/*/plans.json")
    folds = tuple(path.name.removeprefix("fold_") for path in sorted(plans.parent.glob("fold_*")))
    predictor = nnUNetPredictor(device=device, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(plans.parent), folds)
    compact = plans.parent.name.startswith("CompactTrainer")
    bfloat16 = compact and device.type == "cpu" and has_bfloat16(device)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        for place in places:
            predict(predictor, Path(place["images"]), Path(place["out"]))


def plan_and_preprocess(folder: Path, request: dict[str, Any]) -> str:
    """nnU-Net's fingerprint, its 2-D plan, the compact configuration beside it where asked, and its
    preprocessing. Returns the name of the plans.
    """
    threads, configuration = request["threads"], request["configuration"]
    with threads_instead_of_processes():
        extract_fingerprints([DATASET_ID], num_processes=threads, show_progress_bar=False, verbose=False)
        plans_name = plan_experiments([DATASET_ID], request["planner"])
        if configuration["name"] != "2d":
            path = folder / f"{plans_name}.json"
            plans = read_json(path)
            plans["configurations"][configuration["name"]] = compact_configuration(plans, configuration)
            write_json(path, plans)
        preprocess([DATASET_ID], plans_name, ["2d"], [threads], show_progress_bar=False)
    return plans_name


def compact_configuration(plans: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """A configuration that inherits nnU-Net's own 2-D plan and replaces patch, batch, width and depth."""
    stages, parent = request["stages"], plans["configurations"]["2d"]
    architecture = deepcopy(parent["architecture"])
    architecture["arch_kwargs"].update(
        n_stages=stages,
        features_per_stage=[min(request["features"] * 2**i, 512) for i in range(stages)],
        kernel_sizes=[[3, 3]] * stages,
        strides=[[1, 1]] + [[2, 2]] * (stages - 1),
        n_conv_per_stage=[2] * stages,
        n_conv_per_stage_decoder=[2] * (stages - 1),
    )
    return {
        "inherits_from": "2d",
        "patch_size": [request["patch_px"]] * 2,
        "batch_size": request["batch_size"] or parent["batch_size"],
        "architecture": architecture,
        "compact": {"iterations": request["iterations"], "seed": request["seed"]},
    }


def predict(predictor: nnUNetPredictor, images: Path, out: Path) -> None:
    """Writes the class map of each of `images/*.png` to `out`.

    nnU-Net's own way: tiles of the patch size at half-patch steps, Gaussian weights, mean over mirrored
    copies. Gray levels are normalised by `images/levels.json`, if it is there. Each image goes on beyond its border, as
    in a mirror: the network takes what is missing there for background, and would end particles before the border.
    """
    levels = read_json(images / "levels.json") if (images / "levels.json").is_file() else {}
    paths = sorted(images.glob("*.png"))
    for path in paths:
        image = np.pad(imread(path).astype(np.float32), MIRROR_PX, mode="symmetric")[None, None]
        with normalised_by(levels.get(path.stem)):
            classes, probabilities = predictor.predict_single_npy_array(
                image, {"spacing": (999, 1, 1)}, save_or_return_probabilities=True
            )
        inside = np.s_[MIRROR_PX:-MIRROR_PX, MIRROR_PX:-MIRROR_PX]
        particle, contour = (probabilities[k, 0][inside].astype(np.float32) for k in (PARTICLE, CONTOUR))
        write_class_map(out, path.stem, ClassMap(classes[0][inside].astype(np.uint8), particle, contour))
    print(f"STAGE predicted {len(paths)} images", flush=True)


@contextmanager
def normalised_by(level: tuple[float, float] | None) -> Iterator[None]:
    """nnU-Net's z-score with this mean and standard deviation in place of the image's own (None)."""
    if level is None:
        yield
        return
    mean, std = level
    with mock.patch.object(
        ZScoreNormalization, "run", lambda _, image, seg=None: ((image - mean) / max(std, 1e-8)).astype(np.float32)
    ):
        yield


@contextmanager
def threads_instead_of_processes() -> Iterator[None]:
    """nnU-Net's pools of new processes, as threads: on few cores each new process costs ten seconds of
    imports.
    """
    with mock.patch.object(multiprocessing, "get_context", return_value=SimpleNamespace(Pool=ThreadPool)):
        yield


if __name__ == "__main__":
    # A run in a shell's background ignores interrupts, and a process inherits that; its parent means them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(read_json(sys.argv[1]))
