"""One request: trains where it names a dataset, predicts where it names images; completed parts are kept."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import torch


def main(request: dict[str, Any]) -> None:
    # Imported late: each imports a part of nnU-Net, which takes seconds.
    device = torch.device(request["device"])
    if device.type == "cpu":
        torch.set_num_threads(request["threads"])
    results = Path(request["results"])
    if "dataset" in request:
        from drgan_lib.segmentation.worker.train import plan_and_train

        plan_and_train(request, results, device)
    if "predict" in request:
        from drgan_lib.segmentation.worker.predict import predict_all

        predict_all(request["predict"], results, device)


if __name__ == "__main__":  # nnU-Net's own processes import this module again
    # A run in a shell's background ignores interrupts, and a process inherits that; its parent means them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(json.load(sys.stdin))
