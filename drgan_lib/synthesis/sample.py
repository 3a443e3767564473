"""The annotated set: fresh layouts, rendered with learned parameters, filtered by contrast, resumable.

Image k depends on the generator, the material and `(exp.seed, k)` only: not on the order of work, on how
often the run was interrupted, or on how many images are asked for. Made twice it is the same up to float rounding
(a gray level at most), since the renderer's threads sum in no fixed order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from drgan_lib.classes import three_class
from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path, require_free_space, write_json
from drgan_lib.scene.layout import LayoutError, sample_layout
from drgan_lib.synthesis.export import to_coco, to_nnunet
from drgan_lib.synthesis.store import read_entry, recipe_of, start, write_entry


class SynthesisError(RuntimeError):
    """The annotated set cannot be made; the message says how far it came and what to do."""


@dataclass(frozen=True)
class AnnotatedImage:
    """One try: `image` uint8 [h, w], `instances` uint16 [h, w], `label` uint8 [h, w] as in `three_class`.

    `parameters` are physical values by name, `contrast` is what `contrast` measures, and `rejected` is empty
    or the reason ("layout does not fit", "no particle in view", "no background in view", "low contrast").
    Only the last of them needs a render: for the others `image` and `label` are zero, `parameters` is empty
    and `contrast` NaN.
    """

    image: np.ndarray
    instances: np.ndarray
    label: np.ndarray
    parameters: dict[str, float]
    contrast: float
    seed: int
    rejected: str


def contrast(image: np.ndarray, instances: np.ndarray) -> float:
    """Mean intensity of the particles over that of the background, less 1 (0.15: 15 % brighter).

    `image` is [h, w] of any scale on which black is 0, `instances` integer [h, w] with 0 for background. NaN
    if the image shows no particle or no background; infinite for particles on a black background.
    """
    particle = instances > 0
    if not particle.any() or particle.all():
        return float("nan")
    foreground, background = float(image[particle].mean()), float(image[~particle].mean())
    if background == 0:
        return float("inf") if foreground > 0 else 0.0
    return foreground / background - 1


def annotate(exp: Experiment, generator, renderer, meshes: Sequence, *, index: int, attempt: int = 0) -> AnnotatedImage:
    """Attempt `attempt` at image `index`: layout, instance ids, image, label.

    `generator` is a `drgan_lib.gan.Generator`, `renderer` a `drgan_lib.scene.Renderer`, `meshes` those of the
    material. The contrast rule is the paper's, applied to the 8-bit image: particles are on average at least
    `synthesis.min_contrast` brighter than the background (npj Comput. Mater. 11, 197, 2025).
    """
    sequence = np.random.SeedSequence(exp.seed, spawn_key=(index, attempt))
    layout_seed, seed = (int(word) for word in sequence.generate_state(2))
    blank = np.zeros((exp.material.scene.size_px,) * 2, np.uint8)
    try:
        layout = sample_layout(exp.material, meshes, seed=layout_seed)
    except LayoutError:
        nothing = blank.astype(np.uint16)
        return AnnotatedImage(blank, nothing, blank, {}, float("nan"), seed, "layout does not fit")
    instances = np.asarray(renderer.instance_ids(layout), np.uint16)
    particle = instances > 0
    if not particle.any() or particle.all():
        reason = "no background in view" if particle.any() else "no particle in view"
        return AnnotatedImage(blank, instances, blank, {}, float("nan"), seed, reason)
    with torch.no_grad():
        rendered, values = generator.sample(renderer, layout, seed=seed)
    image = np.round(rendered[0, 0].clamp(0, 1).cpu().numpy() * 255).astype(np.uint8)
    parameters = dict(zip(exp.material.parameters, values.flatten().tolist(), strict=True))
    measured = contrast(image, instances)
    reason = "" if measured >= exp.profile.synthesis.min_contrast else "low contrast"
    label = three_class(instances, exp.material.contour_px)
    return AnnotatedImage(image, instances, label, parameters, measured, seed, reason)


def synthesize(
    exp: Experiment, generator, renderer, meshes: Sequence, background: np.ndarray, *, log: Callable = print
) -> Path:
    """The whole stage: makes `synthesis.n_images` annotated images and returns their folder.

    `background` are real patches without particles, float [m, h, w] in [0, 1]; they join the nnU-Net dataset
    with empty labels. Per image it writes `images/00000.png` (8 bit), `instances/00000.png` (16 bit, id k + 1
    for entry k of the layout, visible pixels only), `labels/00000.png` (see `three_class`) and the row
    `rows/00000.json`; then `coco.json`, `nnUNet_raw/`, `acceptance.json`, `figures.json`, `parameters.csv`.

    An interrupted run goes on where it stopped. An image counts as done when its row and its three files
    agree; damaged or missing files are made again, equal to the lost ones up to float rounding (a gray level at
    most, since the renderer's threads sum in no fixed order). Images that another generator, material, seed or
    version of the code made are replaced.

    Raises `SynthesisError` if more than `synthesis.max_attempts_per_image` attempts per image are needed (on
    average: what one image leaves, later ones may use), `OSError` before any work if the disk is full.
    """
    folder, settings = exp.stage_dir("synthetic"), exp.profile.synthesis
    n_bytes = 6 * exp.material.scene.size_px**2 * (settings.n_images + len(background))
    require_free_space(folder, n_bytes, "the annotated set")
    start(folder, recipe_of(exp, generator, meshes), log)
    rows: list[dict[str, Any]] = []
    for index in range(settings.n_images):
        row = read_entry(folder, f"{index:05d}")
        rows.append(row or _make(exp, generator, renderer, meshes, folder, rows))
        if len(rows) % max(1, settings.n_images // 10) == 0:
            rate = len(rows) / sum(row["attempts"] for row in rows)
            log(f"{len(rows)} of {settings.n_images} images, {rate:.0%} of the attempts accepted")
    return _conclude(exp, folder, rows, background)


def _make(exp, generator, renderer, meshes, folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Tries for the image after `rows`, as often as the attempt limit leaves; the row of the accepted one."""
    settings, index = exp.profile.synthesis, len(rows)
    spent = sum(row["attempts"] for row in rows)
    rejected: Counter[str] = Counter()
    for attempt in range(settings.max_attempts_per_image * (index + 1) - spent):
        result = annotate(exp, generator, renderer, meshes, index=index, attempt=attempt)
        if result.rejected:
            rejected[result.rejected] += 1
            continue
        row = {
            "seed": result.seed,
            "n_particles": len(np.unique(result.instances[result.instances > 0])),
            "contrast": result.contrast if np.isfinite(result.contrast) else None,
            "attempts": attempt + 1,
            "rejected": dict(rejected),
            "parameters": result.parameters,
        }
        return write_entry(folder, f"{index:05d}", (result.image, result.instances, result.label), row)
    attempts, reasons = spent + rejected.total(), _reasons(rows) + rejected
    raise SynthesisError(
        f"only {index} of {settings.n_images} images were accepted in {attempts} attempts "
        f"({index / attempts:.1%}); the limit is {settings.max_attempts_per_image} attempts per image. "
        f"Rejected for: {', '.join(f'{reason} ({count})' for reason, count in reasons.items())}. "
        "Against low contrast train the GAN longer or lower synthesis.min_contrast; against no particle in "
        "view raise layout.n_particles or lower layout.field_margin; or raise "
        "synthesis.max_attempts_per_image, with which alone the next run goes on from the accepted images"
    )


def _reasons(rows: list[dict[str, Any]]) -> Counter[str]:
    return sum((Counter(row["rejected"]) for row in rows), Counter())


def _conclude(exp: Experiment, folder: Path, rows: list[dict[str, Any]], background: np.ndarray) -> Path:
    """What describes the set as a whole; the table comes last, so that it stands for a finished set."""
    names = [row["image"] for row in rows]
    to_coco(folder, names, folder / "coco.json", description=exp.material.title)
    to_nnunet(exp, names, background)
    attempts = sum(row["attempts"] for row in rows)
    rate = len(rows) / attempts
    summary = {"accepted": len(rows), "attempts": attempts, "rate": rate, "rejected": dict(_reasons(rows))}
    write_json(folder / "acceptance.json", summary)
    needed = f"particles at least {exp.profile.synthesis.min_contrast:.0%} brighter than the background"
    definition = f"images kept / attempts; kept are images with {needed}"
    figure = {"value": rate, "definition": definition, "split": "synthetic", "n": attempts}
    write_json(folder / "figures.json", {"acceptance_rate": figure})
    columns = ("image", "seed", "n_particles", "contrast", "attempts")
    table = pd.DataFrame([{column: row[column] for column in columns} | row["parameters"] for row in rows])
    with atomic_path(folder / "parameters.csv") as temporary:
        table.to_csv(temporary, index=False)
    return folder
