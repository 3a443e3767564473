"""One attempt at an annotated image: a fresh layout, rendered with learned parameters, kept if its contrast is enough.

Attempt *a* at image *k* depends on the generator, the material and `(exp.seed, k, a)` only: not on the order of work,
on how often the run was interrupted, or on how many images are asked for. Made twice it is the same.
"""

import math

import numpy as np
import torch

from drgan_lib.config import Experiment
from drgan_lib.samples import Sample
from drgan_lib.scene.layout import LayoutError, sample_layout


def annotate(exp: Experiment, generator, renderer, *, index: int, attempt: int = 0) -> tuple[Sample | None, str]:
    """Attempt `attempt` at image `index`: the sample and "", or None and the reason why it is rejected.

    `generator` is a `drgan_lib.gan.Generator`, `renderer` a `drgan_lib.scene.Renderer`. Gray levels are rounded to 8
    bits; id k + 1 of the instances is entry k of the layout, visible pixels only. The sample's `parameters` are `seed`
    (of dropout, ray tracing and noise), `contrast` (NaN where it is infinite), `attempts`, and the learned parameters
    as physical values.

    Reasons are "layout does not fit", "no particle in view", "no background in view" and "low contrast", of which only
    the last takes a render. The contrast rule is the paper's: particles are on average at least
    `synthesis.min_contrast` brighter than the background (npj Comput. Mater. 11, 197, 2025).
    """
    sequence = np.random.SeedSequence(exp.seed, spawn_key=(index, attempt))
    layout_seed, seed = (int(word) for word in sequence.generate_state(2))
    try:
        layout = sample_layout(exp.material, renderer.meshes, seed=layout_seed)
    except LayoutError:
        return None, "layout does not fit"
    instances = np.asarray(renderer.instance_ids(layout), np.int32)
    if not instances.any():
        return None, "no particle in view"
    if instances.all():
        return None, "no background in view"
    with torch.no_grad():
        rendered, values = generator.sample(renderer, [layout], seeds=[seed])
    gray = np.round(rendered[0, 0].clamp(0, 1).cpu().numpy() * 255).astype(np.uint8)
    measured = contrast(gray, instances)
    if measured < exp.profile.synthesis.min_contrast:
        return None, "low contrast"
    parameters = {"seed": seed, "contrast": measured if math.isfinite(measured) else math.nan, "attempts": attempt + 1}
    parameters |= dict(zip(exp.material.parameters, values.flatten().tolist(), strict=True))
    pixel_size_nm, image = exp.material.dataset.working_pixel_size_nm, gray / np.float32(255)
    return Sample(f"{index:05d}", image, pixel_size_nm, instances, parameters=parameters), ""


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
