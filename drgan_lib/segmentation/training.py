"""Runs nnU-Net's training in a process of its own, and says in a few lines how it goes."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drgan_lib.segmentation.segmenter import SegmentationError

TRAINERS = Path(__file__).parent / "trainers"
NO_MEMORY = "6 feet under|signal: Killed|no longer alive|can't allocate memory|out of memory|MemoryError|std::bad_alloc"


def run_worker(
    request: dict[str, Any], variables: dict[str, str], log_file: Path, *, log: Callable[[str], None] = print
) -> None:
    """Runs `drgan_lib.segmentation.worker` on `request`, with `variables` added to the environment.

    Its output goes to the end of `log_file`, a summary to `log`. Raises `SegmentationError` when it fails or is killed.
    """
    command = [sys.executable, "-m", "drgan_lib.segmentation.worker"]
    own = {
        "nnUNet_extTrainer": str(TRAINERS),
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads leave shared cores to others
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "agg",
    }
    report, last = Reporter(request.get("epochs", 1), log), []
    with log_file.open("a") as output, tempfile.TemporaryFile("w+") as asked:
        json.dump(request, asked)
        asked.seek(0)
        process = subprocess.Popen(
            command,
            env=os.environ | own | variables,
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
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL) or (code and re.search(NO_MEMORY, "".join(last))):
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
