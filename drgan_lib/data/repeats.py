"""Patches that show the same thing twice, whichever micrograph they come from."""

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
        self._accepted: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # spectra, sums, deviations

    def accept(self, patch: np.ndarray) -> bool:
        """Whether `patch` (float [s, s]) repeats none of those accepted before; if so, it is one of them now."""
        small = ndimage.uniform_filter(patch, COARSE)[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
        small = (small - small.mean()) / max(float(small.std()), 1e-6)
        shape = [2 * n for n in small.shape]
        spectrum, squared, ones = (fft.rfft2(a, shape) for a in (small, small**2, np.ones_like(small)))
        area = fft.irfft2(np.conj(ones) * ones, shape)
        shifts = area > self.min_overlap * small.size
        n = area[shifts]

        def sums(fixed: np.ndarray, shifted: np.ndarray) -> np.ndarray:
            """Sums of products over what the two have in common, at each shift."""
            return fft.irfft2(np.conj(fixed) * shifted, shape)[..., shifts]

        def deviation(of_values: np.ndarray, of_squares: np.ndarray) -> np.ndarray:
            return np.sqrt(np.maximum(of_squares - of_values**2 / n, 1e-3 * n))

        if self._accepted:
            spectra, their_sums, their_deviations = map(np.stack, zip(*self._accepted, strict=True))
            own = sums(ones, spectrum)
            covariance = sums(spectra, spectrum) - own * their_sums / n
            if (covariance / (deviation(own, sums(ones, squared)) * their_deviations)).max() > self.max_similarity:
                self.refused += 1
                return False
        theirs = sums(spectrum, ones)
        self._accepted.append((spectrum, theirs, deviation(theirs, sums(squared, ones))))
        return True
