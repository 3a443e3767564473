"""Plans, preprocesses and trains, in the worker's process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from nnunetv2.experiment_planning.plan_and_preprocess_api import (
    extract_fingerprints,
    plan_experiments,
    preprocess,
)
from nnunetv2.run.run_training import run_training

from drgan_lib.files import read_json, write_json

DATASET_ID = 1


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
            if len(request["folds"]) > 1:
                print(f"STAGE fold {fold}", flush=True)
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


@contextmanager
def threads_instead_of_processes() -> Iterator[None]:
    """nnU-Net's pools of new processes, as threads: on few cores each new process costs ten seconds of
    imports.
    """
    with mock.patch.object(multiprocessing, "get_context", return_value=SimpleNamespace(Pool=ThreadPool)):
        yield
