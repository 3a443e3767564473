"""The stages of a run, one for each chapter, and the keys by which it knows what still stands: results, and pages."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from drgan_lib.config import REGISTRIES, Experiment, twin_settings, twin_source, user_files
from drgan_lib.digest import code_behind, digest, file_digest, meaning

WORLD = (
    "material.meshes",
    "material.layout",
    "material.scene",
    "material.bounds",
    "material.dataset.pixel_size_nm",  # by which, and the scale, sizes in nm become scene units
    "material.dataset.working_scale",
)
# Where files lie does not matter, what they hold does; who made them is shown, nothing is computed from it.
NO_CONTENT = {
    "dataset": {"path", "licence", "citation", "annotations"},
    "meshes": {"path"},
    "layout": {"sizes": {"table"}},
}
Parts = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One chapter of the run.

    `settings` are dotted names within the `Experiment`, `data` splits of the dataset (train: images; masks: theirs;
    test: images and masks). These, the code behind the notebook, and the keys of the stages that it `needs` make its
    key. `page_data` are splits that the page lists but that no result depends on.
    """

    name: str
    notebook: str
    folder: str
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    page_data: tuple[str, ...] = ()


STAGES = (
    Stage("quickstart", "00_quickstart", "quickstart", settings=("material", "profile.name", "profile.synthesis")),
    Stage(
        "data",
        "01_data_preparation",
        "data",
        settings=("material.dataset", "material.patches"),
        data=("train",),
        page_data=("test",),
    ),
    Stage(
        "scene",
        "02_scene_design",
        "scene",
        settings=(*WORLD, "profile.gan.n_layouts", "profile.gan.renderer", "profile.gan.spp"),
    ),
    Stage("gan", "03_gan_training", "gan", needs=("data", "scene"), settings=("profile.gan",)),
    Stage(
        "synthesis",
        "04_inference_and_masks",
        "synthetic",
        needs=("gan",),
        settings=("profile.synthesis", "material.contour_px"),
    ),
    Stage(
        "segmentation",
        "05_segmentation_evaluation",
        "segmentation",
        needs=("synthesis",),
        settings=("profile.segmentation", "material.min_area_px", "material.dataset.working_scale"),
        data=("test", "masks"),
    ),
    Stage(
        "quantification",
        "06_quantification",
        "quantification",
        needs=("segmentation",),
        settings=("material.dataset.pixel_size_nm", "material.min_area_px", "material.meshes.shape"),
        data=("test",),
    ),
)


def find_stage(name: str) -> Stage:
    """The stage of this name; raises `KeyError` if there is none."""
    return {stage.name: stage for stage in STAGES}[name]


def stage_parts(exp: Experiment, notebooks: Path, stages: Sequence[Stage] = STAGES) -> dict[str, Parts]:
    """What the results of each stage depend on: seed, settings, code, data, the user's files, and the stages it needs.

    Prose, comments, docstrings, layout and plots do not count: see `page_keys`. JSON can hold the values, so that two
    of them tell what changed (see `differences`). `key_of` gives the key.
    """
    settings = exp.model_dump(mode="json", exclude={"material": NO_CONTENT})
    files = [file_digest(path) for path in user_files(exp.material)]
    found: dict[str, Parts] = {}
    for stage in stages:
        notebook = notebooks / f"{stage.notebook}.py"
        parts = {
            "seed": exp.seed,
            "settings": {name: reduce(getitem, name.split("."), settings) for name in stage.settings},
            "code": {notebook.name: digest(meaning(notebook.read_text())), **code_behind(notebook, named=True)},
            "stages": {name: key_of(found[name]) for name in stage.needs},
            "data": {split: _data_files(exp, split) for split in stage.data},
            "files": files,
        }
        found[stage.name] = json.loads(json.dumps(parts))
    return found


def key_of(parts: Parts) -> str:
    """The key of results that depend on `parts`."""
    return digest(json.dumps(parts, sort_keys=True))


def page_keys(exp: Experiment, notebooks: Path, stages: Sequence[Stage] = STAGES) -> dict[str, str]:
    """Digest of what each page shows beyond its results: all of its text, its plots, and the files that it lists.

    If only this changes, the page is made again under the same key, and no later stage is.
    """
    pages = {}
    for stage in stages:
        notebook = notebooks / f"{stage.notebook}.py"
        parts: list[Any] = [notebook.read_text(), code_behind(notebook, named=True, showing=True)]
        if stage.page_data:
            parts += [_data_files(exp, split) for split in stage.page_data]
            parts += [exp.material.dataset.licence, exp.material.dataset.citation]
        pages[stage.name] = digest(json.dumps(parts))
    return pages


def differences(before: Parts, now: Parts) -> list[str]:
    """What of the parts that a key is made of differs, in words, as `settings: profile.gan`."""
    words = []
    for kind, value in now.items():
        old = before.get(kind)
        if isinstance(value, dict) and isinstance(old, dict):
            names = [name for name in sorted(value.keys() | old.keys()) if value.get(name) != old.get(name)]
            words += [f"{kind}: {', '.join(names)}"] if names else []
        elif old != value:
            words.append(kind)
    return words


def _data_files(exp: Experiment, split: str) -> list[tuple[str, ...]]:
    """Names and digests of the images of a split, with their overlays and, if it is for testing, their masks.

    The split `masks` holds those of the training images, if any arm learns from them.

    A twin's images follow from settings and the user's files, so these stand for them.
    """
    # Imported late: the package takes a second, and twins do not need it.
    from drgan_lib.data import dataset_files, read_registry
    from drgan_lib.data.metadata import side_file

    if split == "masks" and not exp.profile.segmentation.needs_masks:
        return []
    settings = exp.material.dataset
    if settings.path is not None:
        table = dataset_files(settings, settings.path)
        table = table[table["split"] == ("test" if split == "test" else "train")]
        files = [] if split == "masks" else list(table["image"])
        files += [] if split == "train" else [mask for mask in table["mask"] if mask]
        boxes = [("overlays", str(boxes)) for boxes in table["overlays"] if boxes is not None and split != "masks"]
        folder = settings.path.expanduser()
        beside = {file.name: file for name in files if (file := side_file(folder / name))}
        paths = {name: folder / name for name in files} | beside
        return [(name, file_digest(path)) for name, path in paths.items()] + boxes
    if settings.registry is not None:
        registry = REGISTRIES / settings.registry / "registry.tsv"
        table = read_registry(registry, settings.subset)
        wanted = {"train": table["kind"] == "image", "masks": table["kind"] != "image", "test": True}
        rows = table[(table["split"] == ("test" if split == "test" else "train")) & wanted[split]]
        overlays = registry.with_name("overlays.tsv")
        boxes = [("overlays", file_digest(overlays))] if overlays.is_file() and split == "train" else []
        return list(rows[["path", "kind", "sha256"]].itertuples(index=False, name=None)) + boxes
    source = twin_source(exp.material)
    return [
        ("twin", json.dumps(twin_settings(source), sort_keys=True)),
        *((path.name, file_digest(path)) for path in user_files(source)),
    ]
