"""Annotated samples to learn from: each source is a function `Origin -> SampleSet`, named in `drgan_lib.registry`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from operator import add

import numpy as np

from drgan_lib.config import Experiment
from drgan_lib.data.overlays import touches
from drgan_lib.registry import SOURCES, split_arm
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.synthesis.grow import SynthesisError
from drgan_lib.synthesis.texture import bare_support, lay_texture

BARE_EVERY = 3  # synthetic images for one bare support


@dataclass(frozen=True)
class Origin:
    """What sources draw on: settings, training micrographs (with masks, if any), background patches, synthetic set."""

    exp: Experiment
    micrographs: SampleSet
    background: SampleSet
    synthetic: SampleSet


SampleSource = Callable[[Origin], SampleSet]


def training_samples(arm: str, origin: Origin) -> SampleSet:
    """What a model of `arm` learns from: the samples of its sources, one after the other.

    The source is the first part of a sample's name, as in `real_...`. Samples of one micrograph share
    `provenance["group"]`.
    """

    def named(source: str) -> SampleSet:
        samples: SampleSet = SOURCES[source].load()(origin)
        return samples.map(lambda sample: replace(sample, name=f"{source}_{sample.name}"))

    return reduce(add, map(named, split_arm(arm)[0]), SampleSet.of([]))


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
