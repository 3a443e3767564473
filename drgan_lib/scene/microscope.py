"""What a microscope adds to the light of a scene: dirt, which training does not model, blur and noise.

Images are float64 [h, w], rows are scan lines, 1 is white. Every function draws from the generator it is given only.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from drgan_lib.config import TwinSettings
from drgan_lib.scene.detector import spread

RADIUS_PX, RADIUS_SPREAD, RADIUS_LIMITS = 3.0, 0.45, (1.5, 9.0)  # median, standard deviation of ln(radius), px
DARK, BRIGHT = (0.3, 0.75), (1.5, 4.0)  # reflectance of a speck in units of the clean support's
LOBES = np.array([2, 3, 4, 5])  # periods per turn of a speck's uneven outline


def draw_conditions(settings: TwinSettings, n: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """n rows, one per micrograph, uniform in their ranges: blur_px, dose (NaN: no end), line_noise, specks.

    `shot_noise` is that of the dose as `drgan_lib.scene.detector.detect` has it.
    """
    dose = settings.dose or (np.nan, np.nan)
    ranges = {"blur_px": settings.blur_px, "dose": dose, "line_noise": settings.line_noise}
    draws = zip(ranges.items(), rng.random((3, n)), strict=True)
    table = pd.DataFrame({name: low + draw * (high - low) for (name, (low, high)), draw in draws})
    table["shot_noise"] = table["dose"].pow(-0.5).fillna(0)
    return table.assign(specks=rng.integers(settings.specks[0], settings.specks[1], size=n, endpoint=True))


def dirt(support: np.ndarray, n: int, *, rng: np.random.Generator) -> np.ndarray:
    """Reflectance [h, w] of the support with `n` specks, in units of the clean support's: 1 where there is no dirt.

    A speck is a small fleck of uneven outline, darker or brighter than the support, with an edge of about a pixel. Its
    centre is one of the pixels where `support`, bool [h, w], is true: parts of it may lie below a particle.
    """
    reflectance = np.ones(support.shape)
    places, (rows, columns) = np.argwhere(support), np.ogrid[: support.shape[0], : support.shape[1]]
    if len(places) == 0:
        return reflectance
    for row, column in places[rng.integers(len(places), size=n)]:
        radius = np.clip(RADIUS_PX * rng.lognormal(0.0, RADIUS_SPREAD), *RADIUS_LIMITS)
        value = rng.uniform(*(BRIGHT if rng.random() < 0.5 else DARK))
        amplitudes, phases = rng.normal(scale=0.35 / LOBES), rng.uniform(0, 2 * np.pi, size=len(LOBES))
        reach = int(np.ceil(2.5 * radius)) + 1
        area = tuple(slice(max(place - reach, 0), place + reach + 1) for place in (row, column))
        down, across = rows[area[0]] - row, columns[:, area[1]] - column
        angle = np.arctan2(down, across)
        waves = sum(a * np.cos(k * angle + p) for k, a, p in zip(LOBES, amplitudes, phases, strict=True))
        outline = np.minimum(radius * np.exp(waves), reach - 1)
        covered = np.clip(outline - np.hypot(down, across) + 0.5, 0, 1)
        reflectance[area] += covered * (value - reflectance[area])
    return reflectance


def blur(image: np.ndarray, std_px: float) -> np.ndarray:
    """The image [h, w] of a beam whose Gaussian point spread has the standard deviation `std_px`."""
    return spread(torch.from_numpy(image), std_px).numpy()


def shot_noise(image: np.ndarray, dose: float, *, rng: np.random.Generator) -> np.ndarray:
    """Counted electrons, `dose` of them per white pixel, in units of white: the variance is `image / dose`.

    `dose` NaN is one without end: the image itself.
    """
    return image if np.isnan(dose) else rng.poisson(dose * image) / dose


def line_noise(image: np.ndarray, std: float, *, rng: np.random.Generator) -> np.ndarray:
    """The image [h, w] with a normal offset of standard deviation `std` for each of its scan lines."""
    return image + rng.normal(scale=std, size=(len(image), 1))


def detector_noise(image: np.ndarray, std: float, *, rng: np.random.Generator) -> np.ndarray:
    """The image with white Gaussian noise, the only noise of the paper's detector."""
    return image + rng.normal(scale=std, size=image.shape)


def expose(light: np.ndarray, conditions: Mapping[str, float], *, rng: np.random.Generator) -> np.ndarray:
    """8-bit micrograph [h, w] of the linear light [h, w] from its conditions, `noise_sigma` among them."""
    electrons, lines, detector = rng.spawn(3)
    image = np.clip(blur(light, conditions["blur_px"]), 0, 1)
    image = shot_noise(image, conditions["dose"], rng=electrons)
    image = line_noise(image, conditions["line_noise"], rng=lines)
    image = detector_noise(image, conditions["noise_sigma"], rng=detector)
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
