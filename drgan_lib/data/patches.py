"""Which crops of the micrographs to learn from, chosen without annotations.

Training patches hold at least `min_particles` whole particles, which their border does not cut, and do not repeat each
other. Background patches hold no particle and nothing that might be one. Neither touches text burnt into a micrograph.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import fft, ndimage

from drgan_lib.config import PatchSettings
from drgan_lib.data.detect import Detection, detect_particles
from drgan_lib.data.overlays import touches
from drgan_lib.data.read import common_pixel_size
from drgan_lib.errors import DataError
from drgan_lib.samples import Sample, SampleSet

MAX_OVERLAP = 0.5  # largest share of its area that a training patch has in common with another
MAX_BACKGROUND_OVERLAP = 0.85
COARSE = 4  # patches are compared after being made smaller by this factor


@dataclass(frozen=True)
class PatchSelection:
    """Patches and where they came from.

    `train` and `background` are patches [s, s] of one pixel size; `table` has one row per patch, training patches first
    (kind, index, micrograph, row, column, whole_particles, overlap, reason); `detections` one entry per micrograph;
    `counts` says how many windows were looked at and why they were not taken.
    """

    train: SampleSet
    background: SampleSet
    table: pd.DataFrame
    detections: list[Detection]
    counts: dict[str, int]


@dataclass
class _Window:
    """A square of one micrograph; `whole` are the numbers of the particles entirely inside."""

    micrograph: int
    row: int
    column: int
    size: int
    whole: set[int]
    overlap: float = 0.0  # largest share of its area that a chosen window covers

    def of(self, image: np.ndarray) -> np.ndarray:
        return image[self.row : self.row + self.size, self.column : self.column + self.size]

    def note(self, chosen: _Window) -> None:
        if chosen.micrograph == self.micrograph:
            height, width = self.size - abs(self.row - chosen.row), self.size - abs(self.column - chosen.column)
            self.overlap = max(self.overlap, max(0, height) * max(0, width) / self.size**2)


def select_patches(micrographs: SampleSet, settings: PatchSettings, *, seed: int) -> PatchSelection:
    """Training and background patches of `settings.size_px` squared, found without annotations.

    Training patches are taken from the micrographs in turn, each time the window that shows most particles not seen
    yet. Windows are skipped that share more than half of their area with a chosen one, or correlate with one, at any
    shift, above `max_similarity`. There may be fewer than asked for. Raises `DataError` if there are none, and for
    micrographs that differ in pixel size or are smaller than a patch.
    """
    size, rng, held = settings.size_px, np.random.default_rng(seed), list(micrographs)
    if not held:
        raise DataError("no micrographs to take patches from; check the dataset's train split")
    check_sizes(held, size)
    pixel_size_nm, overlays = common_pixel_size(held), [m.provenance.get("overlays", ()) for m in held]
    detections = detect_particles([m.image for m in held], overlays)

    def clear(windows: list[_Window]) -> list[_Window]:
        return [w for w in windows if not touches(overlays[w.micrograph], w.row, w.column, size)]

    def sample(index: int, w: _Window, found: str) -> Sample:
        about = {"micrograph": held[w.micrograph].name, "row": w.row, "column": w.column}
        about |= {"whole_particles": len(w.whole), "overlap": round(w.overlap, 3)}
        about |= {"reason": f"{found}; shares at most {w.overlap:.0%} of its area with an earlier patch"}
        return Sample(f"{index:03d}", w.of(held[w.micrograph].image), pixel_size_nm, provenance=about)

    n_found = sum(len(d.boxes) for d in detections)
    windows = _windows(detections, size, settings.stride_px)
    allowed = clear(windows)
    eligible = [w for w in allowed if len(w.whole) >= settings.min_particles]
    if not eligible:
        raise DataError(
            f"no training patch: {n_found} particles were found in {len(held)} micrographs, and none of {len(allowed)} "
            f"windows of {size} px clear of burnt-in text holds {settings.min_particles} whole ones (best: "
            f"{max((len(w.whole) for w in allowed), default=0)}); check that the images show bright particles on a "
            "darker background, or lower patches.min_particles, or change patches.size_px"
        )
    chosen, n_repeats = _choose_train(eligible, [m.image for m in held], settings, rng)
    train = SampleSet.of(sample(k, w, f"{len(w.whole)} whole particles") for k, w in enumerate(chosen))
    fine = _windows(detections, size, max(1, settings.stride_px // 2))
    empty = [w for w in fine if not w.of(detections[w.micrograph].suspect).any()]
    chosen = _choose_background(clear(empty), settings.n_background, rng)
    background = SampleSet.of(sample(k, w, "nothing stands out") for k, w in enumerate(chosen))
    counts = {
        "micrographs": len(held),
        "particles_found": n_found,
        "windows": len(windows),
        "refused_for_overlays": len(windows) - len(allowed),
        "windows_with_enough_particles": len(eligible),
        "refused_as_repeats": n_repeats,
        "train": len(train),
        "windows_without_particles": len(empty),
        "of_these_refused_for_overlays": len(empty) - len(clear(empty)),
        "background": len(background),
    }
    pairs = (("train", train), ("background", background))
    rows = [{"kind": kind, "index": k, **patch.provenance} for kind, made in pairs for k, patch in enumerate(made)]
    return PatchSelection(train, background, pd.DataFrame(rows), detections, counts)


def check_sizes(micrographs: Iterable[Sample], size_px: int) -> None:
    """Reads the micrographs, and raises `DataError` for one that is smaller than a patch of `size_px`."""
    for micrograph in micrographs:
        height, width = micrograph.image.shape
        if min(height, width) < size_px:
            file = micrograph.provenance.get("file", micrograph.name)
            raise DataError(
                f"{file}: the image is {height} x {width} px (above the data bar), smaller than a patch of {size_px} x "
                f"{size_px} px; use larger images, lower patches.size_px or raise dataset.working_scale"
            )


def _windows(detections: Sequence[Detection], size: int, stride: int) -> list[_Window]:
    """All windows on a grid of `stride` px in each micrograph, the last row and column included."""
    windows = []
    for index, detection in enumerate(detections):
        rows, columns = (sorted({*range(0, n - size + 1, stride), n - size}) for n in detection.labels.shape)
        top, left, bottom, right = detection.boxes.T
        for row in rows:
            inside_rows = (top > row) & (bottom < row + size)
            for column in columns:
                whole = np.flatnonzero(inside_rows & (left > column) & (right < column + size))
                windows.append(_Window(index, row, column, size, set(whole.tolist())))
    return windows


def _choose_train(
    eligible: list[_Window], images: Sequence[np.ndarray], settings: PatchSettings, rng: np.random.Generator
) -> tuple[list[_Window], int]:
    """The windows chosen, and how many were refused as repeats."""
    pools = ([w for w in eligible if w.micrograph == i] for i in range(len(images)))
    turns = deque(([pool[k] for k in rng.permutation(len(pool))], set()) for pool in pools if pool)
    repeats, chosen = Repeats(settings.max_similarity, MAX_OVERLAP), []
    while turns and len(chosen) < settings.max_train:
        pool, seen = turns.popleft()
        while pool:
            best = max(pool, key=lambda w: (len(w.whole - seen), -w.overlap))
            pool.remove(best)
            if repeats.accept(best.of(images[best.micrograph])):
                chosen.append(best)
                seen |= best.whole
                for w in pool:
                    w.note(best)
                turns.append(([w for w in pool if w.overlap <= MAX_OVERLAP], seen))
                break
    return chosen, repeats.refused


def _choose_background(empty: list[_Window], n: int, rng: np.random.Generator) -> list[_Window]:
    """Up to `n` windows, each time the one that overlaps least with those chosen before."""
    pool, chosen = [empty[k] for k in rng.permutation(len(empty))], []
    while pool and len(chosen) < n:
        best = min(pool, key=lambda w: w.overlap)
        if best.overlap > MAX_BACKGROUND_OVERLAP:
            break
        pool.remove(best)
        chosen.append(best)
        for w in pool:
            w.note(best)
    return chosen


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
