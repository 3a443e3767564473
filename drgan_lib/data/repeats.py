"""Patches that show the same thing twice, whichever micrograph they come from."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

COARSE = 4  # patches are compared after being made smaller by this factor


class Repeats:
    """Accepts patches one by one, and refuses those that repeat an accepted one.

    Two patches repeat each other if there is a shift at which they have more than the share `min_overlap` of
    their area in common and correlate above `max_similarity` there (Pearson's coefficient over the common
    area). All shifts are evaluated at once by Fourier transforms (Padfield, IEEE Trans. Image Process. 21,
    2706 (2012)).
    """

    def __init__(self, max_similarity: float, min_overlap: float):
        self.max_similarity, self.min_overlap = max_similarity, min_overlap
        self.refused = 0
        self._spectra: list[np.ndarray] = []
        self._sums: list[np.ndarray] = []
        self._deviations: list[np.ndarray] = []

    def accept(self, patch: np.ndarray) -> bool:
        """Whether `patch` (float [s, s]) repeats none of those accepted before; if so, it is one of them
        now.
        """
        small = ndimage.uniform_filter(patch, COARSE)[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
        small = (small - small.mean()) / max(float(small.std()), 1e-6)
        shape = [2 * n for n in small.shape]
        spectrum, ones = fft.rfft2(small, shape), fft.rfft2(np.ones_like(small), shape)
        common = fft.irfft2(np.conj(ones) * ones, shape)
        shifts = common > self.min_overlap * small.size
        n = common[shifts]
        if self._spectra:
            # sums of this patch over what it has in common with one shifted against it, at each shift
            own = fft.irfft2(np.conj(ones) * spectrum, shape)[shifts]
            own_squared = fft.irfft2(np.conj(ones) * fft.rfft2(small**2, shape), shape)[shifts]
            own_deviation = np.sqrt(np.maximum(own_squared - own**2 / n, 1e-3 * n))
            products = fft.irfft2(np.conj(np.stack(self._spectra)) * spectrum, shape)[:, shifts]
            covariance = products - own * np.stack(self._sums) / n
            if (covariance / (own_deviation * np.stack(self._deviations))).max() > self.max_similarity:
                self.refused += 1
                return False
        sums = fft.irfft2(np.conj(spectrum) * ones, shape)[shifts]
        squared = fft.irfft2(np.conj(fft.rfft2(small**2, shape)) * ones, shape)[shifts]
        self._spectra.append(spectrum)
        self._sums.append(sums)
        self._deviations.append(np.sqrt(np.maximum(squared - sums**2 / n, 1e-3 * n)))
        return True
