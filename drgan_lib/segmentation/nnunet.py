"""Drives nnU-Net v2: checks the training set, runs planning, training and prediction in a process of its own.

Isensee et al., Nature Methods 18, 203 (2021). nnU-Net's own plan and trainer are the `default`; `compact` is
the same method with a smaller network and a fixed number of iterations
(`drgan_lib.segmentation.trainers`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.io import imsave

from drgan_lib.classes import nnunet_raw
from drgan_lib.config import Experiment
from drgan_lib.data import held_out_sources, read_held_out
from drgan_lib.digest import code_digest
from drgan_lib.files import atomic_path, read_json, require_free_space, write_json
from drgan_lib.segmentation.checks import SegmentationError, check_raw
from drgan_lib.segmentation.trainers import COMPACT_EPOCH

DEFAULT_EPOCHS = 1000  # of nnU-Net's trainer, 250 iterations each
TRAINERS, WORKER = Path(__file__).parent / "trainers", Path(__file__).parent / "worker.py"


def segment(exp: Experiment, folder: str | Path, *, log: Callable[[str], None] = print) -> Path:
    """Trains nnU-Net on the synthetic set, segments the test micrographs of the dataset in `folder`.

    Returns the folder of predictions.
    Predictions are `<name>.png` (classes 0, 1, 2) and `<name>_probability.png` (of class 1). nnU-Net's output
    goes to `nnunet.log`. An interrupted training resumes; other settings, another training set or other code that
    trains start anew. Raises `SegmentationError` for an unusable training set and when nnU-Net fails or is killed,
    `DataError` for unusable test micrographs.
    """
    stage, raw = exp.stage_dir("segmentation").resolve(), nnunet_raw(exp).resolve()
    patch_px = exp.material.patches.size_px
    n_images = check_raw(raw, patch_px=patch_px)
    require_free_space(stage, n_images * patch_px**2 * 6 + 2**30, "preprocessing and training")
    write_test_images(exp, folder)
    _start_anew_if_changed(exp, stage, raw)
    request = _request(exp, stage, raw)
    write_json(stage / "request.json", request)
    predictions = stage / "predictions"
    shutil.rmtree(predictions, ignore_errors=True)
    _log_start(request, n_images, log)
    run_worker(stage, environment(exp), epochs=request["epochs"], log=log)
    missing = [p.name for p in (stage / "images").glob("*.png") if not (predictions / p.name).is_file()]
    if missing:
        raise SegmentationError(f"nnU-Net left no prediction for {missing}; see {stage / 'nnunet.log'}")
    return predictions


def write_test_images(exp: Experiment, folder: str | Path) -> list[Path]:
    """Test micrographs of the dataset in `folder` as 16-bit PNG `segmentation/images/<name>.png`.

    They are cropped to the sample rows and have the gray scale of the training micrographs.
    """
    images, paths = exp.stage_dir("segmentation") / "images", []
    shutil.rmtree(images, ignore_errors=True)
    for source in held_out_sources(exp, folder):
        micrograph = read_held_out(exp, source)
        paths.append(images / f"{micrograph.name}.png")
        with atomic_path(paths[-1]) as temporary:
            imsave(temporary, np.round(micrograph.image * 65535).astype(np.uint16), check_contrast=False)
    return paths


def environment(exp: Experiment) -> dict[str, str]:
    """Environment of the nnU-Net process: its folders, our trainers' place, limits for few cores."""
    stage = exp.stage_dir("segmentation").resolve()
    variables = {
        "nnUNet_raw": str(nnunet_raw(exp).resolve().parent),
        "nnUNet_preprocessed": str(stage / "nnUNet_preprocessed"),
        "nnUNet_results": str(stage / "nnUNet_results"),
        "nnUNet_extTrainer": str(TRAINERS),
        "nnUNet_def_n_proc": str(torch.get_num_threads()),
        "nnUNet_n_proc_DA": str(torch.get_num_threads()),
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads leave shared cores to others
        "nnUNet_compile": "t" if torch.cuda.is_available() else "f",
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "agg",
    }
    return {**os.environ, **variables}


