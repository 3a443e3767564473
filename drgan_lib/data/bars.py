"""Data bars that are visible below an image, for files whose tags do not tell."""

import numpy as np

HIGHEST = 0.25  # share of the rows that a bar may have
LEAST_ROWS = 8
MOST = 0.9  # of its rows are flat; the others are frames
FLAT = 0.4  # share of the pixels of each of its rows that have the gray of its ground


def rows_above_bar(image: np.ndarray) -> int | None:
    """Rows above a data bar at the bottom of `image` [h, w]; None if there seems to be none.

    The rows of a bar are mostly of one and the same gray, black or white as a rule; rows of the image above are not. It
    is a proposal: nothing is cut off by it.
    """
    height = len(image)
    grays, counts = np.unique(image[-max(2, height // 100) :], return_counts=True)
    share = (image == grays[counts.argmax()]).mean(axis=1)
    in_bar = share >= FLAT
    below = in_bar[::-1].cumsum()[::-1] / np.arange(height, 0, -1)  # share of the rows from each one on
    tops = np.flatnonzero(in_bar & (below >= MOST))
    top = int(tops[0]) if tops.size else height
    high_enough = LEAST_ROWS <= height - top <= HIGHEST * height
    return top if high_enough and np.median(share[:top]) < FLAT / 2 else None
