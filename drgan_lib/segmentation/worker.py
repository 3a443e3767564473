"""The process in which nnU-Net trains: `python -m drgan_lib.segmentation.worker`, with a request, JSON, as its input.

nnU-Net reads its folders from the environment, sets Matplotlib's backend, prints at length and may be killed for
memory; none of that should happen to the notebook. `drgan_lib.segmentation.training` starts this process.
"""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from drgan_lib.files import read_json, write_json
from drgan_lib.hardware import choose_device, usable_cores

DATASET_ID = 1


def main(request: dict[str, Any]) -> None:
    """Plans and preprocesses, then trains each fold; completed parts are kept."""
    device = choose_device()
    processes, compact = min(torch.get_num_threads(), usable_cores()), request["trainer"] == "CompactTrainer"
    os.environ |= {"nnUNet_def_n_proc": str(processes), "nnUNet_n_proc_DA": str(processes)}
    os.environ.setdefault("nnUNet_compile", "f" if compact else "t")  # it takes a minute, and a compiler
    # Imported late: nnU-Net reads these variables when it is imported.
    from nnunetv2.run.run_training import run_training

    print(f"STAGE on {device}", flush=True)
    folder = Path(request["preprocessed"]) / request["dataset"]
    done = folder / "complete.json"
    if not done.is_file():
        write_json(done, {"plans": plan_and_preprocess(folder, request, processes)})
    plans_name = read_json(done)["plans"]
    print("STAGE preprocessed", flush=True)
    if compact or device.type == "cpu":  # nnU-Net's own processes have no order (and its planner refuses 0)
        os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112
    configuration, trainer = request["configuration"]["name"], request["trainer"]
    model_folder = Path(request["results"]) / request["dataset"] / f"{trainer}__{plans_name}__{configuration}"
    for fold in request["folds"]:
        fold_folder = model_folder / f"fold_{fold}"
        if (fold_folder / "checkpoint_final.pth").is_file():
            continue
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


def plan_and_preprocess(folder: Path, request: dict[str, Any], processes: int) -> str:
    """nnU-Net's fingerprint, its 2-D plan, the compact configuration beside it where asked, and its preprocessing.

    Returns the name of the plans.
    """
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    configuration = request["configuration"]
    with forked_processes():
        nnunet.extract_fingerprints([DATASET_ID], num_processes=processes, show_progress_bar=False, verbose=False)
        plans_name = nnunet.plan_experiments([DATASET_ID], request["planner"])
        if configuration["name"] != "2d":
            path = folder / f"{plans_name}.json"
            plans = read_json(path)
            plans["configurations"][configuration["name"]] = compact_configuration(plans, configuration)
            write_json(path, plans)
        nnunet.preprocess([DATASET_ID], plans_name, ["2d"], [processes], show_progress_bar=False)
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
def forked_processes() -> Iterator[None]:
    """Gives nnU-Net, which asks for pools of new processes, forks of this one, and takes that back.

    Each new process would spend ten seconds of a core on imports, and nnU-Net has no setting for it. macOS, where a
    fork is not safe, forks a fresh process that has imported it.
    """
    get_context = multiprocessing.get_context
    forks = get_context("forkserver" if sys.platform == "darwin" else "fork")
    forks.set_forkserver_preload(["nnunetv2.experiment_planning.plan_and_preprocess_api"])
    multiprocessing.get_context = lambda method=None: forks
    try:
        yield
    finally:
        multiprocessing.get_context = get_context


if __name__ == "__main__":  # nnU-Net's own processes import this module again
    # A run in a shell's background ignores interrupts, and a process inherits that; its parent means them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(json.load(sys.stdin))