def run_worker(stage: Path, variables: dict[str, str], *, epochs: int, log: Callable[[str], None]) -> None:
    """Runs the worker on `stage/request.json`; its output goes to `stage/nnunet.log`, a summary to `log`."""
    command = [sys.executable, "-m", "drgan_lib.segmentation.worker", str(stage / "request.json")]
    report, last = Reporter(epochs, log), []
    with (stage / "nnunet.log").open("a") as log_file:
        process = subprocess.Popen(
            command,
            env=variables,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            for line in process.stdout:
                log_file.write(line)
                last = [*last[-7:], line]
                report(line)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL) or any("6 feet under" in line for line in last):
        raise SegmentationError(
            "nnU-Net was killed, most likely for lack of memory; lower segmentation.batch_size or "
            "segmentation.features, or close other programs, and run again: training resumes"
        )
    if code:
        raise SegmentationError(
            f"nnU-Net failed (exit status {code}); its log is {stage / 'nnunet.log'}:\n{''.join(last)}"
        )


class Reporter:
    """Turns nnU-Net's output into a few lines."""

    def __init__(self, epochs: int, log: Callable[[str], None]):
        self.epochs, self.log, self.epoch = epochs, log, 0
        self.every = max(1, epochs // 20)

    def __call__(self, line: str) -> None:
        if line.startswith("STAGE "):
            self.log(f"nnU-Net: {line.removeprefix('STAGE ').strip()}")
        elif found := re.search(r": Epoch (\d+)\s*$", line):
            self.epoch = int(found[1]) + 1
        elif (found := re.search(r": train_loss (\S+)", line)) and (
            self.epoch % self.every == 0 or self.epoch == self.epochs
        ):
            self.log(f"nnU-Net: epoch {self.epoch}/{self.epochs}, training loss {float(found[1]):.3f}")


def _request(exp: Experiment, stage: Path, raw: Path) -> dict[str, Any]:
    settings = exp.profile.segmentation
    compact = settings.trainer == "compact"
    configuration = {
        "name": "2d_compact",
        "patch_px": exp.material.patches.size_px,
        "seed": exp.seed,
        **settings.model_dump(include={"iterations", "batch_size", "features", "stages"}),
    }
    return {
        "dataset": raw.name,
        "trainer": "CompactTrainer" if compact else "AtomicTrainer",
        "configuration": configuration if compact else {"name": "2d"},
        "epochs": -(-settings.iterations // COMPACT_EPOCH) if compact else DEFAULT_EPOCHS,
        "fold": settings.fold,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "preprocessed": str(stage / "nnUNet_preprocessed"),
        "results": str(stage / "nnUNet_results"),
        "images": str(stage / "images"),
        "predictions": str(stage / "predictions"),
    }


def _start_anew_if_changed(exp: Experiment, stage: Path, raw: Path) -> None:
    """Removes what was trained with other settings, on another training set or by other code."""
    digest = hashlib.sha256(f"{exp.profile.segmentation!r} {exp.seed} {exp.material.patches.size_px}".encode())
    for path in sorted(raw.glob("*Tr/*.png")):
        digest.update(path.name.encode() + path.read_bytes())
    digest.update(code_digest([*TRAINERS.glob("*.py"), WORKER], root=WORKER.parent).encode())
    mark, key = stage / "trained_on.json", {"sha256": digest.hexdigest()}
    if not mark.is_file() or read_json(mark) != key:
        for folder in ("nnUNet_preprocessed", "nnUNet_results"):
            shutil.rmtree(stage / folder, ignore_errors=True)
        (stage / "nnunet.log").unlink(missing_ok=True)
        write_json(mark, key)


def _log_start(request: dict[str, Any], n_images: int, log: Callable[[str], None]) -> None:
    configuration = request["configuration"]
    if request["trainer"] == "CompactTrainer":
        how = (
            f"compact trainer, {configuration['iterations']} iterations, "
            f"{configuration['features']} features, {configuration['stages']} stages"
        )
    else:
        how = "default trainer (nnU-Net's own plan; iterations, batch_size, features and stages do not apply)"
    log(f"nnU-Net: {n_images} training images, {how}, on {request['device']}")
