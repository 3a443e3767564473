"""How wide the image of a point is: a narrow filter in the film, and the rest of the width as blur afterwards.

The time of a reconstruction filter grows with the square of its width. Gaussians one after the other are one Gaussian,
so the film's need not be wider than `FILM_STD_PX`. Blur is linear: it keeps derivatives exact, and sums of images.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from drgan_lib.config import SceneSettings

FILM_STD_PX = 0.5


def film_std_px(settings: SceneSettings) -> float:
    """Standard deviation of the film's filter."""
    return min(FILM_STD_PX, settings.filter_std_px)


def blur_std_px(settings: SceneSettings) -> float:
    """Standard deviation of the blur that makes the film's filter as wide as `filter_std_px`."""
    return (settings.filter_std_px**2 - film_std_px(settings) ** 2) ** 0.5


def spread(image: Tensor, std_px: float) -> Tensor:
    """float [h, w]: `image` blurred by a Gaussian; where it reaches beyond the border, its weights sum to 1 inside."""
    if std_px == 0:
        return image
    down, across = (_weights(n, std_px).to(image) for n in image.shape)
    return down @ image @ across.T


@lru_cache(maxsize=8)
def _weights(n: int, std_px: float) -> Tensor:
    """float64 [n, n]: how much each pixel of a row gives to each other one; rows sum to 1."""
    place = torch.arange(n, dtype=torch.float64)
    weights = torch.exp(-((place[:, None] - place) ** 2) / (2 * std_px**2))
    return weights / weights.sum(dim=1, keepdim=True)
