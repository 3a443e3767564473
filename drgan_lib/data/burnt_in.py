"""Text and scale bars burnt into a micrograph, found by a reader of text (RapidOCR), and what a scale bar says.

What is read counts as text if its strokes are of one gray, as drawn ones are, or if it has several letters: the reader
takes pairs of particles for figures, too, and those are shaded. With the text goes the panel on which it stands. Chosen
on the training images of EMPS, and on those of TiO2 with their data bars and without.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import local
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from drgan_lib.data.metadata import length_nm
from drgan_lib.data.overlays import Box
from drgan_lib.data.pixels import read_pixels
from drgan_lib.data.scale_bar import bare_bars, find_scale_bar, levels

READ_PX = 736  # longer side of what is searched for text
SURE, SEVERAL = 0.75, 3  # least confidence of the reader; letters that need no other proof
ONE_GRAY, STROKES = 8, 0.05  # gray levels of 255; share of the pixels around text that strokes are at least
MARGIN_PX = 3  # around strokes, which compression smears
PANEL, FILLED = 0.3, 0.85  # of the image at most, and of its own rectangle at least
LENGTH = re.compile(r"\W*(\d+(?:[.,]\d+)?) ?([nuµμm]m|Å)\W*")
SAME, SAME_PX = 0.1, 2  # relative error of a scale bar, and that of its length
_of_thread = local()


class ScaleBar(NamedTuple):
    """A scale bar: its `text`, as "200 nm", what it stands for in nm, and its length in px."""

    text: str
    length_nm: float
    length_px: int

    @property
    def pixel_nm(self) -> float:
        """The size of a pixel in nm."""
        return self.length_nm / self.length_px

    def contradicts(self, pixel_size_nm: float) -> str:
        """A sentence if the bar is of other pixels than those of `pixel_size_nm`, else nothing."""
        factor = self.pixel_nm / pixel_size_nm
        if max(factor, 1 / factor) <= 1 + SAME + SAME_PX / self.length_px:
            return ""
        return f"its scale bar, read as {self}, but its pixels are said to have {pixel_size_nm:.4g} nm"

    def __str__(self) -> str:
        return f"{self.text} over {self.length_px} px, makes pixels of {self.pixel_nm:.3g} nm"


@dataclass(frozen=True)
class BurntIn:
    """Rectangles that are not sample, in px of the stored image, and the scale bar if one could be read."""

    boxes: tuple[Box, ...] = ()
    scale_bar: ScaleBar | None = None

    def above(self, rows: int) -> list[Box]:
        """The rectangles most of which lie in the first `rows` of the image."""
        return [box for box in self.boxes if (box.top + box.bottom) / 2 < rows]


def find_burnt_in(path: str | Path) -> BurntIn:
    """What is burnt into the image at `path`, its data bar included. Raises `DataError` for what is no gray image."""
    path = Path(path).absolute()
    return _of_file(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=10_000)
def _of_file(path: Path, _: int) -> BurntIn:
    stored = read_pixels(path).values.astype(np.float32)
    low, high = np.percentile(stored, (0.1, 99.9))
    return burnt_in(((stored - low) / max(high - low, 1e-6)).clip(0, 1))


def burnt_in(image: np.ndarray) -> BurntIn:
    """What is burnt into `image`, float [h, w] in [0, 1]."""
    gray = np.rint(255 * image).astype(np.uint8)
    found = _reader()(np.repeat(gray[..., None], 3, axis=2))
    boxes, scale_bar = [_grown(bar, gray.shape) for bar in bare_bars(gray)], None
    for corners, text, sure in zip(found.boxes, found.txts, found.scores, strict=True) if found.txts else ():
        left, top = corners.min(axis=0).astype(int).clip(0).tolist()
        right, bottom = np.ceil(corners.max(axis=0)).astype(int).tolist()
        letters = Box(top, left, min(bottom, gray.shape[0]), min(right, gray.shape[1]))
        if sure < SURE or (len(text) < SEVERAL and not _is_drawn(gray, letters)):
            continue
        boxes += [_grown(_tight(gray, letters), gray.shape), *_panel(gray, letters)]
        if (length := LENGTH.fullmatch(text)) and (bar := find_scale_bar(gray, letters)):
            boxes.append(_grown(bar, gray.shape))
            scale_bar = scale_bar or ScaleBar(text, length_nm(*length.groups()), bar.right - bar.left)
    return BurntIn(tuple(boxes), scale_bar)


def _is_drawn(gray: np.ndarray, letters: Box) -> bool:
    around = gray[letters.place].astype(int)
    dark, bright = around <= around.min() + ONE_GRAY, around >= around.max() - ONE_GRAY
    return bool(max(dark.mean(), bright.mean()) >= STROKES)


def _tight(gray: np.ndarray, letters: Box) -> Box:
    """The part of the rectangle `letters`, which is roughly drawn, that their strokes take."""
    ground, stroke = levels(gray, letters)
    inside = gray[letters.place]
    drawn = np.abs(inside - stroke) < np.abs(inside - ground)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    top, left = letters.top + int(rows[0]), letters.left + int(columns[0])
    return Box(top, left, letters.top + int(rows[-1]) + 1, letters.left + int(columns[-1]) + 1)


def _panel(gray: np.ndarray, letters: Box) -> list[Box]:
    """The even rectangle on which `letters` stand, if they do."""
    parts, _ = ndimage.label(np.abs(gray - levels(gray, letters)[0]) <= ONE_GRAY)
    inside = parts[letters.place]
    if not inside.any():
        return []
    part = np.bincount(inside[inside > 0]).argmax()
    place = ndimage.find_objects(parts == part)[0]
    filled = ndimage.binary_fill_holes(parts[place] == part)
    if filled.size > PANEL * gray.size or filled.mean() < FILLED:
        return []
    return [Box.at(place)]


def _grown(box: Box, shape: tuple[int, int]) -> Box:
    top, left = max(0, box.top - MARGIN_PX), max(0, box.left - MARGIN_PX)
    return Box(top, left, min(shape[0], box.bottom + MARGIN_PX), min(shape[1], box.right + MARGIN_PX))


def _reader() -> Any:
    """The reader of text of this thread, as threads cannot share one; it goes with its thread."""
    if hasattr(_of_thread, "reader"):
        return _of_thread.reader
    # Imported late: it takes a second.
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    size = {"Det.limit_type": "max", "Det.limit_side_len": READ_PX}
    params = {"Global.log_level": "error", "Global.use_cls": False, **size, **threads}
    _of_thread.reader = RapidOCR(params=params)
    return _of_thread.reader
