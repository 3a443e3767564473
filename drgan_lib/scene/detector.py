"""The detector: how wide the image of a point is, and the noise.

The film adds up the light that falls on a pixel; what is wider than a pixel is blur afterwards. Blur is linear: it
keeps derivatives exact, and sums of images. Its weights are the discrete analogue of the Gaussian (Lindeberg, IEEE
Trans. Pattern Anal. Mach. Intell. 12, 234, 1990), whose variance is exact also below a pixel, and adds up.
"""

from functools import lru_cache

import torch
from scipy.linalg import toeplitz
from scipy.special import ive
from torch import Tensor

from drgan_lib.config import PIXEL_STD_PX, SceneSettings

LEAST_WEIGHT = 1e-12  # in float32 smaller ones would become denormal numbers, which are slow


def blur_std_px(settings: SceneSettings) -> float:
    """Standard deviation of the blur that makes the image of a point as wide as `filter_std_px`, px."""
    return (settings.filter_std_px**2 - PIXEL_STD_PX**2) ** 0.5


def spread(image: Tensor, std_px: float) -> Tensor:
    """float [h, w]: `image` blurred by a Gaussian; where it reaches beyond the border, its weights sum to 1 inside."""
    if std_px == 0:
        return image
    down, across = (_weights(n, std_px).to(image) for n in image.shape)
    return down @ image @ across.T


@lru_cache(maxsize=8)
def _weights(n: int, std_px: float) -> Tensor:
    """float64 [n, n]: how much each pixel of a row gives to each other one; rows sum to 1."""
    weights = torch.from_numpy(toeplitz(ive(range(n), std_px**2)))
    weights[weights < LEAST_WEIGHT] = 0
    return weights / weights.sum(dim=1, keepdim=True)


def detect(light: Tensor, sigma: Tensor | float, *, generator: torch.Generator) -> Tensor:
    """Micrograph [h, w] in [0, 1] of linear light [h, w]: clamped to full white, with Gaussian noise, clamped again.

    `sigma` is the noise's standard deviation (1 is white). The noise is drawn on the CPU, the same on every device.
    """
    clean = light.clamp(0, 1)
    noise = torch.randn(clean.shape, generator=generator).to(clean.device)
    return (clean + sigma * noise).clamp(0, 1)
