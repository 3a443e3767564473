"""The detector: how wide the image of a point is, and the noise.

The film adds up the light that falls on a pixel; what is wider than a pixel is blur afterwards. Blur is linear: it
keeps derivatives exact, and sums of images. Its weights are the discrete analogue of the Gaussian (Lindeberg, IEEE
Trans. Pattern Anal. Mach. Intell. 12, 234, 1990), whose variance is exact also below a pixel, and adds up.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from scipy.linalg import toeplitz
from scipy.special import ive
from torch import Tensor

from drgan_lib.config import PIXEL_STD_PX, SceneSettings
from drgan_lib.draws import normal

LEAST_WEIGHT = 1e-12  # in float32 smaller ones would become denormal numbers, which are slow


def blur_std_px(settings: SceneSettings) -> float:
    """Standard deviation of the blur that makes the image of a point as wide as `filter_std_px`, px."""
    return (settings.filter_std_px**2 - PIXEL_STD_PX**2) ** 0.5


def spread(image: Tensor, std_px: float) -> Tensor:
    """float [..., h, w]: `image` blurred by a Gaussian; where that reaches over the border, weights sum to 1 inside."""
    if std_px == 0:
        return image
    down, across = (_weights(n, std_px).to(image) for n in image.shape[-2:])
    return down @ image @ across.T


@lru_cache(maxsize=8)
def _weights(n: int, std_px: float) -> Tensor:
    """float64 [n, n]: how much each pixel of a row gives to each other one; rows sum to 1."""
    weights = torch.from_numpy(toeplitz(ive(range(n), std_px**2)))
    weights[weights < LEAST_WEIGHT] = 0
    return weights / weights.sum(dim=1, keepdim=True)


def detect(light: Tensor, sigma: Tensor, *, seeds: Sequence[int]) -> Tensor:
    """Micrographs [b, h, w] in [0, 1] of linear light [b, h, w]: clamped to full white, with noise, clamped again.

    `sigma` [b] is the standard deviation of each image's Gaussian noise (1 is white), `seeds` draw it: the same on
    every device.
    """
    clean = light.clamp(0, 1)
    noise = normal(torch.tensor(seeds, device=light.device), clean[0].numel()).view_as(clean)
    return (clean + sigma.view(-1, 1, 1) * noise).clamp(0, 1)
