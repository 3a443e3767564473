"""Real ground: rendered particles on the support of real micrographs.

Half of what keeps renders on a flat support from passing for real is the support. Its look needs no learning: patches
in which chapter 01 found no particle show it. The light that the rendered support sends to the camera is multiplied by
such a patch, so shadows, the darkening under particles and the learned brightness stay. Where there are none, random
fields stand for them that have the spectrum and the gray levels of what can be seen between particles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from scipy import ndimage, signal
from torch import Tensor

from drgan_lib.config import GanSettings
from drgan_lib.data.detect import detect_particles
from drgan_lib.draws import uniform
from drgan_lib.errors import DrganError
from drgan_lib.samples import SampleSet

STREAM = 2  # of random numbers; 0 is the detector's noise, 1 dropout, 3 the particles' brightness
# Differences of a pixel to its neighbours in which a smooth image vanishes (Immerkaer, Comput. Vis. Image Underst. 64,
# 300, 1996); of white noise they have six times the deviation.
DIFFERENCES = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
WINDOW_PX = 5
LEAST = 10
N_FIELDS = 64
HALO_PX = 10  # around particles, where their light and their shadow fall
LEAST_GAP, LEAST_PAIRS = 0.1, 0.02  # of a patch that must be free; of its pixels that are pairs at a distance


class GroundError(DrganError, ValueError):
    """Ground that cannot be had; the message says what to do."""


class Ground:
    """Factors of a support's light, float32 [n, s, s] of mean 1; each image gets one of them, turned at random.

    `lenders` are the micrographs that they are from.
    """

    def __init__(self, factors: np.ndarray, lenders: Iterable[str] = ()):
        self.factors, self.lenders = torch.from_numpy(np.ascontiguousarray(factors, np.float32)), frozenset(lenders)

    @classmethod
    def of(cls, background: SampleSet) -> Ground:
        """The ground of patches in which no particle was found, at least one, without their noise.

        Every second of their micrographs lends its ground, so that images can be compared with patches of the others.
        """
        lenders = sorted({patch.provenance["micrograph"] for patch in background})[::2]
        patches = [patch.image for patch in background if patch.provenance["micrograph"] in lenders]
        return cls(np.stack([without_noise(patch) / patch.mean() for patch in patches]), lenders)

    @classmethod
    def between(cls, patches: SampleSet) -> Ground:
        """Random fields like what lies between the particles of `patches`; `GroundError` if next to nothing does.

        The fields are Gaussian, of the mean autocovariance of the gaps less their noise, and then have the quantiles of
        the gaps. They repeat nothing of an image, so that no micrograph is a lender.
        """
        images = [patch.image for patch in patches]
        found = detect_particles(images)
        # Patches hold particles; where none is found, they would be taken for ground.
        free = [(ndimage.distance_transform_edt(~one.suspect) > HALO_PX) & one.suspect.any() for one in found]
        seen = [(without_noise(i), f) for i, f in zip(images, free, strict=True) if f.mean() >= LEAST_GAP]
        if not seen:
            raise GroundError(
                "no texture of the support: the particles of all patches leave less than a tenth of them free; set "
                "gan.support=flat"
            )
        factors = [np.where(f, image / image[f].mean() - 1, 0) for image, f in seen]
        products, pairs = (sum(map(_correlated, arrays)) for arrays in (factors, [f.astype(float) for _, f in seen]))
        enough = pairs > LEAST_PAIRS * pairs.size * len(seen)
        spectrum = np.fft.fft2(np.where(enough, products / np.maximum(pairs, 1), 0)).real.clip(0)
        noise = np.fft.fft2(np.random.default_rng(0).normal(size=(N_FIELDS, *spectrum.shape)))
        fields = np.fft.ifft2(noise * np.sqrt(spectrum)).real
        values = np.concatenate([factor[f] for factor, (_, f) in zip(factors, seen, strict=True)])
        shares = np.linspace(0.01, 0.99, 99)  # not what was taken for a gap by mistake
        return cls(1 + np.interp(fields, np.quantile(fields, shares), np.quantile(values, shares)))

    def apart(self, patches: SampleSet) -> SampleSet:
        """Those of `patches` whose micrographs lend no ground; `GroundError` if there are fewer than `LEAST`."""
        found = [k for k, patch in enumerate(patches) if patch.provenance["micrograph"] not in self.lenders]
        if len(found) < LEAST:
            raise GroundError(
                "gan.support is not flat, and distances to real patches are then taken on micrographs that lend no "
                f"ground: expected at least {LEAST} patches of these, found {len(found)} of {len(patches)}; add "
                "micrographs, or set gan.support=flat"
            )
        return patches[found]

    @property
    def key(self) -> str:
        """Digest of the factors."""
        return hashlib.sha256(self.factors.numpy().tobytes()).hexdigest()[:16]

    def draw(self, seeds: Sequence[int]) -> Tensor:
        """Factors [b, s, s] for images with these seeds: which patch, which of four turns, and whether mirrored."""
        chosen = uniform(torch.tensor(seeds), 3, stream=STREAM) * torch.tensor([len(self.factors), 4, 2])
        turned = []
        for number, turns, mirrored in chosen.long().tolist():
            factor = torch.rot90(self.factors[number], turns)
            turned.append(factor.flip(1) if mirrored else factor)
        return torch.stack(turned)


def choose_ground(
    settings: GanSettings, patches: SampleSet, background: SampleSet, *, log: Callable[[str], None] = print
) -> Ground | None:
    """The ground that `settings.support` asks for, from chapter 01's patches with particles and without; None is flat.

    Where there is no background to be `real`, it is a texture, and where particles leave no gaps either, flat: `log`
    says so. Raises `GroundError` for a `texture` without gaps.
    """
    if settings.support == "flat":
        return None
    if settings.support == "texture":
        return Ground.between(patches)
    if len(background):
        return Ground.of(background)
    log("gan.support is real, but chapter 01 found no background: the ground is a texture, as with texture")
    try:
        return Ground.between(patches)
    except GroundError as error:
        log(f"{error}. The support stays flat")
        return None


def _correlated(image: np.ndarray) -> np.ndarray:
    """[h, w]: sums of products of pixels, by their distance across the border."""
    return np.fft.ifft2(np.abs(np.fft.fft2(image)) ** 2).real


def noise_std(image: np.ndarray) -> float:
    """Standard deviation of the white noise in `image`, float [h, w], from differences of neighbours."""
    differences = ndimage.convolve(image.astype(float), DIFFERENCES)[1:-1, 1:-1]
    return float(1.4826 * np.median(np.abs(differences)) / 6)


def without_noise(image: np.ndarray) -> np.ndarray:
    """`image`, float [h, w], by Wiener's filter: smoothed where it varies no more than its noise does."""
    variance, margin = max(noise_std(image), 1e-6) ** 2, WINDOW_PX // 2
    with np.errstate(divide="ignore", invalid="ignore"):  # windows of one gray level
        smooth = signal.wiener(np.pad(image.astype(float), margin, mode="reflect"), WINDOW_PX, variance)
    return smooth[margin:-margin, margin:-margin]
