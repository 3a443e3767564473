"""The keys by which a run knows what still stands: of a stage's results, and of its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drgan_lib.config import ROOT, Experiment, twin_settings, twin_source, user_files
from drgan_lib.digest import code_digest, digest, file_digest, meaning
from drgan_lib.stages import STAGES, Stage

LIBRARY = Path(__file__).parent
# Where files lie does not matter, what they hold does; who made them is shown, nothing is computed from it.
NO_CONTENT = {
    "dataset": {"path", "licence", "citation", "annotations"},
    "meshes": {"path"},
    "layout": {"sizes": {"table"}},
}


def stage_keys(exp: Experiment, notebooks: Path, stages: tuple[Stage, ...] = STAGES) -> dict[str, str]:
    """Key of every stage: a hash of its settings, the seed, its notebook, sources, data, and its needs' keys.

    Prose, comments, docstrings and layout do not count: see `stage_pages`.
    """
    keys: dict[str, str] = {}
    files = [file_digest(path) for path in user_files(exp.material)]
    for stage in stages:
        parts: dict[str, Any] = {
            "seed": exp.seed,
            "settings": {name: _setting(exp, name) for name in stage.settings},
            "notebook": meaning(_notebook_source(stage, notebooks)),
            "sources": {name: _source_digest(LIBRARY / name) for name in stage.sources},
            "needs": {name: keys[name] for name in stage.needs},
            "data": {split: _data_files(exp, split) for split in stage.data},
            "files": files,
        }
        keys[stage.name] = digest(json.dumps(parts, sort_keys=True))
    return keys


def stage_pages(exp: Experiment, notebooks: Path, stages: tuple[Stage, ...] = STAGES) -> dict[str, str]:
    """Hash of what each page shows beyond its results: all of its text, and the files that it lists.

    If only this changes, the page is executed again under the same key, and no later stage is.
    """
    pages: dict[str, str] = {}
    for stage in stages:
        parts: list[Any] = [_notebook_source(stage, notebooks)]
        if stage.page_data:
            parts += [_data_files(exp, split) for split in stage.page_data]
            parts += [exp.material.dataset.licence, exp.material.dataset.citation]
        pages[stage.name] = digest(json.dumps(parts))
    return pages


def _notebook_source(stage: Stage, notebooks: Path) -> str:
    """Text of the stage's py:percent notebook."""
    return (notebooks / f"{stage.notebook}.py").read_text()


def _setting(exp: Experiment, name: str) -> Any:
    value: Any = exp.model_dump(mode="json", exclude={"material": NO_CONTENT})
    for part in name.split("."):
        value = value[part]
    return value


def _data_files(exp: Experiment, split: str) -> list[tuple[str, ...]]:
    """Names and digests of the images of a split, with their masks if it is for testing, else their overlays.

    The split `masks` holds those of the training images, if any arm learns from them.

    A twin's images follow from settings and the user's files, so these stand for them.
    """
    # Imported late: the package takes a second, and twins do not need it.
    from drgan_lib.data import open_dataset, take_subset
    from drgan_lib.data.fetch import read_registry

    if split == "masks" and not exp.profile.segmentation.needs_masks:
        return []
    settings = exp.material.dataset
    if settings.path is not None:
        dataset = open_dataset(settings, settings.path)
        root = dataset.folder.absolute()
        sources = dataset.test if split == "test" else dataset.train
        files = [s.image for s in sources if split != "masks"]
        files += [s.mask for s in sources if s.mask is not None and split != "train"]
        boxes = [("overlays", str(s.overlays)) for s in sources if s.overlays and split == "train"]
        return [(path.relative_to(root).as_posix(), file_digest(path)) for path in files] + boxes
    if settings.registry is not None:
        registry = ROOT / "data" / settings.registry / "registry.tsv"
        table = take_subset(read_registry(registry), settings.subset, registry)
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


def _source_digest(path: Path) -> str:
    return code_digest(path.rglob("*.py") if path.is_dir() else [path], root=LIBRARY)
