"""One request: trains where it names a dataset, predicts where it names images; completed parts are kept."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch


def main(request: dict[str, Any]) -> None:
    device, threads = torch.device("cuda" if torch.cuda.is_available() else "cpu"), torch.get_num_threads()
    os.environ |= {
        "nnUNet_def_n_proc": str(threads),
        "nnUNet_n_proc_DA": str(threads),
        "nnUNet_compile": "t" if device.type == "cuda" else "f",
    }
    results = Path(request["results"])
    # Imported late: each imports a part of nnU-Net, which takes seconds and reads these variables.
    if "dataset" in request:
        from drgan_lib.segmentation.worker.train import plan_and_train

        print(f"STAGE on {device}", flush=True)
        plan_and_train(request | {"threads": threads}, results, device)
    if "predict" in request:
        from drgan_lib.segmentation.worker.predict import predict_all

        predict_all(request["predict"], results, device)


if __name__ == "__main__":  # nnU-Net's own processes import this module again
    # A run in a shell's background ignores interrupts, and a process inherits that; its parent means them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(json.load(sys.stdin))
