"""Samples on disk: shards of images and instance maps in Zarr 3, each with its table in Parquet.

A folder holds a folder per shard, whose name is the number of its first sample. In it are `arrays.zarr` with the arrays
`image` (uint8 or uint16 [n, h, w]) and, where there are any, `instances` (uint16 or uint32 [n, h, w], 0 is background),
and `table.parquet` with a row per sample. Images of several shapes are filled up with 0 to the largest. A shard appears
in one step, and the first of two that make the same one counts, so that many processes may write at once. Zarr and
napari read the arrays, pandas the tables.
"""

import json
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet as parquet
import zarr
from zarr.codecs import ZstdCodec

from drgan_lib.files import atomic_folder, remove_folder
from drgan_lib.samples.sets import COLUMNS, Sample, SampleError, SampleSet, table_of

SHARD = 32  # samples: what an interruption can cost
OWN = (*COLUMNS, "confidence", "provenance")
TABLE, ARRAYS = "table.parquet", "arrays.zarr"


def write_samples(folder: str | Path, samples: Iterable[Sample], *, bits: int = 8, shard: int = SHARD) -> SampleSet:
    """Writes `samples` after those that `folder` holds, and returns the whole set; names must differ.

    `bits`, 8 or 16, is the depth to which gray levels are rounded. Samples are taken `shard` at a time, and stand as
    soon as their shard is written.
    """
    folder, waiting = Path(folder), iter(samples)
    start = len(open_samples(folder))
    while part := list(islice(waiting, shard)):
        write_shard(folder, start, part, bits=bits)
        start += len(part)
    return open_samples(folder)


def write_shard(folder: str | Path, start: int, samples: Sequence[Sample], *, bits: int = 8) -> None:
    """Writes the samples number `start` and following as one shard; one that is there stays if it holds as many."""
    if bits not in (8, 16):
        raise SampleError(f"expected a depth of 8 or 16 bits, got {bits}")
    place, full = shard_folder(folder, start), np.float32(2**bits - 1)
    with atomic_folder(place) as work:
        group = zarr.create_group(work / ARRAYS)
        _store(group, "image", [np.rint(s.image.clip(0, 1) * full) for s in samples], np.dtype(f"uint{bits}"))
        if any(s.instances is not None for s in samples):
            maps = [np.zeros(s.image.shape, np.int32) if s.instances is None else s.instances for s in samples]
            largest = max(int(ids.max(initial=0)) for ids in maps)
            _store(group, "instances", maps, np.dtype(np.uint16 if largest < 2**16 else np.uint32))
        origins = [json.dumps(dict(s.provenance), default=str) for s in samples]
        table = table_of(samples, confidence=[s.confidence for s in samples], provenance=origins)
        table.attrs["bytes"] = _sizes(work / ARRAYS)
        table.to_parquet(work / TABLE)
        if shard_length(folder, start) < len(samples):
            remove_folder(place)


def shard_folder(folder: str | Path, start: int) -> Path:
    """Where the shard lies whose first sample is number `start`."""
    return Path(folder) / f"{start:07d}"


def shard_length(folder: str | Path, start: int) -> int:
    """How many samples the shard of this `start` holds; 0 if it is not there, or if a file is lost or was cut off.

    No image is read: files have to be as large as when they were written. Changed bytes come out when they are read.
    """
    place = shard_folder(folder, start)
    try:
        found = parquet.read_metadata(place / TABLE)
        whole = json.loads(found.metadata[b"PANDAS_ATTRS"])["bytes"] == _sizes(place / ARRAYS)
    except (OSError, pyarrow.ArrowInvalid, KeyError):
        return 0
    return found.num_rows if whole else 0


def read_shard(folder: str | Path, start: int) -> SampleSet:
    """The samples of one shard, its table in memory; `SampleError` if files of it are damaged."""
    place = shard_folder(folder, start)
    if not shard_length(folder, start):
        raise SampleError(f"{place} is damaged: remove it, and make its samples again")
    table, arrays = pd.read_parquet(place / TABLE), dict(zarr.open_group(place / ARRAYS, mode="r").arrays())

    def load(k: int) -> Sample:
        try:
            return _read(arrays, table.iloc[k], k)
        except (OSError, ValueError, RuntimeError) as error:  # of Zarr and its checksums, according to the damage
            raise SampleError(f"{place} is damaged ({error}): remove it, and make its samples again") from error

    return SampleSet(len(table), load)


def open_samples(folder: str | Path) -> SampleSet:
    """The samples in `folder`, read when they are asked for; an empty set if there are none.

    Of each shard only the number of its samples is read before; two shards stay open.
    """
    folder = Path(folder)
    starts = [start for start in _starts(folder) if (shard_folder(folder, start) / TABLE).is_file()]
    ends = np.cumsum(
        [parquet.read_metadata(shard_folder(folder, start) / TABLE).num_rows for start in starts], dtype=int
    )
    shard = lru_cache(maxsize=2)(lambda number: read_shard(folder, starts[number]))

    def load(k: int) -> Sample:
        number = int(np.searchsorted(ends, k, side="right"))
        return shard(number)[k - (int(ends[number - 1]) if number else 0)]

    def table() -> pd.DataFrame:
        tables = [pd.read_parquet(shard_folder(folder, start) / TABLE) for start in starts]
        return pd.concat(tables, ignore_index=True).drop(columns=["confidence", "provenance"])

    return SampleSet(int(ends[-1]) if starts else 0, load, table=table if starts else None)


def _starts(folder: Path) -> list[int]:
    """Numbers of the first samples of the shards, in order."""
    return sorted(int(name) for name in os.listdir(folder) if name.isdigit()) if folder.is_dir() else []


def _sizes(place: Path) -> dict[str, int]:
    """Bytes of the files below `place`, by their paths."""
    return {path.relative_to(place).as_posix(): path.stat().st_size for path in place.rglob("*") if path.is_file()}


def _store(group: zarr.Group, name: str, parts: Sequence[np.ndarray], dtype: np.dtype) -> None:
    """One array of all `parts`, filled up to the largest of them, each a chunk, with checksums, in one file."""
    height, width = (max(part.shape[axis] for part in parts) for axis in (0, 1))
    stack = np.zeros((len(parts), height, width), dtype)
    for target, part in zip(stack, parts, strict=True):
        target[: part.shape[0], : part.shape[1]] = part
    array = group.create_array(
        name,
        shape=stack.shape,
        dtype=dtype,
        chunks=(1, height, width),
        shards=stack.shape,
        compressors=ZstdCodec(level=3, checksum=True),
        config={"write_empty_chunks": True},
    )
    array[:] = stack


def _read(arrays: dict[str, zarr.Array], row: pd.Series, k: int) -> Sample:
    inside = k, slice(int(row["height"])), slice(int(row["width"]))
    stored = arrays["image"][inside]
    known = "instances" in arrays and not pd.isna(row["n_particles"])
    confidence = row["confidence"]
    return Sample(
        name=row["name"],
        image=stored / np.float32(np.iinfo(stored.dtype).max),
        pixel_size_nm=None if pd.isna(row["pixel_size_nm"]) else float(row["pixel_size_nm"]),
        instances=arrays["instances"][inside].astype(np.int32) if known else None,
        confidence=None if confidence is None else np.asarray(confidence, np.float32),
        parameters={name: row[name] for name in row.index if name not in OWN},
        provenance=json.loads(row["provenance"]),
    )
