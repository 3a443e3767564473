"""Writing so that nothing half-made is ever found under its final name."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

LOCK = ".lock"
ABANDONED_S = 24 * 3600  # temporary files and folders older than this were left by a process that was killed


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
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes it on a clean exit, and is removed otherwise.

    A folder of that name that came meanwhile stays: of two that make the same one, the first counts.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:50]}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        try:
            os.replace(temporary, path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(path: str | Path) -> None:
    """Removes a folder, if it is there, so that at no time a part of it is found under its name."""
    path = Path(path)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name[:50]}.", dir=path.parent)) if path.is_dir() else None
    if aside is not None:
        with suppress(FileNotFoundError):  # another process was faster
            os.replace(path, aside)
        shutil.rmtree(aside, ignore_errors=True)


def remove_abandoned(folder: str | Path) -> None:
    """Removes temporary files and folders directly in `folder` that killed processes left a day ago or earlier."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if (
                    entry.name.startswith(".")
                    and entry.name != LOCK
                    and entry.stat().st_mtime < time.time() - ABANDONED_S
                ):
                    shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)


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
