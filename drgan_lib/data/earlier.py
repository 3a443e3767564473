"""What stages that do not read sample sets yet take the data stage for."""  # until the later stages read sample sets

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from drgan_lib.config import DatasetSettings, Experiment
from drgan_lib.data.dataset import dataset_files, open_micrographs
from drgan_lib.data.read import GrayLevels, read_micrograph
from drgan_lib.data.stage import check_split
from drgan_lib.files import read_json
from drgan_lib.samples import Sample, open_samples


def open_dataset(settings: DatasetSettings, folder: str | Path) -> SimpleNamespace:
    folder = Path(folder).expanduser().absolute()
    sources = {"train": [], "test": []}
    for row in dataset_files(settings, folder).itertuples():
        mask = row.mask and folder / row.mask
        sources[row.split].append(SimpleNamespace(image=folder / row.image, mask=mask, overlays=row.overlays))
    return SimpleNamespace(folder=folder, **sources)


def training_micrographs(dataset: SimpleNamespace, settings: DatasetSettings) -> list[SimpleNamespace]:
    micrographs = open_micrographs(settings, dataset.folder)
    return [SimpleNamespace(name=m.name, image=m.image, overlays=m.provenance["overlays"]) for m in micrographs]


def held_out_sources(exp: Experiment, folder: str | Path) -> list[SimpleNamespace]:
    check_split(exp.stage_dir("data"), exp.material.dataset, folder)
    return open_dataset(exp.material.dataset, folder).test


def read_held_out(exp: Experiment, source: SimpleNamespace) -> Sample:
    levels = GrayLevels(**read_json(exp.stage_dir("data") / "dataset.json")["gray_levels"])
    return read_micrograph(source.image, sample_rows=exp.material.dataset.sample_rows, levels=levels)


def load_arrays(exp: Experiment) -> SimpleNamespace:
    size, folder = exp.material.patches.size_px, exp.stage_dir("data")
    sets = {kind: open_samples(folder / kind) for kind in ("train", "background")}
    return SimpleNamespace(**{k: s.images() if len(s) else np.empty((0, size, size)) for k, s in sets.items()})
