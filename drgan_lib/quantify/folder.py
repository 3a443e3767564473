"""The folder of a measurement: what it holds, so that nothing is overwritten and an interrupted one goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drgan_lib.files import read_json, write_json

RECORD, WORK = "measurement.json", ".work"
POOLED = ("particles.csv", "particles.parquet", "particles.json", "distribution.csv", "distribution.png")


class MeasureError(ValueError):
    """A measurement that cannot be made or found; the message says what to do."""


def open_folder(out: Path, request: Mapping[str, Any]) -> None:
    """Makes `out` the folder of the measurement `request`, or finds that it is; else raises `MeasureError`.

    A measurement that holds no result yet may change.
    """
    if reserved := sorted(name for name in request["images"] if name.casefold() in (*POOLED, RECORD, WORK)):
        raise MeasureError(f"{reserved[0]}: a result of all images has this name; rename the image")
    if (out / RECORD).is_file():
        held = read_json(out / RECORD)
        changed = sorted(key for key in request.keys() | held.keys() if request.get(key) != held.get(key))
        if changed and any((out / name).is_dir() for name in held["images"]):
            raise MeasureError(
                f"{out} holds another measurement, with other {', '.join(changed)}; nothing is overwritten: choose "
                "another folder for the results, or move this one away"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MeasureError(f"{out} exists and holds no measurement; choose a new folder for the results")
    write_json(out / RECORD, request)


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """A folder that becomes `path` when all its files are written; what a killed process left of one is removed."""
    work = path.parent / WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
        os.replace(work, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
