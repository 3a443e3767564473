"""Writing so that nothing half-made is ever found under its final name."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

LOCK = ".lock"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it on a clean exit and removed otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def sole_use(folder: str | Path) -> Iterator[None]:
    """Makes `folder` and keeps other processes out while the context is open; `OSError` at once if one is in."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OSError(
            f"{folder}: another command is working in this folder; wait until it has finished, or choose another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, default=str) + "\n")


def read_json(path: str | Path) -> Any:
    """Value of a JSON file."""
    return json.loads(Path(path).read_text())


def require_free_space(folder: str | Path, n_bytes: int, purpose: str) -> None:
    """Raises `OSError` before long work starts if the disk of `folder` has less than `n_bytes` free."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            f"{purpose} needs about {n_bytes / 2**20:.0f} MiB in {folder}, but only {free / 2**20:.0f} MiB are free; "
            "free some space or choose another folder"
        )
