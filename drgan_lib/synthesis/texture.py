"""What renders lack: the texture of the support, laid over synthetic images before a network learns from them.

A rendered support is flat and its noise white. Real supports have grain, the fine bright outlines of pits and residue,
and slow shading, and a network that never saw any takes them for the bright rims of particles. The textures are random
fields whose lengths, directions and strengths are drawn anew for each image, over wide ranges (domain randomisation,
Tobin et al., IROS 2017). The ranges were chosen to hold what patches of background look like; no mask was used.
"""

import numpy as np
from scipy import ndimage

# Correlation lengths; how much longer one direction is; the height of the contour line of a field that outlines follow
# (the higher, the more of them are small rings) and their width, in standard deviations of the field.
GRAIN_PX, PITS_PX, SHADING_PX = (0.7, 4.0), (1.5, 10.0), (40.0, 150.0)
ELONGATION, LINE_LEVEL, LINE_WIDTH = (1.0, 2.0), (0.0, 1.5), (0.1, 0.4)
# The most of each, in gray levels from 0 to 1, and of the blur in px.
GRAIN, LINES, SHADING, BLUR_PX = 0.012, 0.15, 0.02, 1.0


def lay_texture(image: np.ndarray, *, generator: np.random.Generator) -> np.ndarray:
    """`image`, float [h, w] in [0, 1], blurred a little and with grain, lines and shading added: float32 in [0, 1]."""
    strength = generator.uniform(0, 1, 3) * (GRAIN, LINES, SHADING)
    blurred = ndimage.gaussian_filter(image.astype(np.float32), generator.uniform(0, BLUR_PX))

    def field(lengths_px: tuple[float, float]) -> np.ndarray:
        length_px = float(np.exp(generator.uniform(*np.log(lengths_px))))  # as likely in each octave
        return random_field(image.shape, length_px, generator=generator)

    # Outlines of pits and residue: the contour line of a field, in some regions, brighter here and there.
    height = field(PITS_PX) - generator.uniform(*LINE_LEVEL)
    lines = np.exp(-((height / generator.uniform(*LINE_WIDTH)) ** 2))
    lines *= np.maximum(0.5 + field(PITS_PX), 0) * (field(SHADING_PX) > -0.7)
    texture = strength[0] * field(GRAIN_PX) + strength[1] * lines + strength[2] * field(SHADING_PX)
    return np.clip(blurred + texture, 0, 1).astype(np.float32)


def bare_support(image: np.ndarray, instances: np.ndarray, *, generator: np.random.Generator) -> np.ndarray:
    """A support without particles, float32 [h, w] in [0, 1]: as bright as that around the `instances`, no more noisy.

    `image` is float [h, w] in [0, 1]. Without a pixel of background the darkest one stands for it.
    """
    background = image[instances == 0]
    level = float(np.median(background)) if background.size else float(image.min())
    noise = 1.4826 * float(np.median(np.abs(background - level))) if background.size else 0.0
    flat = np.clip(level + generator.uniform() * noise * generator.normal(size=image.shape), 0, 1)
    return lay_texture(flat, generator=generator)


def random_field(shape: tuple[int, int], length_px: float, *, generator: np.random.Generator) -> np.ndarray:
    """Gaussian random field float64 [h, w] of mean 0 and standard deviation 1, periodic, in a random direction.

    Its correlation falls as that of white noise under a Gaussian of `length_px`, and up to twice that along the
    direction.
    """
    angle, along = generator.uniform(0, np.pi), length_px * generator.uniform(*ELONGATION)
    v, u = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None]
    first, second = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    window = np.exp(-2 * np.pi**2 * ((first * along) ** 2 + (second * length_px) ** 2))
    window[0, 0] = 0
    field = np.fft.ifft2(np.fft.fft2(generator.normal(size=shape)) * window).real
    return field / max(field.std(), 1e-12)
