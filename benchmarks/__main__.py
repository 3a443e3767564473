"""Runs every benchmark and writes `{name: {"value", "unit", "target", "met"}}` to benchmarks/results.json."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from benchmarks.rendering import benchmark as rendering
from drgan_lib.files import write_json

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    results = rendering()
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    for name, row in results.items():
        verdict = "" if row["met"] is None else ("met" if row["met"] else "MISSED")
        target = "" if row["target"] is None else f"target {row['target']:g}"
        print(f"{name:36s} {row['value']:10.3f} {row['unit']:8s} {target:14s} {verdict}")
    write_json(RESULTS, results)
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
