"""Which crops of the micrographs to learn from, chosen without annotations.

Training patches hold at least `min_particles` whole particles (none of them cut by the patch's border) and do
not repeat each other. Background patches hold no particle and nothing that might be one. Neither touches text that is
burnt into a micrograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from drgan_lib.config import PatchSettings
from drgan_lib.data.detect import Detection, detect_particles
from drgan_lib.data.overlays import touches
from drgan_lib.data.pixels import DataError
from drgan_lib.data.read import Micrograph
from drgan_lib.data.repeats import Repeats

MAX_OVERLAP = 0.5  # largest share of its area that a training patch has in common with another
MAX_BACKGROUND_OVERLAP = 0.85


@dataclass(frozen=True)
class PatchSelection:
    """Patches and where they came from.

    `train` float32 [n, s, s] and `background` float32 [m, s, s] in [0, 1]; `table` has one row per patch,
    training patches first (kind, index, micrograph, row, column, whole_particles, overlap, reason);
    `detections` one per micrograph; `counts` says how many windows were looked at and why they were not
    taken.
    """

    train: np.ndarray
    background: np.ndarray
    table: pd.DataFrame
    detections: list[Detection]
    counts: dict[str, int]


@dataclass
class _Window:
    micrograph: int
    row: int
    column: int
    whole: np.ndarray  # indices of the particles entirely inside
    overlap: float = 0.0


def select_patches(micrographs: Sequence[Micrograph], settings: PatchSettings, *, seed: int) -> PatchSelection:
    """Training and background patches of `settings.size_px` squared, found without annotations.

    Training patches are taken from the micrographs in turn, each time the window that shows most particles
    not seen yet, skipping windows that share more than half of their area with a chosen one or correlate with
    one, at any shift, above `max_similarity`. Fewer than asked for are returned where there are no more; none
    at all is a `DataError`.
    """
    size, rng = settings.size_px, np.random.default_rng(seed)
    _check_sizes(micrographs, size)
    detections = detect_particles([m.image for m in micrographs], [m.overlays for m in micrographs])
    stride, fine = settings.stride_px, max(1, settings.stride_px // 2)
    candidates = [w for i, d in enumerate(detections) for w in _windows(i, d, size, stride)]
    clear = [w for w in candidates if _is_clear(w, micrographs, size)]
    eligible = [w for w in clear if len(w.whole) >= settings.min_particles]
    if not eligible:
        raise DataError(
            f"no training patch: {sum(len(d.boxes) for d in detections)} particles were found in "
            f"{len(micrographs)} micrographs, and none of {len(clear)} windows of {size} px clear of burnt-in text "
            f"holds {settings.min_particles} whole ones (best: {max((len(w.whole) for w in clear), default=0)}); check "
            "that the images show bright particles on a darker background, or lower patches.min_particles, "
            "or change patches.size_px"
        )
    train, repeats = _choose_train(eligible, micrographs, settings, rng)
    empty = [w for i, d in enumerate(detections) for w in _windows(i, d, size, fine) if _is_empty(w, d, size)]
    clear_empty = [w for w in empty if _is_clear(w, micrographs, size)]
    background = _choose_background(clear_empty, size, settings.n_background, rng)
    counts = {
        "micrographs": len(micrographs),
        "particles_found": sum(len(d.boxes) for d in detections),
        "windows": len(candidates),
        "refused_for_overlays": len(candidates) - len(clear),
        "windows_with_enough_particles": len(eligible),
        "refused_as_repeats": repeats,
        "train": len(train),
        "windows_without_particles": len(empty),
        "of_these_refused_for_overlays": len(empty) - len(clear_empty),
        "background": len(background),
    }
    table = _table(train, background, micrographs)
    return PatchSelection(
        _crops(train, micrographs, size), _crops(background, micrographs, size), table, detections, counts
    )


def _check_sizes(micrographs: Sequence[Micrograph], size: int) -> None:
    if not micrographs:
        raise DataError("no micrographs to take patches from; check the dataset's train split")
    for m in micrographs:
        if min(m.image.shape) < size:
            raise DataError(
                f"{m.path}: the image is {m.image.shape[0]} x {m.image.shape[1]} px (above the data bar), "
                f"smaller than a patch of {size} x {size} px; use larger images or lower patches.size_px"
            )


def _windows(index: int, detection: Detection, size: int, stride: int) -> list[_Window]:
    """All windows of one micrograph on a grid of `stride` px, the last row and column included."""
    rows, columns = (_grid(n, size, stride) for n in detection.labels.shape)
    top, left, bottom, right = detection.boxes.T
    windows = []
    for row in rows:
        inside_rows = (top > row) & (bottom < row + size)
        for column in columns:
            inside = inside_rows & (left > column) & (right < column + size)
            windows.append(_Window(index, row, column, np.flatnonzero(inside)))
    return windows


def _grid(length: int, size: int, stride: int) -> list[int]:
    last = length - size
    return sorted({*range(0, last + 1, stride), last})


def _is_clear(window: _Window, micrographs: Sequence[Micrograph], size: int) -> bool:
    return not touches(micrographs[window.micrograph].overlays, window.row, window.column, size)


def _is_empty(window: _Window, detection: Detection, size: int) -> bool:
    rows, columns = slice(window.row, window.row + size), slice(window.column, window.column + size)
    return not detection.suspect[rows, columns].any()


def _overlap(a: _Window, b: _Window, size: int) -> float:
    """Share of a window's area that another one of the same micrograph covers."""
    if a.micrograph != b.micrograph:
        return 0.0
    return max(0, size - abs(a.row - b.row)) * max(0, size - abs(a.column - b.column)) / size**2


