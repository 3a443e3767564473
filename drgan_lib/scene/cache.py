"""Basis images on the disk: one file per layout, under a key that changes with anything they depend on.

Two runs may share a folder: a file appears under its name only when it is whole, its name says what it holds, and a
file that another run removes is just made again.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from drgan_lib.files import atomic_path
from drgan_lib.scene.trace import Basis

LIMIT_BYTES = 8 * 2**30
ABANDONED_S = 24 * 3600  # temporary files older than this were left by a run that was cut off


class BasisCache:
    """A folder of bases of at most `limit_bytes`; the ones used longest ago go first."""

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES, log: Callable[[str], None] = print):
        self.folder, self.limit_bytes, self.log = Path(folder), limit_bytes, log

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
        """Stores a basis; removes the ones used longest ago until the rest fits, and what interrupted runs left."""
        with atomic_path(self.path(key)) as temporary:
            np.savez(temporary, **{name: tensor.cpu().numpy() for name, tensor in vars(basis).items()})
        whole = []
        for path in self.folder.glob("*.npz"):
            with suppress(FileNotFoundError):  # another run was faster
                stat = path.stat()
                if not path.name.startswith("."):
                    whole.append((stat.st_mtime_ns, stat.st_size, path))
                elif stat.st_mtime < time.time() - ABANDONED_S:
                    path.unlink()
        total = sum(size for _, size, _ in whole)
        for _, size, path in sorted(whole)[:-1]:
            if total <= self.limit_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
