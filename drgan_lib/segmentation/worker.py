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
from nnunetv2.run.run_training import run_training
from skimage.io import imread, imsave

from drgan_lib.classes import PARTICLE
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.hardware import has_bfloat16

DATASET_ID = 1


def main(request: dict[str, Any]) -> None:
    """Plans, preprocesses, trains and predicts; what an earlier, interrupted call completed is kept."""
    device = torch.device(request["device"])
    if device.type == "cpu":
        torch.set_num_threads(request["threads"])
    folder = Path(request["preprocessed"]) / request["dataset"]
    done = folder / "complete.json"
    if not done.is_file():
        plan_and_preprocess(folder, request["threads"], request["configuration"])
        write_json(done, {"configuration": request["configuration"]["name"]})
    print("STAGE preprocessed", flush=True)
    if device.type == "cpu":  # augmentation in this process: the same run every time (the planner refuses 0)
        os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112

    model = f"{request['trainer']}__nnUNetPlans__{request['configuration']['name']}"
    model_folder = Path(request["results"]) / request["dataset"] / model
    fold_folder = model_folder / f"fold_{request['fold']}"
    if not (fold_folder / "checkpoint_final.pth").is_file():
        run_training(
            request["dataset"],
            request["configuration"]["name"],
            request["fold"],
            trainer_class_name=request["trainer"],
            continue_training=(fold_folder / "checkpoint_latest.pth").is_file(),
            device=device,
        )
    print("STAGE trained", flush=True)
    bfloat16 = request["trainer"] == "CompactTrainer" and device.type == "cpu" and has_bfloat16(device)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        predict(model_folder, request["fold"], Path(request["images"]), Path(request["predictions"]), device)


def plan_and_preprocess(folder: Path, threads: int, configuration: dict[str, Any]) -> None:
    """nnU-Net's fingerprint, its 2-D plan, the compact configuration beside it where asked, and its
    preprocessing.
    """
    with threads_instead_of_processes():
        extract_fingerprints([DATASET_ID], num_processes=threads, show_progress_bar=False, verbose=False)
        plans_name = plan_experiments([DATASET_ID])
        if configuration["name"] != "2d":
            path = folder / f"{plans_name}.json"
            plans = read_json(path)
            plans["configurations"][configuration["name"]] = compact_configuration(plans, configuration)
            write_json(path, plans)
        preprocess([DATASET_ID], plans_name, ["2d"], [threads], show_progress_bar=False)


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


def predict(model_folder: Path, fold: str, images: Path, predictions: Path, device: torch.device) -> None:
    """Writes `<name>.png` (classes 0, 1, 2) and `<name>_probability.png` (of class 1, 0 to 65535).

    nnU-Net's own way: tiles of the patch size at half-patch steps, Gaussian weights, mean over mirrored
    copies.
    """
    predictor = nnUNetPredictor(device=device, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(model_folder), (fold,))
    for path in sorted(images.glob("*.png")):
        image = imread(path).astype(np.float32)[None, None]
        classes, probabilities = predictor.predict_single_npy_array(
            image, {"spacing": (999, 1, 1)}, save_or_return_probabilities=True
        )
        with atomic_path(predictions / f"{path.stem}_probability.png") as temporary:
            imsave(temporary, np.round(probabilities[PARTICLE, 0] * 65535).astype(np.uint16), check_contrast=False)
        with atomic_path(predictions / path.name) as temporary:
            imsave(temporary, classes[0].astype(np.uint8), check_contrast=False)
        print(f"STAGE predicted {path.stem}", flush=True)


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
