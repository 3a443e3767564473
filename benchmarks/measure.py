"""Timing, and the rows of results.json."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch

WARM_UP = 2  # calls that compile the kernels and fill the caches


def now() -> float:
    """Wall time in seconds, after what a GPU may still have to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def duration(work: Callable[[], object]) -> float:
    """Wall time of one call in seconds."""
    start = now()
    work()
    return now() - start


def seconds(work: Callable[[int], object], repeats: int) -> float:
    """Median wall time of `work(k)` over `repeats` calls, after `WARM_UP` others."""
    return median([duration(lambda k=k: work(k)) for k in range(repeats + WARM_UP)][WARM_UP:])


@contextmanager
def busy_processes(n: int) -> Iterator[None]:
    """So many other processes that compute without end, each on one core."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: sum(range(10**6))"]) for _ in range(n)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def row(value: float, unit: str, *, at_most: float | None = None, at_least: float | None = None) -> dict:
    """One entry of results.json: a figure, the limits it has to keep, and whether it does (None without limits)."""
    met = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    judged = at_most is not None or at_least is not None
    return {"value": value, "unit": unit, "at_most": at_most, "at_least": at_least, "met": met if judged else None}


def beside_busy(name: str, measured: Callable[[int], float], *, at_most: float | None = None) -> dict[str, dict]:
    """Seconds that `measured` finds, and how many times as many beside one and two busy processes, which it is told."""
    times = []
    for n_busy in range(3):
        with busy_processes(n_busy):
            times.append(measured(n_busy))
    alone, beside_one, beside_two = times
    return {
        name: row(alone, "s"),
        f"{name}_beside_a_busy_process": row(beside_one / alone, "x", at_most=at_most),
        f"{name}_beside_two": row(beside_two / alone, "x"),
    }


def line(name: str, entry: dict) -> str:
    """A row of the printed table."""
    limits = [
        f"{side.replace('_', ' ')} {entry[side]:g}" for side in ("at_most", "at_least") if entry[side] is not None
    ]
    verdict = {None: "", True: "met", False: "MISSED"}[entry["met"]]
    return f"{name:36s} {entry['value']:10.4g} {entry['unit']:5s} {' and '.join(limits):14s} {verdict}".rstrip()
