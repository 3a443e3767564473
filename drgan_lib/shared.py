"""What all tasks of a kind need, for the workers of `drgan_lib.executors`: sent once, not with each task."""

import pickle
import uuid
from functools import lru_cache
from pathlib import Path
from typing import Any

from drgan_lib.files import atomic_path


class Shared:
    """`value` for many tasks: pickled, it is the path of a file in `folder`, which each worker process reads once.

    `folder` has to be one that workers see. The file is written when a task first leaves this process, and removed on
    leaving the context; here, `value` is always the object itself.
    """

    def __init__(self, value: Any, folder: str | Path):
        self.value, self._folder, self._path = value, Path(folder), None

    def __enter__(self) -> "Shared":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def __reduce__(self):
        if self._path is None:
            content = pickle.dumps(self.value)
            path = self._folder.absolute() / f".shared-{uuid.uuid4().hex}.pkl"
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
            self._path = path
        return _There, (self._path,)


class _There:
    """A `Shared` as it arrives in a worker."""

    def __init__(self, path: Path):
        self._path = path

    @property
    def value(self) -> Any:
        return _read_once(self._path)


@lru_cache(maxsize=1)  # tasks of one kind follow each other
def _read_once(path: Path) -> Any:
    return pickle.loads(path.read_bytes())
