"""The data stage: micrographs in; patches, tables and a record of the dataset out."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from drgan_lib.config import DatasetSettings, Experiment
from drgan_lib.data.dataset import dataset_files, open_micrographs
from drgan_lib.data.detect import particles_look_dark
from drgan_lib.data.overlays import TABLE, Box, write_overlays
from drgan_lib.data.patches import PatchSelection, check_sizes, select_patches
from drgan_lib.data.read import common_pixel_size, few_levels
from drgan_lib.data.rescale import rescaled
from drgan_lib.errors import DataError
from drgan_lib.files import atomic_path, read_json, require_free_space, write_json
from drgan_lib.metric import Metric, write_metrics
from drgan_lib.samples import SampleSet, open_samples, write_samples

DEFINITIONS = {
    "train": "crops with whole particles that the GAN learns from, chosen without annotations",
    "background": "crops without particles that are added to the synthetic set, chosen without annotations",
}


def prepare(exp: Experiment, dataset_folder: str | Path, folder: str | Path) -> PatchSelection:
    """Chooses patches of the dataset in `dataset_folder`, writes them to `folder`, and returns the choice.

    Written are the sample sets train and background (16 bit), patches.csv (where each patch came from and why it was
    chosen), particles.csv (what was found: area, and diameter of the circle of that area), all of them in pixels of the
    working resolution; in those of the files overlays.tsv (burnt-in text; corrected and put beside the images it
    holds), metrics.json (numbers of patches) and dataset.json (the split as paths relative to `dataset_folder`, gray
    levels, pixel size in nm, counts). Test files and their masks are read before, so that a bad one is not found hours
    later; nothing of them is kept.
    """
    folder, settings, patches = Path(folder), exp.material.dataset, exp.material.patches
    files = dataset_files(settings, dataset_folder)
    stored = SampleSet.of(open_micrographs(settings, dataset_folder))
    micrographs = SampleSet.of(rescaled(stored, settings.working_scale))
    tests = open_micrographs(settings, dataset_folder, split="test", masks=True)
    check_sizes(rescaled(tests, settings.working_scale), patches.size_px)
    n_patches = patches.max_train + patches.n_background
    require_free_space(folder, 2 * n_patches * patches.size_px**2 + 20 * 2**20, "the data stage")
    if sum(particles_look_dark(sample.image) for sample in micrographs) > len(micrographs) / 2:
        raise DataError(
            f"{micrographs[0].provenance['file']} and most others seem to show dark particles on a bright ground, as "
            "in bright field; expected bright particles on a darker ground: invert the gray levels of all images"
        )
    for sample in stored:
        for told in filter(None, (sample.provenance.get("note"), few_levels(sample.image))):
            warnings.warn(f"{sample.provenance['file']}: {told}", stacklevel=2)
    selection = select_patches(micrographs, patches, seed=exp.seed)
    (folder / "dataset.json").unlink(missing_ok=True)  # it marks complete sets
    for kind, samples in (("train", selection.train), ("background", selection.background)):
        shutil.rmtree(folder / kind, ignore_errors=True)
        write_samples(folder / kind, samples, bits=16)
    areas = np.concatenate([d.areas_px for d in selection.detections])
    names = np.repeat([m.name for m in micrographs], [len(d.areas_px) for d in selection.detections])
    diameters = (2 * np.sqrt(areas / np.pi)).round(2)
    particles = pd.DataFrame({"micrograph": names, "area_px": areas, "diameter_px": diameters})
    for name, table in (("patches", selection.table), ("particles", particles)):
        with atomic_path(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    images = files.loc[files["split"] == "train", "image"]
    hidden = [[Box(*box) for box in sample.provenance["overlays"]] for sample in stored]
    write_overlays(folder / TABLE, dict(zip(images, hidden, strict=True)))
    by_split = files[["name", "image", "mask"]].groupby(files["split"], sort=False)
    about = {
        "name": "/".join(filter(None, (settings.registry or Path(dataset_folder).name, settings.subset))),
        **{split: rows.to_dict("records") for split, rows in by_split},
        "gray_levels": stored[0].provenance["gray_levels"],
        "sample_rows": settings.sample_rows,
        "pixel_size_nm": common_pixel_size(stored),
        "working_scale": settings.working_scale,
        "licence": settings.licence,
        "counts": selection.counts,
        "median_particle_diameter_px": float(np.median(diameters)),
    }
    write_json(folder / "dataset.json", about)
    metrics = {f"{k}_patches": Metric(selection.counts[k], text, split="train") for k, text in DEFINITIONS.items()}
    write_metrics(folder / "metrics.json", metrics)
    return selection


def load_patches(folder: str | Path) -> tuple[SampleSet, SampleSet]:
    """Training and background patches that `prepare` wrote to `folder`."""
    _record(folder)
    return open_samples(Path(folder) / "train"), open_samples(Path(folder) / "background")


def check_split(folder: str | Path, settings: DatasetSettings, dataset_folder: str | Path) -> None:
    """Raises `DataError` if `prepare` has not written to `folder`, or trained on a file that is for testing now."""
    trained = {entry["image"] for entry in _record(folder)["train"]}
    files = dataset_files(settings, dataset_folder)
    for image in files.loc[files["split"] == "test", "image"]:
        if image in trained:
            raise DataError(
                f"{Path(dataset_folder) / image} is for testing, but the data stage trained on it: the split has "
                "changed; run the data stage (notebook 01) again"
            )


def _record(folder: str | Path) -> dict:
    path = Path(folder) / "dataset.json"
    if not path.is_file():
        raise DataError(f"{path}: no record of the dataset yet; run the data stage (notebook 01) first")
    return read_json(path)
