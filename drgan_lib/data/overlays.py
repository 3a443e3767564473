"""Text, logos and scale bars that a microscope or an author burnt into micrographs: rectangles that are not sample.

A table `overlays.tsv` beside the images decides for those that it names: one row per rectangle with the columns path
(relative to the table), top, left, bottom, right in px, ends excluded; a row without numbers says that there is none.
In other images they are looked for (`drgan_lib.data.burnt_in`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from drgan_lib.errors import DataError
from drgan_lib.files import atomic_path

TABLE = "overlays.tsv"


class Box(NamedTuple):
    """A rectangle of an image in px, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns, as an index."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @classmethod
    def at(cls, place: tuple[slice, slice]) -> Self:
        """The rectangle of these rows and columns."""
        rows, columns = place
        return cls(rows.start, columns.start, rows.stop, columns.stop)


def read_overlays(table: Path, images: Sequence[Path]) -> dict[Path, tuple[Box, ...]]:
    """Rectangles of each of `images` that `table` names, by absolute path; `{}` if there is no such file.

    Raises `DataError`, naming the row, for missing columns, a path that is none of `images`, and corners that span
    no rectangle of whole pixels: a mistake that went unnoticed would let the text in.
    """
    if not table.is_file():
        return {}
    rows = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    columns = ["path", *Box._fields]
    if missing := [name for name in columns if name not in rows.columns]:
        raise DataError(
            f"{table}: columns {', '.join(missing)} are missing; expected {', '.join(columns)} with tabs between them, "
            f"got {', '.join(rows.columns)}"
        )
    known = {path.absolute() for path in images}
    boxes: dict[Path, tuple[Box, ...]] = {}
    for line, (path, *corners) in enumerate(rows[columns].itertuples(index=False), start=2):
        image = (table.parent / path).absolute()
        if image not in known:
            raise DataError(f"{table}, line {line}: no image of this dataset is {path!r}; correct the path")
        if not any(corners):
            boxes.setdefault(image, ())
            continue
        box = Box(*map(int, corners)) if all(corner.strip().isdecimal() for corner in corners) else None
        if box is None or box.top >= box.bottom or box.left >= box.right:
            raise DataError(
                f"{table}, line {line}: expected whole numbers with 0 <= top < bottom and 0 <= left < right, got "
                f"{', '.join(f'{name} {value!r}' for name, value in zip(Box._fields, corners, strict=True))}"
            )
        boxes[image] = (*boxes.get(image, ()), box)
    return boxes


def write_overlays(table: Path, boxes: Mapping[str, Sequence[Box]]) -> None:
    """Writes the rectangles `boxes` of images, by path, as `read_overlays` reads them: to be corrected by hand."""
    rows = [(path, *box) for path, found in boxes.items() for box in found or [("",) * len(Box._fields)]]
    with atomic_path(table) as temporary:
        pd.DataFrame(rows, columns=["path", *Box._fields]).to_csv(temporary, sep="\t", index=False)


def covered(boxes: Sequence[Box], shape: tuple[int, int]) -> np.ndarray:
    """bool [h, w]: pixels inside one of `boxes`."""
    mask = np.zeros(shape, bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def touches(boxes: Sequence[Box], row: int, column: int, size: int) -> bool:
    """Whether the square window of `size` px at (row, column) shares a pixel with one of `boxes`."""
    end, last = row + size, column + size
    return any(row < bottom and top < end and column < right and left < last for top, left, bottom, right in boxes)
