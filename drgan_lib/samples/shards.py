"""Samples on disk: shards of images and instance maps in Zarr 3, each with its table in Parquet.

A folder holds, per shard, `<start>.zarr` with the arrays `image` (uint8 or uint16 [n, h, w]) and, where there are any,
`instances` (uint16 or uint32 [n, h, w], 0 is background), and `<start>.parquet` with a row per sample; `<start>` is the
number of its first sample. Images of several shapes are filled up with 0 to the largest. The table is written last, so
that a shard without one was cut off and does not count. Zarr and napari read the arrays, pandas the tables.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from zarr.codecs import ZstdCodec

from drgan_lib.files import atomic_path
from drgan_lib.samples.sets import COLUMNS, Sample, SampleError, SampleSet, table_of

SHARD = 32  # samples: what an interruption can cost
OWN = (*COLUMNS, "confidence", "provenance")


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
    """Writes the samples number `start` and following as one shard, in place of one that was there."""
    if bits not in (8, 16):
        raise SampleError(f"expected a depth of 8 or 16 bits, got {bits}")
    stem = Path(folder) / f"{start:07d}"
    stem.with_suffix(".parquet").unlink(missing_ok=True)
    shutil.rmtree(stem.with_suffix(".zarr"), ignore_errors=True)
    group = zarr.create_group(stem.with_suffix(".zarr"))
    full = np.float32(2**bits - 1)
    _store(group, "image", [np.rint(s.image.clip(0, 1) * full) for s in samples], np.dtype(f"uint{bits}"))
    if any(s.instances is not None for s in samples):
        maps = [np.zeros(s.image.shape, np.int32) if s.instances is None else s.instances for s in samples]
        largest = max(int(ids.max(initial=0)) for ids in maps)
        _store(group, "instances", maps, np.dtype(np.uint16 if largest < 2**16 else np.uint32))
    origins = [json.dumps(dict(s.provenance), default=str) for s in samples]
    table = table_of(samples, confidence=[s.confidence for s in samples], provenance=origins)
    with atomic_path(stem.with_suffix(".parquet")) as temporary:
        table.to_parquet(temporary)


def open_samples(folder: str | Path) -> SampleSet:
    """The samples in `folder`, read when they are asked for; an empty set if there are none."""
    folder = Path(folder)
    tables = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    starts = [path.stem for path in sorted(folder.glob("*.parquet"))]
    ends = np.cumsum([len(table) for table in tables], dtype=int)

    @lru_cache(maxsize=2)
    def arrays(shard: int) -> dict[str, zarr.Array]:
        return dict(zarr.open_group(folder / f"{starts[shard]}.zarr", mode="r").arrays())

    def load(k: int) -> Sample:
        shard = int(np.searchsorted(ends, k, side="right"))
        row = k - (int(ends[shard - 1]) if shard else 0)
        return _read(arrays(shard), tables[shard].iloc[row], row)

    def table() -> pd.DataFrame:
        return pd.concat(tables, ignore_index=True).drop(columns=["confidence", "provenance"])

    return SampleSet(int(ends[-1]) if len(ends) else 0, load, table=table if tables else None)


def missing_ranges(folder: str | Path, n: int) -> list[range]:
    """Which of the samples 0 to `n` - 1 are not in `folder`; removes shards that are damaged or were cut off."""
    folder, held = Path(folder), np.zeros(n, bool)
    for path in sorted(folder.glob("*.zarr")):
        start, table = int(path.stem), path.with_suffix(".parquet")
        try:
            group = zarr.open_group(path, mode="r")
            count = len(pd.read_parquet(table, columns=["name"]))
            for array in group.array_values():
                # Zarr reads a lost file as zeros.
                if len(array[:]) != count or array.nchunks_initialized < array.nchunks:
                    raise ValueError("images are missing, or more than the table has")
        except (OSError, ValueError, RuntimeError, KeyError):
            table.unlink(missing_ok=True)
            shutil.rmtree(path)
            continue
        held[start : start + count] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[True], held, [True]]).astype(int)))
    return [range(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


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
