"""Which files are for training and which for testing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from drgan_lib.config import DatasetSettings
from drgan_lib.data.fetch import read_registry
from drgan_lib.data.overlays import TABLE, Box, check_inside, read_overlays
from drgan_lib.data.pixels import SUFFIXES, DataError
from drgan_lib.data.read import Micrograph, read_micrographs

TEST_EVERY = 5


@dataclass(frozen=True)
class Source:
    """One micrograph's file, its mask's, if it has one, and the rectangles of text burnt into it."""

    image: Path
    mask: Path | None = None
    overlays: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """The files of a dataset. No mask is learned from; those of `test` are for scoring."""

    name: str
    folder: Path
    train: list[Source]
    test: list[Source]


def open_dataset(settings: DatasetSettings, folder: str | Path) -> Dataset:
    """Files in `folder`, split into train and test; `DataError` for what cannot be split.

    The split is that of `folder/registry.tsv` (columns path, kind: image, mask or instances, split: train or
    test; with `settings.subset`, only its rows, by the column material); without one, every fifth image in name
    order is for testing (the last one, if there are fewer than five). Images lie in `folder/images` or in `folder`,
    masks in `folder/masks` as `<image>.*` or `<image>_m.*`, if there are any. Names of images, without their
    suffixes, must differ. `folder/overlays.tsv`, if there, says where text is burnt in (see `read_overlays`).
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; check dataset.path, or fetch the dataset")
    registry = folder / "registry.tsv"
    if settings.subset is not None and not registry.is_file():
        raise DataError(f"dataset.subset is {settings.subset!r}, but there is no {registry} to take it from; remove it")
    if registry.is_file():
        table = read_registry(registry)
        images = [folder / path for path in table.loc[table["kind"] == "image", "path"]]
        train, test = _from_registry(take_subset(table, settings.subset, registry), registry)
    else:
        images = _images(folder / "images" if (folder / "images").is_dir() else folder)
        train, test = _from_names(folder, images)
    _require_different_names([source.image for source in train + test])
    boxes = read_overlays(folder / TABLE, images)
    train, test = ([replace(s, overlays=boxes.get(s.image, ())) for s in split] for split in (train, test))
    name = "/".join(filter(None, (settings.registry or folder.name, settings.subset)))
    return Dataset(name, folder, train, test)


def take_subset(table: pd.DataFrame, subset: str | None, registry: Path) -> pd.DataFrame:
    """Rows of a registry's `table` whose column material is `subset` (None: all); `DataError` if there are none."""
    if subset is None:
        return table
    known = sorted(set(table["material"])) if "material" in table else []
    if subset not in known:
        raise DataError(
            f"{registry}: unknown dataset.subset {subset!r}; expected one of {', '.join(known)}"
            if known
            else f"{registry}: has no column material to take dataset.subset {subset!r} by; remove dataset.subset"
        )
    return table[table["material"] == subset]


def training_micrographs(dataset: Dataset, settings: DatasetSettings) -> list[Micrograph]:
    """The micrographs to learn from, on one gray scale, with their overlays; `DataError` as `read_micrographs`."""
    micrographs = read_micrographs(
        [source.image for source in dataset.train],
        sample_rows=settings.sample_rows,
        pixel_size_nm=settings.pixel_size_nm,
    )
    for source, m in zip(dataset.train, micrographs, strict=True):
        check_inside(source.overlays, source.image, m.image.shape, cropped=settings.sample_rows is not None)
    return [replace(m, overlays=s.overlays) for s, m in zip(dataset.train, micrographs, strict=True)]


def _from_registry(table: pd.DataFrame, registry: Path) -> tuple[list[Source], list[Source]]:
    absent = [path for path in table["path"] if not (registry.parent / path).is_file()]
    if absent:
        raise DataError(
            f"{registry} lists {len(table)} files, of which {len(absent)} are missing (first: {absent[0]}); "
            "fetch the dataset again, or delete registry.tsv to use the folder as it is"
        )
    files = {kind: [registry.parent / p for p in rows["path"]] for kind, rows in table.groupby("kind")}
    masks = _by_stem(files.get("mask", []) + files.get("instances", []))
    parts = []
    for split in ("train", "test"):
        rows = table[(table["kind"] == "image") & (table["split"] == split)]
        if rows.empty:
            raise DataError(f"{registry}: no image has split {split}; expected rows of kind image for train and test")
        parts.append([_source(registry.parent / path, masks) for path in rows["path"]])
    return parts[0], parts[1]


def _from_names(folder: Path, images: list[Path]) -> tuple[list[Source], list[Source]]:
    if len(images) < 2:
        place = folder / "images" if (folder / "images").is_dir() else folder
        found = sorted({p.suffix for p in place.iterdir() if p.is_file()} - set(SUFFIXES))
        others = f" (it also has files ending in {', '.join(found)})" if found else ""
        raise DataError(
            f"{place}: expected at least 2 images ending in {', '.join(SUFFIXES)} (one to learn from, one "
            f"to test on), got {len(images)}{others}; add images, or convert them to TIFF or PNG"
        )
    masks = _by_stem(_images(folder / "masks")) if (folder / "masks").is_dir() else {}
    sources = [_source(image, masks) for image in images]
    tested = set(range(TEST_EVERY - 1, len(sources), TEST_EVERY)) or {len(sources) - 1}
    return (
        [s for i, s in enumerate(sources) if i not in tested],
        [s for i, s in enumerate(sources) if i in tested],
    )


def _require_different_names(images: list[Path]) -> None:
    """Masks and predictions go by the name of their image, so two images of one name would share them."""
    by_name: dict[str, Path] = {}
    for image in images:
        if (other := by_name.setdefault(image.stem, image)) is not image:
            raise DataError(
                f"{other} and {image} have the same name but for the suffix or the folder; rename one of them, or "
                "remove it if it is a copy"
            )


def _images(folder: Path) -> list[Path]:
    files = (p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    return sorted(p for p in files if p.suffix.lower() in SUFFIXES)


def _by_stem(masks: list[Path]) -> dict[str, Path]:
    """Masks by the stem of their image."""
    return {path.stem.removesuffix("_m"): path for path in masks} | {path.stem: path for path in masks}


def _source(image: Path, masks: dict[str, Path]) -> Source:
    return Source(image.absolute(), masks[image.stem].absolute() if image.stem in masks else None)
