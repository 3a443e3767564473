"""Bases on the disk. Two runs may share the folder: a file appears under its name only when it is whole, its name says
what it holds, and a file that another run removes is just made again.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from drgan_lib.files import atomic_path, remove_abandoned
from drgan_lib.scene.basis import Basis

LIMIT_BYTES = 8 * 2**30


class BasisCache:
    """A folder of bases of about `limit_bytes`; the ones used longest ago go first.

    The folder is listed when a process writes for the first time, and then each time that it has written a tenth of the
    limit: however many bases there are, a write costs the same.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES, log: Callable[[str], None] = print):
        self.folder, self.limit_bytes, self.log = Path(folder).absolute(), limit_bytes, log
        self._unlisted = limit_bytes  # bytes written since the folder was listed

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def read(self, key: str) -> Basis | None:
        """The basis of `key`; None if it is not there, or, with a note, if it cannot be read."""
        path = self.path(key)
        try:
            with np.load(path, allow_pickle=False) as stored:
                basis = Basis(**{name: torch.from_numpy(stored[name]) for name in Basis.__dataclass_fields__})
        except FileNotFoundError:
            return None
        except Exception as error:  # of NumPy, zipfile and the parser of headers, according to the damaged byte
            self.log(f"{path} is damaged ({type(error).__name__}) and is made again")
            return None
        with suppress(OSError):  # a folder of somebody else's can be read all the same
            os.utime(path)
        return basis

    def write(self, key: str, basis: Basis) -> None:
        """Stores a basis; now and then removes the ones used longest ago, and what interrupted runs left."""
        with atomic_path(self.path(key)) as temporary:
            np.savez(temporary, **{name: tensor.cpu().numpy() for name, tensor in vars(basis).items()})
            self._unlisted += temporary.stat().st_size
        if self._unlisted >= self.limit_bytes / 10:
            self._prune()
            self._unlisted = 0

    def _prune(self) -> None:
        remove_abandoned(self.folder)
        whole = []
        for path in self.folder.glob("[!.]*.npz"):
            with suppress(FileNotFoundError):  # another run was faster
                stat = path.stat()
                whole.append((stat.st_mtime_ns, stat.st_size, path))
        total = sum(size for _, size, _ in whole)
        for _, size, path in sorted(whole)[:-1]:
            if total <= self.limit_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
