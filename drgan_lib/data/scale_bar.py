"""The scale bar beside a length that is written into a micrograph, and bars without one.

Chosen on the training images of EMPS, and on those of TiO2 with their data bars.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from drgan_lib.data.overlays import Box

REACH = 2.0  # heights of the letters between a length and its bar
LEAST, MOST = 1.1, 0.9  # width of a bar: heights of the letters, and share of the image
WHOLE = 0.85  # of a bar's rectangle is drawn
APART, ALONE = 3, 0.5  # px above and below a bar; at most this share of them is drawn
PALER = 0.35  # than the letters, in shares of their contrast, a bar may be
LEAST_TICKS, EVEN = 6, 0.1  # of a ruler; deviation of their distances, relative to the usual one
EXTREME = 12  # gray levels of 255 from black or white, in a bar without text
BARE, LONG = 0.1, 8  # its least width: share of the image's, and its own height


def find_scale_bar(gray: np.ndarray, letters: Box) -> Box | None:
    """The bar that goes with the length written in the rectangle `letters` of `gray`, uint8 [h, w]; None without one.

    It is a line, the two halves of one on either side of the letters, or a row of ticks. Left and right are its ends.
    """
    height = letters.bottom - letters.top
    reach = int(REACH * height)
    top = max(0, letters.top - reach)
    ground, stroke = levels(gray, letters)
    part = gray[top : letters.bottom + reach].astype(float)
    drawn = (part - stroke) * np.sign(stroke - ground) > -PALER * abs(stroke - ground)
    lines = [_moved(line, top) for line in _strokes(drawn, LEAST * height)]
    lines = [
        line
        for line in lines
        if line.bottom - line.top < height
        and line.right - line.left < MOST * gray.shape[1]
        and max(_gap(line, letters)) <= reach
        and not _is_inside(line, letters)
    ]
    parts = ndimage.find_objects(ndimage.label(drawn, np.ones((3, 3)))[0])
    ticks = [_moved(Box.at(part), top) for part in parts if part[1].stop - part[1].start <= height / 2]
    return _line(lines, letters) or _ruler(ticks, letters)


def bare_bars(gray: np.ndarray) -> list[Box]:
    """Bars in black or white without a length, in `gray`, uint8 [h, w]: long level strokes, which no particle is."""
    width = gray.shape[1]
    found = [
        line
        for drawn in (gray <= EXTREME, gray >= 255 - EXTREME)
        for line in _strokes(drawn, BARE * width)
        if 2 < line.bottom - line.top <= (line.right - line.left) / LONG
    ]
    return [line for line in found if line.left > 0 and line.right < width]


def levels(gray: np.ndarray, letters: Box) -> tuple[float, float]:
    """Gray of the ground and of the strokes of `letters`, which are the smaller part of their rectangle."""
    inside = gray[letters.place]
    dark = inside <= threshold_otsu(inside)
    ground, stroke = (dark, ~dark) if dark.mean() > 0.5 else (~dark, dark)
    return float(np.median(inside[ground])), float(np.median(inside[stroke]))


def _strokes(drawn: np.ndarray, length: float) -> list[Box]:
    """Level strokes of at least `length` px in what is `drawn`, bool [h, w]: filled rectangles, alone in their rows."""
    long = ndimage.binary_opening(drawn, np.ones((1, max(2, int(length)))))
    found = []
    for rows, columns in ndimage.find_objects(ndimage.label(long)[0]):
        sides = drawn[max(0, rows.start - APART) : rows.start, columns], drawn[rows.stop : rows.stop + APART, columns]
        if long[rows, columns].mean() >= WHOLE and all(side.mean() < ALONE for side in sides if side.size):
            found.append(Box.at((rows, columns)))
    return found


def _line(lines: Sequence[Box], letters: Box) -> Box | None:
    """From the start of the line left of `letters` to the end of that on their right, else the longest line."""
    by_width = sorted(lines, key=lambda line: line.left - line.right)
    height = letters.bottom - letters.top
    for left in (line for line in by_width if line.right <= letters.left + height):
        for right in (line for line in by_width if line.left >= letters.right - height):
            if abs(left.top - right.top) < height / 2 and _gap(left, letters)[0] == 0:
                return Box(min(left.top, right.top), left.left, max(left.bottom, right.bottom), right.right)
    return by_width[0] if by_width else None


def _ruler(ticks: Sequence[Box], letters: Box) -> Box | None:
    """From the middle of the first tick to that of the last, of the row next to `letters` that is evenly divided."""
    for row in sorted({tick.top for tick in ticks}, key=lambda row: abs(row - letters.top)):
        level = [tick for tick in ticks if abs(tick.top - row) <= 1]
        middles = np.sort([(tick.left + tick.right) / 2 for tick in level])
        if len(level) < LEAST_TICKS:
            continue
        steps = np.diff(middles) / np.median(np.diff(middles))  # one that something hides makes a step of two
        if np.abs(steps - steps.round()).max() <= EVEN:
            return Box(row, round(middles[0]), max(tick.bottom for tick in level), round(middles[-1]))
    return None


def _moved(box: Box, rows: int) -> Box:
    return box._replace(top=box.top + rows, bottom=box.bottom + rows)


def _gap(line: Box, letters: Box) -> tuple[int, int]:
    """Rows and columns between the two."""
    rows = max(line.top - letters.bottom, letters.top - line.bottom, 0)
    return rows, max(line.left - letters.right, letters.left - line.right, 0)


def _is_inside(line: Box, letters: Box) -> bool:
    """Whether `line` is one of a letter, and not one at the rim of their rectangle, which is roughly drawn."""
    quarter = (letters.bottom - letters.top) / 4
    between = letters.top + quarter < line.top and line.bottom < letters.bottom - quarter
    return between and letters.left <= line.left and line.right <= letters.right
