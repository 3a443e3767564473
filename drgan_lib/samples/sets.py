"""An image and all that is known of it, and many of them, read or made one at a time when they are asked for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import pandas as pd

from drgan_lib.errors import DrganError

Table = Callable[[], pd.DataFrame]
COLUMNS = {"name": object, "height": int, "width": int, "pixel_size_nm": float, "n_particles": "Int64"}


class SampleError(DrganError, ValueError):
    """A sample or a set of them that cannot be used; the message says what was expected and what came."""


@dataclass(frozen=True)
class Sample:
    """An image, what it shows and where it is from.

    Parameters
    ----------
    name : str
        Names the image within a set.
    image : float32 [h, w]
        Gray levels in [0, 1].
    pixel_size_nm : float or None
        Side of a pixel; None where it is not known.
    instances : int32 [h, w] or None
        One id above 0 per particle, 0 for background; None where nothing is known of the particles. In memory, some
        pixels may be `drgan_lib.classes.UNKNOWN`.
    confidence : float32 [n] or None
        How sure a segmenter is of each instance, in [0, 1], in the order of rising ids.
    parameters : mapping
        Numbers that made the image, as a renderer's parameters, by name.
    provenance : mapping
        Where the image is from, in values that JSON can hold.

    Raises `SampleError` for arrays of another kind or shape. Other types of the right kind are converted.
    """

    name: str
    image: np.ndarray
    pixel_size_nm: float | None = None
    instances: np.ndarray | None = None
    confidence: np.ndarray | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        image = np.asarray(self.image)
        if image.ndim != 2 or not np.issubdtype(image.dtype, np.floating):
            raise SampleError(
                f"{self.name}: expected a gray image of floats [h, w] in [0, 1], got {image.dtype} of shape "
                f"{image.shape}; divide gray levels by their full scale"
            )
        object.__setattr__(self, "image", image.astype(np.float32, copy=False))
        if self.instances is not None:
            ids = np.asarray(self.instances)
            if ids.shape != image.shape or not np.issubdtype(ids.dtype, np.integer):
                raise SampleError(
                    f"{self.name}: expected instances as integers of the image's shape {image.shape}, got {ids.dtype} "
                    f"of shape {ids.shape}"
                )
            object.__setattr__(self, "instances", ids.astype(np.int32, copy=False))

    @property
    def n_particles(self) -> int | None:
        """Number of particles in view; None where nothing is known of them."""
        return None if self.instances is None else len(np.unique(self.instances[self.instances > 0]))


class SampleSet(Sequence[Sample]):
    """`n` samples, of which `load(k)` gives number k.

    `len(s)`, `s[3]`, `s[:10]`, `s[[4, 2]]`, `for sample in s`, `a + b` and `s.map(function)` keep no image in memory.
    """

    def __init__(self, n: int, load: Callable[[int], Sample], *, table: Table | None = None):
        self._n, self._load, self._table = n, load, table

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> "SampleSet":
        """The set of samples that are in memory."""
        held = list(samples)
        return cls(len(held), held.__getitem__)

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int]) -> "SampleSet": ...

    def __getitem__(self, index):
        if not isinstance(index, int | np.integer):
            chosen = np.arange(self._n)[index].tolist()
            return SampleSet(len(chosen), lambda k: self._load(chosen[k]), table=lambda: self.table().iloc[chosen])
        if not -self._n <= index < self._n:
            raise IndexError(f"expected a number below {self._n}, the size of the set, got {index}")
        return self._load(int(index) % self._n)

    def __add__(self, other: "SampleSet") -> "SampleSet":
        n = len(self)
        return SampleSet(
            n + len(other),
            lambda k: self._load(k) if k < n else other[k - n],
            table=lambda: pd.concat([self.table(), other.table()], ignore_index=True),
        )

    def map(self, function: Callable[[Sample], Sample]) -> "SampleSet":
        """The set of `function(sample)`, computed each time that a sample is asked for."""
        return SampleSet(self._n, lambda k: function(self._load(k)))

    def images(self) -> np.ndarray:
        """All images at once, float32 [n, h, w]; they must share one shape."""
        return np.stack([sample.image for sample in self]) if self._n else np.zeros((0, 0, 0), np.float32)

    def table(self) -> pd.DataFrame:
        """A row per sample: `name`, `height` and `width` in px, `pixel_size_nm`, `n_particles`, and its parameters."""
        return self._table().reset_index(drop=True) if self._table else table_of(self)


def table_of(samples: Iterable[Sample], **more: Sequence) -> pd.DataFrame:
    """The table of `SampleSet.table`, with the columns `more`; `ValueError` for a parameter of a column's name."""
    rows = []
    for sample in samples:
        height, width = sample.image.shape
        fixed = {"name": sample.name, "height": height, "width": width}
        fixed |= {"pixel_size_nm": sample.pixel_size_nm, "n_particles": sample.n_particles}
        if taken := fixed.keys() & sample.parameters.keys():
            raise ValueError(f"{sample.name}: expected parameters of other names than the table's columns, got {taken}")
        rows.append(fixed | dict(sample.parameters))
    table = pd.DataFrame(rows, columns=None if rows else list(COLUMNS)).astype(COLUMNS)
    return table.assign(**more)
