"""The files of a dataset, which of them are for training and which for testing, and the micrographs in them."""

import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from drgan_lib.config import DatasetSettings
from drgan_lib.data.burnt_in import find_burnt_in
from drgan_lib.data.download import read_registry
from drgan_lib.data.overlays import TABLE, read_overlays
from drgan_lib.data.pixels import SUFFIXES
from drgan_lib.data.read import GrayLevels, common_pixel_size, read_mask, read_micrograph
from drgan_lib.errors import DataError
from drgan_lib.samples import Sample, SampleSet

TEST_EVERY = 5


def open_micrographs(
    settings: DatasetSettings, folder: str | Path, *, split: Literal["train", "test"] = "train", masks: bool = False
) -> SampleSet:
    """Micrographs of one `split` of the dataset in `folder`, each read when it is asked for.

    All have the gray scale of the training images, for which these are read once; the data bar is cut off. The pixel
    size is that of the settings, else of the file, else the median of the training images. With `masks`, micrographs
    that have one get their `instances`; without, no mask is opened. `provenance` holds the path "file", the
    "gray_levels" as stored, "overlays", the rectangles [top, left, bottom, right] of burnt-in text in px, and "note"
    where the pixel size is in doubt. Text is looked for in images that the table of the dataset does not name.

    Raises `DataError` for what `dataset_files` refuses, and when an image is read for what `read_micrograph` and
    `read_mask` refuse, training images that are not stored alike, and masks and overlays that do not fit the image.
    """
    folder, files = Path(folder).expanduser(), dataset_files(settings, folder)
    reading = {"sample_rows": settings.sample_rows, "pixel_size_nm": settings.pixel_size_nm}
    chosen = files[files["split"] == split].to_dict("records")

    @cache
    def of_training() -> tuple[GrayLevels, float | None]:
        return _in_common([folder / image for image in files.loc[files["split"] == "train", "image"]], reading)

    def load(k: int) -> Sample:
        path, mask, overlays = folder / chosen[k]["image"], chosen[k]["mask"], chosen[k]["overlays"]
        levels, usual_nm = of_training()
        sample = read_micrograph(path, levels=levels, **reading)
        height, width = sample.image.shape
        for top, left, bottom, right in overlays or ():  # one beyond its image is one of another image
            if right > width or (bottom > height and settings.sample_rows is None):
                raise DataError(
                    f"{path}: {TABLE} has a rectangle of rows {top} to {bottom} and columns {left} to {right}, but the "
                    f"image has {height} x {width} px; correct the rectangle"
                )
        instances = read_mask(folder / mask, sample_rows=settings.sample_rows) if masks and mask else None
        bar_rows = sample.provenance.get("bar_rows", 0)
        if instances is not None and bar_rows and len(instances) == height + bar_rows:
            instances = instances[:height]
        if instances is not None and instances.shape != (height, width):
            raise DataError(
                f"{folder / mask}: expected a mask of the shape {(height, width)} of {path.name}, got "
                f"{instances.shape}; give the mask of this image, or remove it"
            )
        size_nm = sample.pixel_size_nm or usual_nm
        about = dict(sample.provenance)
        if overlays is None:
            found = find_burnt_in(path)
            overlays = found.above(height)
            if size_nm and found.scale_bar and (doubt := found.scale_bar.contradicts(size_nm)):
                about["note"] = "; ".join(filter(None, (about.get("note"), doubt)))
        about["overlays"] = [list(box) for box in overlays]
        return replace(sample, pixel_size_nm=size_nm, instances=instances, provenance=about)

    return SampleSet(len(chosen), load)


def _in_common(paths: list[Path], reading: dict[str, Any]) -> tuple[GrayLevels, float | None]:
    """Gray scale and pixel size in nm of images, which are read and not kept."""
    read = [replace(read_micrograph(path, **reading), image=np.zeros((0, 0))) for path in paths]
    levels = [GrayLevels(**sample.provenance["gray_levels"]) for sample in read]
    for path, own in zip(paths, levels, strict=True):
        if own.kind != levels[0].kind:
            raise DataError(
                f"{paths[0]} has {levels[0].kind} gray levels, {path} {own.kind}; gray levels of different depth "
                "cannot be compared: export all images of a dataset with one depth"
            )
    return max(levels, key=lambda own: own.full_scale), common_pixel_size(read)


