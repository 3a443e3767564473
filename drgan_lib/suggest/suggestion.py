"""From a folder of micrographs to a material's file and a plot: what `drgan suggest` does."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from drgan_lib.config import (
    SHAPES,
    ConfigError,
    DatasetSettings,
    LayoutSettings,
    Material,
    MeshSettings,
    PatchSettings,
    SceneSettings,
    load_experiment,
    readable_refusals,
)
from drgan_lib.data import DataError, common_pixel_size, open_micrographs, rescaled, select_patches
from drgan_lib.errors import DrganError
from drgan_lib.files import atomic_path
from drgan_lib.samples import SampleSet
from drgan_lib.suggest.observation import Window, observe
from drgan_lib.suggest.plots import plot_proposal
from drgan_lib.suggest.proposal import Proposal, propose
from drgan_lib.suggest.write import BOUNDS, as_yaml, table


class SuggestError(DrganError, ValueError):
    """A request that cannot be fulfilled; the message says what to do."""


@dataclass(frozen=True)
class Suggestion:
    """What was proposed, rows of it as text in the columns `COLUMNS`, and the files: the material and the plot."""

    proposal: Proposal
    table: list[tuple[str, ...]]
    path: Path
    figure: Path


def suggest_material(
    dataset: DatasetSettings,
    folder: str | Path | Callable[[], Path],
    shape: str,
    *,
    name: str,
    out: str | Path | None = None,
    patches: PatchSettings | None = None,
    scene: SceneSettings | None = None,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> Suggestion:
    """Writes a material for the training micrographs in `folder` to `out` (default: `<name>.yaml`), and a plot.

    Test files and masks are not opened, and nothing is overwritten.

    Parameters
    ----------
    dataset
        Where the files are and how to read them, as the material will hold it.
    folder
        Of the images, or a function that fetches them, called when the rest of the request has been checked.
    shape
        One of `drgan_lib.config.SHAPES`.

    Raises
    ------
    SuggestError, ConfigError, DataError
        For what cannot be used, before the rendering starts.
    """
    out, patches = Path(out or f"{name}.yaml"), patches or PatchSettings()
    figure = out.with_suffix(".png")
    if shape not in SHAPES:
        raise ConfigError(f"unknown shape {shape!r}; expected one of {', '.join(SHAPES)}")
    with readable_refusals():
        material = Material(
            name=name,
            title=name,
            dataset=dataset,
            patches=patches,
            meshes=TypeAdapter(MeshSettings).validate_python({"shape": shape}),
            layout=LayoutSettings(),
            scene=scene or SceneSettings(size_px=patches.size_px),
            bounds=BOUNDS,
        )
    _require_usable(out, figure, seed)
    folder = folder() if callable(folder) else folder
    stored = SampleSet.of(open_micrographs(dataset, folder))
    micrographs = SampleSet.of(rescaled(stored, dataset.working_scale))
    _require_contrast(micrographs)
    dataset = dataset.model_copy(update={"pixel_size_nm": dataset.pixel_size_nm or common_pixel_size(stored)})
    title = f"{name}, settings proposed from {len(micrographs)} micrographs"
    material = material.model_copy(update={"title": title, "dataset": dataset})
    log(f"{len(micrographs)} training micrographs of {folder}")
    selection = select_patches(micrographs, patches, seed=seed)
    number = {m.name: i for i, m in enumerate(micrographs)}
    chosen = selection.table[selection.table["kind"] == "train"]
    windows = [Window(number[row.micrograph], row.row, row.column, patches.size_px) for row in chosen.itertuples()]
    masks = [detection.labels > 0 for detection in selection.detections]
    real = observe([m.image for m in micrographs], masks, windows, shape=shape)
    proposal = propose(material, real, seed=seed, log=log)
    with atomic_path(out) as temporary:
        temporary.write_text(as_yaml(proposal, figure=figure.name))
        load_experiment(str(temporary))  # what is written can be run
        plot_proposal(proposal, micrographs, windows, figure)
    return Suggestion(proposal, table(proposal), out, figure)


def default_name(text: str) -> str:
    """A material's name made from the name of a folder."""
    return re.sub(r"[^\w.-]+", "_", text).strip("_.-") or "material"


def _require_usable(out: Path, figure: Path, seed: int) -> None:
    if seed < 0:
        raise SuggestError(f"seed: expected 0 or more, got {seed}; correct it")
    if out.suffix not in (".yaml", ".yml"):
        raise SuggestError(f"{out}: expected a name ending in .yaml; give the material's file such a name")
    for path in (out, figure):
        if path.exists():
            raise SuggestError(f"{path} exists and is not overwritten; move it away, or choose another name")


def _require_contrast(micrographs: SampleSet) -> None:
    flat = [m for m in micrographs if m.image.max() == m.image.min()]
    if len(flat) == len(micrographs):
        raise DataError(
            f"all {len(flat)} training micrographs have a single gray level (first: {flat[0].provenance['file']}); "
            "check the export of the images"
        )
