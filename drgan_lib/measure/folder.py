"""The folder of a measurement: what it holds, so that nothing is overwritten and an interrupted one goes on."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drgan_lib.digest import file_digest
from drgan_lib.files import read_json, write_json
from drgan_lib.measure.read import Input
from drgan_lib.quantify import Counting
from drgan_lib.segmentation.model import Model

RECORD = "measurement.json"
POOLED = ("particles.csv", "particles.parquet", "particles.json", "distribution.csv", "distribution.png")
WORK, NNUNET_LOG = ".work", "nnunet.log"


class MeasureError(ValueError):
    """A measurement that cannot be made or found; the message says what to do."""


def describe(inputs: Sequence[Input], model: Model, *, counting: Counting, thickness: bool) -> dict[str, Any]:
    """What decides the results: images, network with the digests of its weights, settings. As JSON gives it back."""
    weights = sorted(model.folder.rglob("checkpoint_final.pth"))
    request = {
        "images": {
            item.name: {
                "file": str(item.path.absolute()),
                "digest": item.digest,
                "shape": item.shape,
                "pixel_size_nm": item.pixel_size_nm,
            }
            for item in inputs
        },
        "sample_rows": inputs[0].sample_rows,
        "model": {k: v for k, v in asdict(model).items() if k != "folder"}
        | {"weights": [file_digest(path) for path in weights]},
        "counting": asdict(counting),
        "thickness": thickness,
    }
    return json.loads(json.dumps(request, default=str))


def open_folder(out: Path, request: dict[str, Any]) -> None:
    """Makes `out` the folder of the measurement `request`, or finds that it is; else raises `MeasureError`.

    A measurement that holds no result yet may change.
    """
    if reserved := sorted(name for name in request["images"] if name.casefold() in (*POOLED, RECORD, WORK, NNUNET_LOG)):
        raise MeasureError(f"{reserved[0]}: a result of all images has this name; rename the image")
    if (out / RECORD).is_file():
        held = read_json(out / RECORD)
        changed = sorted(key for key in request.keys() | held.keys() if request.get(key) != held.get(key))
        if changed and any((out / name).is_dir() for name in held["images"]):
            raise MeasureError(
                f"{out} holds another measurement, with other {', '.join(changed)}; nothing is overwritten: choose "
                "another folder with --out, or move this one away"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MeasureError(f"{out} exists and holds no measurement; choose a new folder with --out")
    write_json(out / RECORD, request)


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """A folder below `out` for what is only needed meanwhile; removed, as is what a killed process left there."""
    shutil.rmtree(out / WORK, ignore_errors=True)
    (out / WORK).mkdir()
    try:
        yield out / WORK
    finally:
        shutil.rmtree(out / WORK, ignore_errors=True)


@contextmanager
def complete_folder(path: Path, work: Path) -> Iterator[Path]:
    """A folder in `work` that becomes `path` when all its files are written."""
    temporary = Path(tempfile.mkdtemp(dir=work))
    yield temporary
    temporary.chmod(0o755)
    os.replace(temporary, path)