def _choose_train(
    eligible: list[_Window],
    micrographs: Sequence[Micrograph],
    settings: PatchSettings,
    rng: np.random.Generator,
) -> tuple[list[_Window], int]:
    pools = {i: [w for w in eligible if w.micrograph == i] for i in range(len(micrographs))}
    pools = {i: [pool[k] for k in rng.permutation(len(pool))] for i, pool in pools.items() if pool}
    seen: dict[int, set[int]] = {i: set() for i in pools}
    repeats = Repeats(settings.max_similarity, MAX_OVERLAP)
    chosen: list[_Window] = []
    while pools and len(chosen) < settings.max_train:
        for i in list(pools):
            while pool := pools[i]:
                best = max(pool, key=lambda w: (len(set(w.whole) - seen[i]), -w.overlap))
                pool.remove(best)
                if best.overlap <= MAX_OVERLAP and repeats.accept(_crop(best, micrographs, settings.size_px)):
                    chosen.append(best)
                    seen[i].update(best.whole)
                    for w in pool:
                        w.overlap = max(w.overlap, _overlap(w, best, settings.size_px))
                    pools[i] = [w for w in pool if w.overlap <= MAX_OVERLAP]
                    break
            if not pools[i]:
                del pools[i]
            if len(chosen) == settings.max_train:
                break
    return chosen, repeats.refused


def _choose_background(empty: list[_Window], size: int, n: int, rng: np.random.Generator) -> list[_Window]:
    """Up to `n` windows, each time the one that overlaps least with those chosen before."""
    pool, chosen = [empty[k] for k in rng.permutation(len(empty))], []
    while pool and len(chosen) < n:
        best = min(pool, key=lambda w: w.overlap)
        if best.overlap > MAX_BACKGROUND_OVERLAP:
            break
        pool.remove(best)
        chosen.append(best)
        for w in pool:
            w.overlap = max(w.overlap, _overlap(w, best, size))
    return chosen


def _crop(window: _Window, micrographs: Sequence[Micrograph], size: int) -> np.ndarray:
    image = micrographs[window.micrograph].image
    return image[window.row : window.row + size, window.column : window.column + size]


def _crops(windows: list[_Window], micrographs: Sequence[Micrograph], size: int) -> np.ndarray:
    crops = [_crop(w, micrographs, size) for w in windows]
    return np.stack(crops).astype(np.float32) if crops else np.empty((0, size, size), np.float32)


def _table(train: list[_Window], background: list[_Window], micrographs: Sequence[Micrograph]) -> pd.DataFrame:
    rows = []
    for kind, windows in (("train", train), ("background", background)):
        for index, w in enumerate(windows):
            found = f"{len(w.whole)} whole particles" if kind == "train" else "nothing stands out"
            rows.append(
                {
                    "kind": kind,
                    "index": index,
                    "micrograph": micrographs[w.micrograph].name,
                    "row": w.row,
                    "column": w.column,
                    "whole_particles": len(w.whole),
                    "overlap": round(w.overlap, 3),
                    "reason": f"{found}; shares at most {w.overlap:.0%} of its area with an earlier patch",
                }
            )
    return pd.DataFrame(rows)
