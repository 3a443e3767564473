"""Drives nnU-Net v2: plans, trains and predicts in a process of its own.

Isensee et al., Nature Methods 18, 203 (2021). nnU-Net's own plan and trainer are the `default`; `compact` is
the same method with a smaller network and a fixed number of iterations
(`drgan_lib.segmentation.trainers`).

A network lies in a folder: `nnUNet_results` in nnU-Net's layout, `nnunet.log`, and `trained_on.json`, a digest of what
made it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drgan_lib.config import Experiment
from drgan_lib.digest import code_digest
from drgan_lib.files import read_json, require_free_space, write_json
from drgan_lib.segmentation.checks import SegmentationError, check_raw
from drgan_lib.segmentation.predictions import predicted_names
from drgan_lib.segmentation.trainers import COMPACT_EPOCH

DEFAULT_EPOCHS = 1000  # of nnU-Net's trainer, 250 iterations each
HERE = Path(__file__).parent
# The code that networks and that predictions come from.
TRAINERS, TRAIN, PREDICT = HERE / "trainers", HERE / "worker" / "train.py", HERE / "worker" / "predict.py"
NO_MEMORY = (
    "6 feet under",
    "no longer alive",
    "can't allocate memory",
    "out of memory",
    "MemoryError",
    "std::bad_alloc",
)


def train(exp: Experiment, raw: Path, folder: Path, *, seed: int, log: Callable[[str], None] = print) -> None:
    """Trains the network `folder` on the raw dataset `raw` from `seed`, unless that has been done.

    nnU-Net's output goes to `nnunet.log`. An interrupted training resumes; other settings, another training set or
    other code that trains start anew. Raises `SegmentationError` for an unusable training set and when nnU-Net fails or
    is killed.
    """
    n_images = check_raw(raw, patch_px=exp.network_px)
    _start_anew_if_changed(exp, folder, raw, seed)
    if is_trained(folder):
        return
    require_free_space(folder, n_images * exp.material.patches.size_px**2 * 6 + 2**30, "preprocessing and training")
    preprocessed = folder / "nnUNet_preprocessed"
    request = _request(exp, folder, raw, seed)
    _log_start(request, n_images, log)
    run_worker(request, _environment(folder, raw.parent, preprocessed), folder / "nnunet.log", log=log)
    write_json(folder / "trained_on.json", read_json(folder / "trained_on.json") | {"complete": True})
    shutil.rmtree(preprocessed)


def predict(
    folder: Path, places: Sequence[tuple[Path, Path]], log_file: Path, *, log: Callable[[str], None] = print
) -> None:
    """Segments with the network `folder` all images of each (images, out) in `places`; nnU-Net's output: `log_file`.

    images/NAME.png, gray [h, w], gives what `drgan_lib.segmentation.predictions` reads in `out`. For parts of a larger
    image, images/levels.json may hold the levels of that under each NAME, `mean`, `std`, `min` and `max`: nnU-Net would
    else stretch an empty part until its noise looks like particles. Needs some 60 bytes of memory per pixel of the
    largest image. Raises `SegmentationError` where the network is not trained, and when nnU-Net fails.
    """
    if not is_trained(folder):
        raise SegmentationError(f"expected a trained network in {folder}, found none; run the segmentation stage first")
    pairs = [{"images": str(images.resolve()), "out": str(out.resolve())} for images, out in places]
    request = {"results": str(folder / "nnUNet_results"), "predict": pairs}
    run_worker(request, _environment(folder, folder, folder), log_file, log=log)
    for images, out in places:
        if missing := unpredicted(images, out):
            raise SegmentationError(f"nnU-Net left no prediction for {missing}; see {log_file}")


def unpredicted(images: Path, out: Path) -> list[str]:
    """Names of those PNG files in `images` that have no whole prediction in `out`."""
    return sorted({path.stem for path in images.glob("*.png")} - predicted_names(out))


def is_trained(folder: Path) -> bool:
    """Whether the training of the network `folder` came to its end."""
    mark = folder / "trained_on.json"
    return mark.is_file() and read_json(mark).get("complete", False)


def _environment(folder: Path, raw: Path, preprocessed: Path) -> dict[str, str]:
    """Environment of the nnU-Net process: its folders and our trainers' place; the worker adds what the machine has."""
    variables = {
        "nnUNet_raw": str(raw.resolve()),
        "nnUNet_preprocessed": str(preprocessed.resolve()),
        "nnUNet_results": str((folder / "nnUNet_results").resolve()),
        "nnUNet_extTrainer": str(TRAINERS),
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads leave shared cores to others
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "agg",
    }
    return {**os.environ, **variables}


