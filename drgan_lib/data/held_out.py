"""The test micrographs: checked early, read only to be segmented, and in no way learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drgan_lib.config import Experiment
from drgan_lib.data.dataset import Source, open_dataset
from drgan_lib.data.pixels import DataError
from drgan_lib.data.read import GrayLevels, Micrograph, read_mask, read_micrograph
from drgan_lib.files import read_json


def held_out_sources(exp: Experiment, folder: str | Path) -> list[Source]:
    """Test files of the dataset in `folder`; `DataError` before the data stage, and for files it trained on."""
    trained = {entry["image"] for entry in _record(exp)["train"]}
    dataset = open_dataset(exp.material.dataset, folder)
    for source in dataset.test:
        if source.image.relative_to(dataset.folder.absolute()).as_posix() in trained:
            raise DataError(
                f"{source.image} is for testing, but the data stage trained on it: the split has changed; run the "
                "data stage (notebook 01) again"
            )
    return dataset.test


def read_held_out(exp: Experiment, source: Source) -> Micrograph:
    """A test micrograph on the gray scale of the training images, cropped to the rows above the data bar."""
    levels = GrayLevels(**_record(exp)["gray_levels"])
    return read_micrograph(source.image, sample_rows=exp.material.dataset.sample_rows, levels=levels)


def check_held_out(sources: Sequence[Source], *, levels: GrayLevels, sample_rows: int | None, size_px: int) -> None:
    """Raises `DataError` for a test file that would fail hours later, when it is segmented or scored.

    It must be readable, gray, stored as the training images are (`levels`), at least `size_px` in both directions,
    and have a mask of its shape, if any. Pixels are read for that, but nothing is kept of them.
    """
    for source in sources:
        shape = read_micrograph(source.image, sample_rows=sample_rows, levels=levels).image.shape
        if min(shape) < size_px:
            raise DataError(
                f"{source.image}: this test image is {shape[0]} x {shape[1]} px (above the data bar), smaller than a "
                f"patch of {size_px} x {size_px} px; use larger images or lower patches.size_px"
            )
        if source.mask is not None and (got := read_mask(source.mask, sample_rows=sample_rows).shape) != shape:
            raise DataError(
                f"{source.mask}: expected a mask of the shape {shape} of {source.image.name}, got {got}; "
                "give the mask of this image, or remove it"
            )


def _record(exp: Experiment) -> dict:
    path = exp.stage_dir("data") / "dataset.json"
    if not path.is_file():
        raise DataError(f"{path}: no record of the dataset yet; run the data stage (notebook 01) first")
    return read_json(path)
