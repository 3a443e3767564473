"""Runs every benchmark and writes `{name: {"value", "unit", "at_most", "at_least", "met"}}` to results.json here."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from benchmarks import layouts, network, rendering, synthesis, training, transport, workers
from benchmarks.measure import line
from drgan_lib.files import write_json
from drgan_lib.hardware import usable_cores

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    print(f"{platform.machine()}, {usable_cores()} cores, {torch.get_num_threads()} threads")
    results = {}
    for chapter in (layouts, rendering, transport, training, synthesis, network, workers):
        found = chapter.benchmark()
        for name, entry in found.items():
            print(line(name, entry), flush=True)
        results |= found
    write_json(RESULTS, results)
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
