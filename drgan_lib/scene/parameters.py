"""What each learned parameter does to the image: its finite difference across its bounds.

In monochrome some parameters of the principled BSDF are dead (sheen tint always), and a network cannot learn them.
"""

import pandas as pd
import torch

from drgan_lib.config import Material
from drgan_lib.scene.layout import Layout
from drgan_lib.scene.render import Renderer

DEAD_BELOW = 1e-4  # mean absolute change of the image over the whole range, in units of full white


def at_position(material: Material, position: float) -> torch.Tensor:
    """float32 [n_parameters]: all parameters at the same fraction of their bounds."""
    low, high = torch.tensor(list(material.bounds.values()), dtype=torch.float32).T
    return low + position * (high - low)


def liveness(renderer: Renderer, layout: Layout, *, position: float = 0.2, seed: int = 0) -> pd.DataFrame:
    """One row per learned parameter: the image's change when it alone goes from its lower to its upper bound.

    `mean_change` and `max_change` are absolute differences of the unclamped image (1 is white), `grey_levels` is the
    mean in 8-bit grey levels, and `alive` says whether the mean is above `DEAD_BELOW`. Both images use the same
    samples, so Monte Carlo noise cancels. The noise level is not part of the render: its change is the mean absolute
    value of the noise it adds, sqrt(2 / pi) times its range.
    """
    rows = []
    for i, (name, (low, high)) in enumerate(renderer.material.bounds.items()):
        if name == "noise_sigma":
            mean = maximum = (2 / torch.pi) ** 0.5 * (high - low)
        else:
            ends = []
            for value in (low, high):
                parameters = at_position(renderer.material, position)
                parameters[i] = value
                ends.append(renderer.image(parameters, layout, seed=seed))
            change = (ends[1] - ends[0]).abs()
            mean, maximum = float(change.mean()), float(change.max())
        rows.append((name, low, high, mean, maximum, 255 * mean, mean > DEAD_BELOW))
    columns = ["parameter", "low", "high", "mean_change", "max_change", "grey_levels", "alive"]
    return pd.DataFrame(rows, columns=columns)