def run_worker(
    request: dict[str, Any], variables: dict[str, str], log_file: Path, *, log: Callable[[str], None]
) -> None:
    """Runs the worker on `request`; its output goes to the end of `log_file`, a summary to `log`."""
    command = [sys.executable, "-m", "drgan_lib.segmentation.worker"]
    report, last = Reporter(request.get("epochs", 1), log), []
    with log_file.open("a") as output, tempfile.TemporaryFile("w+") as asked:
        json.dump(request, asked)
        asked.seek(0)
        process = subprocess.Popen(
            command,
            env=variables,
            text=True,
            errors="replace",
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            for line in process.stdout:
                output.write(line)
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
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL) or (code and any(sign in "".join(last) for sign in NO_MEMORY)):
        raise SegmentationError(
            "nnU-Net ended for lack of memory, most likely; close other programs, or, with the compact trainer, lower "
            "segmentation.batch_size or segmentation.features, and run again: what is complete is kept. Its log is "
            f"{log_file}"
        )
    if code:
        raise SegmentationError(f"nnU-Net failed (exit status {code}); its log is {log_file}:\n{''.join(last)}")


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


def _request(exp: Experiment, folder: Path, raw: Path, seed: int) -> dict[str, Any]:
    settings = exp.profile.segmentation
    compact = settings.trainer == "compact"
    configuration = {
        "name": "2d_compact",
        "patch_px": exp.network_px,
        "seed": seed,
        **settings.model_dump(include={"iterations", "batch_size", "features", "stages"}),
    }
    return {
        "dataset": raw.name,
        "planner": settings.planner,
        "trainer": "CompactTrainer" if compact else "AtomicTrainer",
        "configuration": configuration if compact else {"name": "2d"},
        "epochs": -(-settings.iterations // COMPACT_EPOCH) if compact else DEFAULT_EPOCHS,
        "folds": [str(k) for k in range(5)] if settings.fold == "five" else [settings.fold],
        "preprocessed": str((folder / "nnUNet_preprocessed").resolve()),
        "results": str((folder / "nnUNet_results").resolve()),
    }


def _start_anew_if_changed(exp: Experiment, folder: Path, raw: Path, seed: int) -> None:
    """Removes what was trained with other settings, on another training set or by other code."""
    settings = exp.profile.segmentation.model_dump(mode="json", exclude={"arms"})
    about = {name: value for name, value in read_json(raw / "dataset.json").items() if name != "description"}
    digest = hashlib.sha256(f"{settings} {seed} {exp.network_px} {about}".encode())
    for path in sorted(raw.glob("*Tr/*.png")):
        digest.update(path.name.encode() + path.read_bytes())
    digest.update(code_digest([*TRAINERS.glob("*.py"), TRAIN], root=TRAINERS.parent).encode())
    mark, key = folder / "trained_on.json", digest.hexdigest()
    if not mark.is_file() or read_json(mark)["sha256"] != key:
        mark.unlink(missing_ok=True)  # first: half a network must not be taken for a trained one
        shutil.rmtree(folder, ignore_errors=True)
        write_json(mark, {"sha256": key})


def _log_start(request: dict[str, Any], n_images: int, log: Callable[[str], None]) -> None:
    configuration = request["configuration"]
    if request["trainer"] == "CompactTrainer":
        how = (
            f"compact trainer, {configuration['iterations']} iterations, "
            f"{configuration['features']} features, {configuration['stages']} stages"
        )
    else:
        how = "default trainer (nnU-Net's own plan; iterations, batch_size, features and stages do not apply)"
    if len(request["folds"]) > 1:
        how += f", {len(request['folds'])} folds one after the other"
    log(f"nnU-Net: {n_images} training images, {how}")
