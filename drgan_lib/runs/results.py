"""The results of a run, and what is printed of them: tables as wide as the terminal."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from drgan_lib.files import read_json
from drgan_lib.metric import Metric


def load_results(run: str | Path) -> dict[str, Any]:
    """Content of `results.json` of the run folder `run`, `metrics` as `Metric`; `FileNotFoundError` without one."""
    path = Path(run) / "results.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a folder runs/<material>/<profile> with a results.json, got {run}; run the material first"
        )
    results = read_json(path)
    return results | {"metrics": {name: Metric(**stored) for name, stored in results["metrics"].items()}}


def table(results: dict[str, Any], *, width: int | None = None) -> str:
    """Metrics with their intervals and definitions, then the seconds of each stage; `width` as for `aligned`."""
    rows = [(name, str(metric), metric.split, metric.definition) for name, metric in results["metrics"].items()]
    lines = aligned(("metric", "value", "split", "definition"), rows, width) if rows else ""
    total = sum(results["stages"].values())
    times = [(name, f"{seconds:.0f} s") for name, seconds in (*results["stages"].items(), ("together", total))]
    stages = aligned(("stage", "time"), times, width)
    return f"{lines or 'no metrics yet'}\n\n{stages}\n\ndevice: {results['device']}   seed: {results['seed']}"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """A table of text with columns as wide as their widest cell; the last is wrapped to `width`, or the terminal's."""
    width = width or shutil.get_terminal_size((110, 24)).columns
    taken = sum(max(len(head[i]) + 2, *(len(row[i]) for row in rows)) + 2 for i in range(len(head) - 1))
    limits = [None] * (len(head) - 1) + [max(width - taken, 20)]
    return tabulate(rows, head, "simple", maxcolwidths=limits, disable_numparse=True)
