"""Annotated samples to learn from: each source is a function `Origin -> SampleSet`, named in `drgan_lib.registry`.

Renders lack the texture of the support: it is flat there and its noise white. Real supports have grain, the fine bright
outlines of pits and residue, and slow shading, and a network that never saw any takes them for the bright rims of
particles. The textures laid over synthetic images are random fields whose lengths, directions and strengths are drawn
anew for each image, over wide ranges (domain randomisation, Tobin et al., IROS 2017). The ranges were chosen to hold
what patches of background look like; no mask was used.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from operator import add

import numpy as np
from scipy import ndimage

from drgan_lib.config import Experiment
from drgan_lib.data.overlays import touches
from drgan_lib.registry import SOURCES, split_arm
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.synthesis.grow import SynthesisError

BARE_EVERY = 3  # synthetic images for one bare support
# Correlation lengths; how much longer one direction is; the height of the contour line of a field that outlines follow
# (the higher, the more of them are small rings) and their width, in standard deviations of the field.
GRAIN_PX, PITS_PX, SHADING_PX = (0.7, 4.0), (1.5, 10.0), (40.0, 150.0)
ELONGATION, LINE_LEVEL, LINE_WIDTH = (1.0, 2.0), (0.0, 1.5), (0.1, 0.4)
# The most of each, in gray levels from 0 to 1, and of the blur in px.
GRAIN, LINES, SHADING, BLUR_PX = 0.012, 0.15, 0.02, 1.0


@dataclass(frozen=True)
class Origin:
    """What sources draw on: settings, training micrographs (with masks, if any), background patches, synthetic set."""

    exp: Experiment
    micrographs: SampleSet
    background: SampleSet
    synthetic: SampleSet


SampleSource = Callable[[Origin], SampleSet]


def training_samples(arm: str, origin: Origin) -> SampleSet:
    """What a model of `arm` learns from: the samples of its sources but `self`, one after the other.

    The source is the first part of a sample's name, as in `real_...`. Samples of one micrograph share
    `provenance["group"]`.
    """

    def named(source: str) -> SampleSet:
        samples: SampleSet = SOURCES[source].load()(origin)
        return samples.map(lambda sample: replace(sample, name=f"{source}_{sample.name}"))

    return reduce(add, map(named, (name for name in split_arm(arm)[0] if name in SOURCES)), SampleSet.of([]))


def real_patches(origin: Origin) -> SampleSet:
    """Patches of the training micrographs that have masks, with the parts of their particles.

    Patches of `patches.size_px` cover each such micrograph in even steps, overlapping no more than they must; those
    that burnt-in text touches are left out. `SynthesisError` if no training micrograph has a mask.
    """
    size = origin.exp.material.patches.size_px
    places = [
        (number, row, column)
        for number, micrograph in enumerate(origin.micrographs)
        if micrograph.instances is not None
        for row in even_starts(micrograph.image.shape[0], size)
        for column in even_starts(micrograph.image.shape[1], size)
        if not touches(micrograph.provenance.get("overlays", ()), row, column, size)
    ]
    if not places:
        raise SynthesisError(
            "expected masks of training micrographs for the arm 'real', found none (or no patch without burnt-in "
            "text); put masks into the dataset's folder, or leave this arm out"
        )
    micrograph = lru_cache(maxsize=1)(origin.micrographs.__getitem__)

    def load(k: int) -> Sample:
        number, row, column = places[k]
        whole, window = micrograph(number), np.s_[row : row + size, column : column + size]
        return Sample(
            f"{whole.name}_{row:04d}_{column:04d}",
            whole.image[window],
            whole.pixel_size_nm,
            whole.instances[window],
            provenance={"group": whole.name},
        )

    return SampleSet(len(places), load)


def synthetic_images(origin: Origin) -> SampleSet:
    """The synthetic set; if `synthesis.textures`, with textures of the support and a third as many bare supports.

    Textures are drawn here, one after the other from one generator, and kept in memory at 8 bits.
    """
    made = origin.synthetic
    if not origin.exp.profile.synthesis.textures:
        return made
    generator = np.random.default_rng(origin.exp.seed)
    drawn: list[tuple[int, bool, np.ndarray]] = []  # number in the set, whether bare, image
    for number, sample in enumerate(made):
        drawn.append((number, False, _in_8_bits(lay_texture(sample.image, generator=generator))))
        if number % BARE_EVERY == 0:
            bare = bare_support(sample.image, sample.instances, generator=generator)
            drawn.append((number, True, _in_8_bits(bare)))

    def load(k: int) -> Sample:
        number, bare, levels = drawn[k]
        sample, image = made[number], levels / np.float32(255)
        if bare:
            return Sample(f"bare_{sample.name}", image, sample.pixel_size_nm, np.zeros(image.shape, np.int32))
        return replace(sample, image=image)

    return SampleSet(len(drawn), load)


def background_patches(origin: Origin) -> SampleSet:
    """Patches of training micrographs in which nothing was found (chapter 01), as free of particles."""

    def load(k: int) -> Sample:
        patch = origin.background[k]
        return replace(patch, name=f"{k:03d}", instances=np.zeros(patch.image.shape, np.int32))

    return SampleSet(len(origin.background), load)


def even_starts(length: int, size: int) -> list[int]:
    """Starts of the fewest windows of `size` that cover `length` (at least `size`), in even steps."""
    return np.linspace(0, length - size, -(-length // size)).round().astype(int).tolist()


def _in_8_bits(image: np.ndarray) -> np.ndarray:
    return np.rint(image * 255).astype(np.uint8)


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
