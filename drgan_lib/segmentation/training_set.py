"""What a network learns from, and what is set aside to tune its instances on."""

import numpy as np

from drgan_lib.samples import SampleSet
from drgan_lib.segmentation.segmenter import SegmentationError

# Images set aside from each training set to tune the border-core instances on; fewer than the least mislead (a choice
# made on 5 synthetic images was worse on others than the defaults).
N_TUNING, LEAST_TUNING = 32, 10


def set_aside(samples: SampleSet) -> tuple[SampleSet, SampleSet]:
    """The samples to learn from, and those with particles that are set aside to tune instances on.

    Of images with particles about `N_TUNING` are set aside, a sixth at most and evenly spaced; if that is fewer than
    `LEAST_TUNING`, so many, or none if they were more than a quarter. Samples of one micrograph, which share
    `provenance["group"]`, overlap: all of them are set aside, or none, and a few more or fewer than `N_TUNING` may come
    out.
    """
    groups: dict[str, list[int]] = {}
    particles = []
    for k, sample in enumerate(samples):
        groups.setdefault(sample.provenance.get("group", sample.name), []).append(k)
        particles.append(bool(sample.n_particles))
    counts = {group: n for group, numbers in groups.items() if (n := sum(particles[k] for k in numbers))}
    total = sum(counts.values())
    n_groups = min(N_TUNING, total // 6) * len(counts) // max(1, total)
    if total >= 4 * LEAST_TUNING:
        n_groups = max(n_groups, -(-LEAST_TUNING * len(counts) // total))
    chosen = [list(counts)[k] for k in np.linspace(0, len(counts) - 1, n_groups).round().astype(int)]
    if sum(counts[group] for group in chosen) < LEAST_TUNING:
        chosen = []
    aside = {k for group in chosen for k in groups[group]}
    rest = [k for k in range(len(samples)) if k not in aside]
    return samples[rest], samples[sorted(k for k in aside if particles[k])]


def check(samples: SampleSet, *, patch_px: int) -> None:
    """Raises `SegmentationError` for what nnU-Net could not learn from, or not well: before it starts.

    There must be images, of at least `patch_px` in both directions and with known particles, of which one has some.
    """
    with_particles = 0
    for sample in samples:
        if sample.instances is None:
            raise SegmentationError(f"{sample.name}: expected instances to learn from, found none; leave it out")
        if min(sample.image.shape) < patch_px:
            raise SegmentationError(
                f"{sample.name}: expected at least {patch_px} x {patch_px} pixels, got {sample.image.shape}; lower "
                "patches.size_px or segmentation.patch_px"
            )
        with_particles += sample.n_particles > 0
    if not len(samples):
        raise SegmentationError(
            "no training images; check the synthetic images (chapter 04) or, for the arm 'real', that burnt-in text "
            "does not touch every patch"
        )
    if not with_particles:
        raise SegmentationError(
            f"none of the {len(samples)} training images holds a particle; check the masks of the training "
            "micrographs, or the layouts of the synthetic images"
        )
