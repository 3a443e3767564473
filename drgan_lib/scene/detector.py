"""The detector: how wide the image of a point is, and the noise.

The film adds up the light that falls on a pixel; what is wider than a pixel is blur afterwards. Blur is linear: it
keeps derivatives exact, and sums of images. Its weights are the discrete analogue of the Gaussian (Lindeberg, IEEE
Trans. Pattern Anal. Mach. Intell. 12, 234, 1990), whose variance is exact also below a pixel, and adds up.

Contrast and brightness are not among its parameters. A gain is what radiances and colours do already, and an offset
nearly: on `tio2_sem`, the derivatives of the learned parameters leave 3 % of a constant image's square. But nobody
keeps a micrograph in which much is white: there, the gain is lowered.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from drgan_lib.config import PIXEL_STD_PX, SceneSettings
from drgan_lib.draws import normal

LEAST_WEIGHT = 1e-12  # in float32 smaller ones would become denormal numbers, which are slow
LEAST_VARIANCE = 1e-12  # of a pixel: the square root of 0 has no derivative
WHITE = 0.005  # of a micrograph, at most; of 124 patches of `tio2_sem` 122 have less, and all 91 of EMPS's materials
NEARLY_ALL = 0.98  # of a material's patches
FULL = 0.995  # what is above is white
LINES = 4  # stream of random numbers; 0 is the noise of pixels, 1 dropout, 2 the ground, 3 the particles' brightness


def blur_std_px(settings: SceneSettings) -> float:
    """Standard deviation of the blur that makes the image of a point as wide as `filter_std_px`, px."""
    return (settings.filter_std_px**2 - PIXEL_STD_PX**2) ** 0.5


def spread(image: Tensor, std_px: float | Tensor) -> Tensor:
    """float [..., h, w]: `image` blurred by a Gaussian; where that reaches over the border, weights sum to 1 inside.

    `std_px` is one number, or one for each image [...], and then differentiable.
    """
    if not isinstance(std_px, Tensor):
        std_px = torch.tensor(std_px, dtype=torch.float64, device=image.device)
    down, across = (_weights(n, std_px**2).to(image.dtype) for n in image.shape[-2:])
    return down @ image @ across.mT


def _weights(n: int, variance: Tensor) -> Tensor:
    """float [..., n, n]: how much each pixel of a row gives to each other one; rows sum to 1.

    The Fourier transform of the discrete Gaussian is exp(variance (cos(frequency) - 1)).
    """
    cosines = torch.linspace(0, math.pi, n + 1, dtype=variance.dtype, device=variance.device).cos()
    half = torch.fft.irfft((variance[..., None] * (cosines - 1)).exp(), n=2 * n)[..., :n]  # at lags 0 to n - 1
    half = torch.where(half < LEAST_WEIGHT, 0, half)
    weights = torch.cat([half.flip(-1)[..., :-1], half], dim=-1).unfold(-1, n, 1).flip(-2)
    return weights / weights.sum(dim=-1, keepdim=True)


def share_of_white(images: np.ndarray) -> float:
    """How much of an image of this kind may be white: what nearly all `images` [n, h, w] stay below, or `WHITE`."""
    return max(WHITE, float(np.quantile((images > FULL).mean(axis=(1, 2)), NEARLY_ALL)))


def exposed(light: Tensor, white: float | Tensor = WHITE) -> Tensor:
    """`light` [b, h, w], in images that are overexposed so much less that no more than the share `white` is white."""
    quantile = torch.as_tensor(1 - white, dtype=light.dtype, device=light.device)
    brightest = light.flatten(1).quantile(quantile, dim=1)
    return light / brightest.clamp_min(1)[:, None, None]


def detect(
    light: Tensor, values: Mapping[str, Tensor], *, seeds: Sequence[int], white: float | Tensor = WHITE
) -> Tensor:
    """Micrographs [b, h, w] in [0, 1] of linear light [b, h, w]: clamped to full white, with noise, clamped again.

    `values` [b] by name are standard deviations, noise in units of white. `noise_sigma` is that of Gaussian noise, the
    paper's only one. Optional are `blur_px`, of the beam, on top of the scene's filter; `shot_noise`, of the electrons
    counted in a white pixel, one over the square root of their number (the variance is in proportion to the light);
    and `line_noise`, of an offset of each scan line, a row. Shot noise is drawn as normal, in one with Gaussian noise
    (Foi et al., IEEE Trans. Image Process. 17, 1737, 2008); images with it are `exposed`, with `white`. `seeds` draw
    all noise, the same on every device.
    """
    if "blur_px" in values:
        light = spread(light, values["blur_px"])
    if "shot_noise" in values:
        light = exposed(light, white)
    clean, numbers = light.clamp(0, 1), torch.tensor(seeds, device=light.device)
    sigma = values["noise_sigma"][:, None, None]
    if "shot_noise" in values:
        sigma = (sigma**2 + values["shot_noise"][:, None, None] ** 2 * clean + LEAST_VARIANCE).sqrt()
    image = clean + sigma * normal(numbers, clean[0].numel()).view_as(clean)
    if "line_noise" in values:
        offsets = values["line_noise"][:, None] * normal(numbers, clean.shape[1], stream=LINES)
        image = image + offsets[..., None]
    return image.clamp(0, 1)
