"""How alike real and synthetic images are in ways that no objective sees: for choosing between generators.

Nothing here needs an annotation. Each statistic is a distance that is 0 for two equal sets; two halves of the real
patches give the floor, what chance and the differences between micrographs make of it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage
from scipy.stats import wasserstein_distance

from drgan_lib.data.detect import detect_particles
from drgan_lib.scene.ground import noise_std

GRADIENT_PX = 1.0
BLOCK_PX = 16  # side of the squares in which noise and brightness are taken
LEVELS = np.linspace(0, 1, 11)  # of brightness, for the photon transfer
LEAST_BLOCKS = 30  # in a class of brightness
PROFILE_PX = 6  # on either side of an edge
FOLDS, RIDGE = 5, 1.0
DEFINITIONS = {
    "gray": "Wasserstein distance between the gray levels of all pixels (0 is black, 1 white)",
    "gradient": "Wasserstein distance between the gradient magnitudes (Gaussian derivative of 1 px), per px",
    "spectrum": "root mean square over frequencies of the difference of the mean radial power spectra, in decades",
    "noise": "root mean square over classes of brightness of the difference of ln(noise deviation) (photon transfer)",
    "edge": "root mean square over 6 px on either side of the difference of the mean gray profiles across found edges",
    "told_apart": "share of images that a linear classifier of deciles and spectra sorts right, 5-fold (0.5: chance)",
}


def likeness(real: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """The distances of `DEFINITIONS` between two sets of images, float [n, h, w] in [0, 1] of one size."""
    if real.ndim != 3 or real.shape[1:] != synthetic.shape[1:] or not (len(real) and len(synthetic)):
        raise ValueError(f"expected two sets of images [n, h, w] of one size, got {real.shape} and {synthetic.shape}")
    a, b = described(real), described(synthetic)
    both = np.isfinite(a["noise"]) & np.isfinite(b["noise"])
    return {
        "gray": float(wasserstein_distance(a["gray"], b["gray"])),
        "gradient": float(wasserstein_distance(a["gradient"], b["gradient"])),
        **{name: _rms(a[name] - b[name]) for name in ("spectrum", "edge")},
        "noise": _rms((a["noise"] - b["noise"])[both]) if both.any() else float("nan"),
        "told_apart": told_apart(real, synthetic),
    }


def described(images: Sequence[np.ndarray]) -> Mapping[str, np.ndarray]:
    """What `likeness` compares, of images [n, h, w]: samples of gray levels and gradients, and mean curves."""
    images = np.asarray(images, np.float32)
    gradients = np.stack([ndimage.gaussian_gradient_magnitude(image, GRADIENT_PX) for image in images])
    return {
        "gray": images[:, ::3, ::3].ravel(),
        "gradient": gradients[:, ::3, ::3].ravel(),
        "spectrum": np.log10(np.mean([radial_spectrum(image) for image in images], axis=0)),
        "noise": photon_transfer(images),
        "edge": edge_profile(images),
    }


def radial_spectrum(image: np.ndarray) -> np.ndarray:
    """float64 [min(h, w) // 2 - 1]: mean power at 1, 2, ... cycles per shorter side, under a Hann window."""
    rows, columns = (np.hanning(n) for n in image.shape)
    power = np.abs(np.fft.fft2((image - image.mean()) * np.outer(rows, columns))) ** 2
    y, x = (np.fft.fftfreq(n) * min(image.shape) for n in image.shape)
    radius = np.rint(np.hypot(y[:, None], x)).astype(int).ravel()
    sums, counts = np.bincount(radius, power.ravel()), np.bincount(radius)
    return (sums / counts)[1 : min(image.shape) // 2]


def photon_transfer(images: Sequence[np.ndarray]) -> np.ndarray:
    """float64 [10]: ln of the median noise deviation of the squares of each class of brightness; NaN where few are."""
    h, w = (size // BLOCK_PX for size in np.shape(images)[1:])
    parts = np.asarray(images)[:, : h * BLOCK_PX, : w * BLOCK_PX].reshape(-1, h, BLOCK_PX, w, BLOCK_PX).swapaxes(2, 3)
    parts = parts.reshape(-1, BLOCK_PX, BLOCK_PX)
    which, stds = np.digitize(parts.mean(axis=(1, 2)), LEVELS[1:-1]), np.array([noise_std(part) for part in parts])
    own = [stds[which == k] for k in range(len(LEVELS) - 1)]
    return np.array([np.log(max(np.median(s), 1e-4)) if len(s) >= LEAST_BLOCKS else np.nan for s in own])


def edge_profile(images: Sequence[np.ndarray]) -> np.ndarray:
    """float64 [12]: mean gray level at 6 to 1 px within the edges of what chapter 01 finds, and 1 to 6 px beyond."""
    sums, counts = np.zeros(2 * PROFILE_PX), np.zeros(2 * PROFILE_PX)
    for image, found in zip(images, detect_particles(list(images)), strict=True):
        inside = found.labels > 0
        place = np.where(inside, -ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside) - 1)
        place = np.floor(place).astype(int) + PROFILE_PX
        near = (place >= 0) & (place < len(sums))
        sums += np.bincount(place[near], image[near], len(sums))
        counts += np.bincount(place[near], minlength=len(sums))
    return sums / np.maximum(counts, 1)


def told_apart(real: np.ndarray, synthetic: np.ndarray) -> float:
    """How many of the images a classifier sorts right that has not seen them (Lopez-Paz and Oquab, ICLR 2017).

    It is linear (ridge regression), and sees deciles of gray levels and gradients, and the logarithm of the spectrum.
    """
    features = np.array([_features(image) for image in (*real, *synthetic)])
    target, right = np.repeat([1.0, -1.0], [len(real), len(synthetic)]), 0
    fold = np.concatenate([np.arange(len(real)) % FOLDS, np.arange(len(synthetic)) % FOLDS])
    for k in range(FOLDS):
        seen = fold != k
        mean, std = features[seen].mean(axis=0), features[seen].std(axis=0) + 1e-9
        x = np.column_stack([(features - mean) / std, np.ones(len(features))])
        weights = np.linalg.solve(x[seen].T @ x[seen] + RIDGE * np.eye(x.shape[1]), x[seen].T @ target[seen])
        right += int((np.sign(x[~seen] @ weights) == target[~seen]).sum())
    return right / len(target)


def _features(image: np.ndarray) -> np.ndarray:
    shares, gradient = np.arange(0.1, 1, 0.1), ndimage.gaussian_gradient_magnitude(image, GRADIENT_PX)
    bands = np.array_split(np.log10(radial_spectrum(image)), 8)
    return np.concatenate([np.quantile(image, shares), np.quantile(gradient, shares), [band.mean() for band in bands]])


def _rms(differences: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(differences))))