def dataset_files(settings: DatasetSettings, folder: str | Path) -> pd.DataFrame:
    """A row per micrograph in `folder`: its name, split (train or test), image, mask (or None) and overlays.

    Paths are relative to `folder`. The split is that of `folder/registry.tsv` (see `read_registry`); without one, every
    fifth image in name order is for testing (the last one, if there are fewer than five). Images lie in `folder/images`
    or in `folder`, masks in `folder/masks` as `<image>.*` or `<image>_m.*`, if there are any. `folder/overlays.tsv`, if
    there, says where text is burnt in (see `read_overlays`); overlays are None for images that it does not name. Raises
    `DataError` for what cannot be split, and for two images whose names differ in the suffix alone.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; check dataset.path, or fetch the dataset")
    registry = folder / "registry.tsv"
    if settings.subset is not None and not registry.is_file():
        raise DataError(f"dataset.subset is {settings.subset!r}, but there is no {registry} to take it from; remove it")
    whole = read_registry(registry) if registry.is_file() else _files_of(folder)
    table = read_registry(registry, settings.subset) if settings.subset is not None else whole
    if absent := [path for path in table["path"] if not (folder / path).is_file()]:
        raise DataError(
            f"{registry} lists {len(table)} files, of which {len(absent)} are missing (first: {absent[0]}); "
            "fetch the dataset again, or delete registry.tsv to use the folder as it is"
        )
    boxes = read_overlays(folder / TABLE, [folder / path for path in whole.loc[whole["kind"] == "image", "path"]])
    annotated = [path for kind in ("mask", "instances") for path in table.loc[table["kind"] == kind, "path"]]
    masks = {Path(p).stem.removesuffix("_m"): p for p in annotated} | {Path(p).stem: p for p in annotated}
    rows: dict[str, tuple] = {}
    for split in ("train", "test"):
        images = table.loc[(table["kind"] == "image") & (table["split"] == split), "path"]
        if images.empty:
            raise DataError(f"{registry}: no image has split {split}; expected rows of kind image for train and test")
        for image in images:
            name = Path(image).stem
            if name in rows:  # masks and predictions go by the name of their image
                raise DataError(
                    f"{folder / rows[name][2]} and {folder / image} have the same name but for the suffix or the "
                    "folder; rename one of them, or remove it if it is a copy"
                )
            rows[name] = name, split, image, masks.get(name), boxes.get((folder / image).absolute())
    _tell_of_strays(folder, set(rows), {row[3] for row in rows.values()} - {None})
    return pd.DataFrame(list(rows.values()), columns=["name", "split", "image", "mask", "overlays"], dtype=object)


def _tell_of_strays(folder: Path, names: set[str], used: set[str]) -> None:
    """Warns of files in `folder`/masks that go with no image; `DataError` if none of them does."""
    there = sorted(p for p in (folder / "masks").glob("*") if p.is_file() and not p.name.startswith("."))
    strays = [path.name for path in there if path.relative_to(folder).as_posix() not in used]
    if (folder / "registry.tsv").is_file() or not strays:
        return
    said = (
        f"{folder / 'masks'} holds {len(there)} files, of which {len(strays)} go with no image (first: {strays[0]}); "
        f"masks have the name of their image, as {min(names)}.tif or {min(names)}_m.png, and end in "
        f"{', '.join(SUFFIXES)}; rename or convert them"
    )
    if len(strays) == len(there):
        raise DataError(said)
    warnings.warn(said, stacklevel=2)


def _files_of(folder: Path) -> pd.DataFrame:
    """The table that a registry would hold for the images and masks in a folder without one."""
    place = folder / "images" if (folder / "images").is_dir() else folder
    images, masks = _images(place), _images(folder / "masks")
    if len(images) < 2:
        found = sorted({p.suffix for p in place.iterdir() if p.is_file()} - set(SUFFIXES))
        others = f" (it also has files ending in {', '.join(found)})" if found else ""
        raise DataError(
            f"{place}: expected at least 2 images ending in {', '.join(SUFFIXES)} (one to learn from, one "
            f"to test on), got {len(images)}{others}; add images, or convert them to TIFF or PNG"
        )
    tested = images[TEST_EVERY - 1 :: TEST_EVERY] or images[-1:]
    rows = [(path, "image", "test" if path in tested else "train") for path in images]
    rows += [(path, "mask", "") for path in masks]
    rows = [(path.relative_to(folder).as_posix(), *about) for path, *about in rows]
    return pd.DataFrame(rows, columns=["path", "kind", "split"])


def _images(place: Path) -> list[Path]:
    files = sorted(p for p in place.iterdir() if p.is_file()) if place.is_dir() else []
    return [p for p in files if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
