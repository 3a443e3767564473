"""What the detector records at given parameters, and what each of them does: finite differences across the bounds.

In monochrome some parameters of the principled BSDF are dead (sheen tint always), and a network cannot learn them.
"""

from functools import partial

import pandas as pd
import torch

from drgan_lib.config import DETECTOR_BOUNDS, Material
from drgan_lib.scene.detector import detect
from drgan_lib.scene.layout import Layout
from drgan_lib.scene.render import Renderer

DEAD_BELOW = 1e-4  # mean absolute change of the image over the whole range, in units of full white


def at_position(material: Material, position: float) -> torch.Tensor:
    """float32 [n_parameters]: all parameters at the same fraction of their bounds."""
    low, high = torch.tensor(list(material.bounds.values()), dtype=torch.float32).T
    return low + position * (high - low)


def micrograph(renderer: Renderer, parameters: torch.Tensor, layout: Layout, *, seed: int = 0) -> torch.Tensor:
    """float32 [h, w] in [0, 1]: the render as the detector records it, at physical `parameters` [n_parameters].

    `seed` fixes the noise and, where the renderer draws anew for each image, its samples.
    """
    light = renderer.image(parameters, layout, seed=seed)
    values = dict(zip(renderer.material.parameters, parameters[:, None], strict=True))
    return detect(light[None], values, seeds=[seed])[0]


def liveness(renderer: Renderer, layout: Layout, *, position: float = 0.2, seed: int = 0) -> pd.DataFrame:
    """One row per learned parameter: the image's change when it alone goes from its lower to its upper bound.

    `mean_change` and `max_change` are absolute differences of the unclamped image (1 is white), `grey_levels` is the
    mean in 8-bit grey levels, and `alive` says whether the mean is above `DEAD_BELOW`. Both images use the same
    samples, so Monte Carlo noise cancels. The noise level is not part of the render: its change is the mean absolute
    value of the noise it adds, sqrt(2 / pi) times its range. Other parameters of the detector change the `micrograph`.
    """
    rows = []
    for i, (name, (low, high)) in enumerate(renderer.material.bounds.items()):
        if name == "noise_sigma":
            mean = maximum = (2 / torch.pi) ** 0.5 * (high - low)
        else:
            see, ends = partial(micrograph, renderer) if name in DETECTOR_BOUNDS else renderer.image, []
            for value in (low, high):
                parameters = at_position(renderer.material, position)
                parameters[i] = value
                ends.append(see(parameters, layout, seed=seed))
            change = (ends[1] - ends[0]).abs()
            mean, maximum = float(change.mean()), float(change.max())
        rows.append((name, low, high, mean, maximum, 255 * mean, mean > DEAD_BELOW))
    columns = ["parameter", "low", "high", "mean_change", "max_change", "grey_levels", "alive"]
    return pd.DataFrame(rows, columns=columns)
