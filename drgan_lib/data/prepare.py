"""The data stage: micrographs in, patches, their table, and figures that show the choice out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from drgan_lib.config import Experiment
from drgan_lib.data.dataset import Dataset, Source, open_dataset, training_micrographs
from drgan_lib.data.figures import plot_patches, plot_selection
from drgan_lib.data.held_out import check_held_out
from drgan_lib.data.patches import PatchSelection, select_patches
from drgan_lib.data.pixels import DataError
from drgan_lib.data.read import Micrograph
from drgan_lib.files import atomic_path, require_free_space, write_json

DEFINITIONS = {
    "train": "crops with whole particles that the GAN learns from, chosen without annotations",
    "background": "crops without particles that are added to the synthetic set, chosen without annotations",
}


@dataclass(frozen=True)
class Patches:
    """`train` float32 [n, s, s], `background` float32 [m, s, s] in [0, 1]; `pixel_size_nm` None: unknown."""

    train: np.ndarray
    background: np.ndarray
    pixel_size_nm: float | None


def prepare(exp: Experiment, folder: str | Path) -> Path:
    """Runs the data stage on the dataset in `folder`; returns the stage's folder.

    Writes patches.npz (8 bit), patches.csv (where each patch came from and why it was chosen), particles.csv
    (what was found), selection.png and patches.png (the choice as figures), dataset.json (the split as paths
    relative to `folder`, gray levels, pixel size in nm, counts) and figures.json (numbers of patches). Test
    files are checked, so that a bad one is not found hours later; nothing of their content is kept.
    """
    stage, settings = exp.stage_dir("data"), exp.material.dataset
    dataset = open_dataset(settings, folder)
    micrographs = training_micrographs(dataset, settings)
    pixel_size_nm = common_pixel_size(micrographs)
    levels, patches = micrographs[0].levels, exp.material.patches
    check_held_out(dataset.test, levels=levels, sample_rows=settings.sample_rows, size_px=patches.size_px)
    n_patches = patches.max_train + patches.n_background
    require_free_space(stage, n_patches * patches.size_px**2 + 20 * 2**20, "the data stage")
    selection = select_patches(micrographs, patches, seed=exp.seed)
    with atomic_path(stage / "patches.npz") as temporary:
        np.savez_compressed(
            temporary,
            train=_to_uint8(selection.train),
            background=_to_uint8(selection.background),
            pixel_size_nm=np.float64(pixel_size_nm or np.nan),
        )
    with atomic_path(stage / "patches.csv") as temporary:
        selection.table.to_csv(temporary, index=False)
    plot_selection(micrographs, selection, stage / "selection.png")
    plot_patches(selection, stage / "patches.png")
    particles = _particles(micrographs, selection)
    with atomic_path(stage / "particles.csv") as temporary:
        particles.to_csv(temporary, index=False)
    write_json(
        stage / "dataset.json",
        {
            "name": dataset.name,
            "train": [_entry(dataset, source) for source in dataset.train],
            "test": [_entry(dataset, source) for source in dataset.test],
            "gray_levels": asdict(levels),
            "sample_rows": settings.sample_rows,
            "pixel_size_nm": pixel_size_nm,
            "licence": settings.licence,
            "counts": selection.counts,
            "median_particle_diameter_px": float(particles["diameter_px"].median()),
        },
    )
    write_json(
        stage / "figures.json",
        {
            f"{kind}_patches": {"value": selection.counts[kind], "definition": definition, "split": "train"}
            for kind, definition in DEFINITIONS.items()
        },
    )
    return stage


def load_patches(exp: Experiment) -> Patches:
    """Patches that `prepare` wrote."""
    path = exp.stage_dir("data") / "patches.npz"
    if not path.is_file():
        raise DataError(f"{path}: no patches yet; run the data stage (notebook 01) first")
    with np.load(path) as stored:
        size = float(stored["pixel_size_nm"])
        train, background = (stored[key].astype(np.float32) / 255 for key in ("train", "background"))
    return Patches(train, background, None if np.isnan(size) else size)


def common_pixel_size(micrographs: Sequence[Micrograph]) -> float | None:
    """Pixel size in nm of micrographs that must share it within 1 %; None if no file tells."""
    sizes = {m.path.name: m.pixel_size_nm for m in micrographs if m.pixel_size_nm is not None}
    if not sizes:
        return None
    small, large = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
    if sizes[large] > 1.01 * sizes[small]:
        raise DataError(
            f"the micrographs differ in pixel size: {sizes[small]:g} nm in {small}, {sizes[large]:g} nm "
            f"in {large}; use one magnification at a time, or set dataset.pixel_size_nm after resampling them"
        )
    return float(np.median(list(sizes.values())))


def _particles(micrographs: Sequence[Micrograph], selection: PatchSelection) -> pd.DataFrame:
    """One row per particle found: its micrograph, area, and equivalent diameter (of the circle of that
    area).
    """
    names = [m.name for m in micrographs]
    counts = [len(d.areas_px) for d in selection.detections]
    areas = np.concatenate([d.areas_px for d in selection.detections])
    diameters = 2 * np.sqrt(areas / np.pi)
    return pd.DataFrame({"micrograph": np.repeat(names, counts), "area_px": areas, "diameter_px": diameters.round(2)})


def _to_uint8(images: np.ndarray) -> np.ndarray:
    return np.rint(images * 255).astype(np.uint8)


def _entry(dataset: Dataset, source: Source) -> dict[str, str | None]:
    image, mask = (
        path and path.relative_to(dataset.folder.absolute()).as_posix() for path in (source.image, source.mask)
    )
    return {"name": source.image.stem, "image": image, "mask": mask}
