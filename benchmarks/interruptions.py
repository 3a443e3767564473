"""Kills a run at random moments, resumes it, and compares its metrics: `python -m benchmarks.interruptions FOLDER`.

A run of `--material` at `--profile` is killed (SIGKILL, with its kernels) `--kills` times and resumed each time;
another one runs undisturbed. Both keep their results below FOLDER. Printed are the moments, and whether all metrics are
the same.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from drgan_lib.files import read_json


def start(runs: Path, arguments: argparse.Namespace, log: Path) -> subprocess.Popen:
    """The run, its output at the end of `log`."""
    command = [sys.executable, "-m", "drgan_lib.cli", "run", arguments.material, "--profile", arguments.profile]
    for setting in arguments.P:
        command += ["-P", setting]
    with log.open("a") as output:
        return subprocess.Popen([*command, "--runs", str(runs)], stdout=output, stderr=subprocess.STDOUT)


def kill(process: subprocess.Popen) -> None:
    """Ends the run and all that it started, kernels too, without a chance to tidy up."""
    started = psutil.Process(process.pid).children(recursive=True)
    for other in (process, *started):
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            other.kill()
    process.wait()
    psutil.wait_procs(started, timeout=10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--material", default="twin")
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("-P", action="append", default=[], metavar="SECTION.KEY=VALUE")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    assert start(arguments.folder / "whole", arguments, arguments.folder / "whole.log").wait() == 0
    whole = time.monotonic() - began
    print(f"undisturbed: {whole:.0f} s", flush=True)
    log, spent = arguments.folder / "killed.log", 0.0
    for number, moment in enumerate(np.random.default_rng(arguments.seed).uniform(0.02, 0.25, arguments.kills) * whole):
        process = start(arguments.folder / "killed", arguments, log)
        try:
            process.wait(moment)
            print(f"call {number + 1}: finished before {moment:.0f} s", flush=True)
        except subprocess.TimeoutExpired:
            kill(process)
            print(f"call {number + 1}: killed after {moment:.0f} s", flush=True)
        spent += moment
    began = time.monotonic()
    assert start(arguments.folder / "killed", arguments, log).wait() == 0
    print(f"finished {time.monotonic() - began:.0f} s after the last kill, {spent:.0f} s before it", flush=True)
    place = Path(arguments.material) / arguments.profile / "results.json"
    found, expected = (read_json(arguments.folder / name / place)["metrics"] for name in ("killed", "whole"))
    different = {
        name: (expected[name]["value"], metric["value"])
        for name, metric in found.items()
        if not np.isclose(metric["value"] or 0, expected[name]["value"] or 0, rtol=1e-6)
    }
    print(f"{len(found)} metrics, different: {different or 'none'}")
    return bool(different) or found.keys() != expected.keys()


if __name__ == "__main__":
    sys.exit(main())
