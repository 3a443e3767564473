"""The user's table of measured diameters: a CSV file, read strictly, as a misread table looks like any other."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from drgan_lib.config import ConfigError

COLUMN = "diameter_nm"
SHOWN = 5  # lines that an error names
MISSING = ("", "na", "n/a", "nan")
OTHER_COLUMNS = {
    COLUMN: "rename it",
    "diameter_um": f"multiply it by 1000 and name it {COLUMN}",
    "diameter_µm": f"multiply it by 1000 and name it {COLUMN}",
    "diameter_px": f"multiply it by the pixel size in nm and name it {COLUMN}",
    "diameter": f"if it is in nm, name it {COLUMN}, else convert it first",
}


def read_diameters(path: Path) -> np.ndarray:
    """float64 [n], nm: the column `diameter_nm` of a CSV file; `ConfigError` says what is wrong with it.

    Fields are separated by commas and decimals written with a point. Lines that begin with # are comments; an empty
    line is a missing value, unless only empty ones follow.
    """
    path = path.expanduser()
    try:
        head, rows, lines = _read(path)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; correct layout.sizes.table") from None
    except (OSError, ValueError, csv.Error) as error:  # ValueError: what the decoding of the text raises
        raise ConfigError(f"{path} is not a readable CSV file ({error}); correct layout.sizes.table") from None
    if head.count(COLUMN) != 1:
        got = f"expected one column {COLUMN}, got {', '.join(head) or 'an empty file'}"
        raise ConfigError(f"{path}: {got}; {_advice(head)}")
    place = head.index(COLUMN)
    cells = pd.Series([row[place].strip() if place < len(row) else "" for row in rows], dtype=object)
    missing = cells.str.lower().isin(MISSING).to_numpy()
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float)
    faults = {
        "not to be told, as there are more fields than in the head,": np.array([len(row) > len(head) for row in rows]),
        "missing": missing,
        "not a number": ~missing & ~np.isfinite(values),
        "zero or negative": values <= 0,
    }
    found = [f"{what} in {_rows(lines[where])}" for what, where in faults.items() if where.any()]
    if found:
        raise ConfigError(
            f"{path}: expected positive diameters in {COLUMN}, but they are {'; '.join(found)}; correct these, with "
            "commas between the fields and a point in decimals"
        )
    if len(values) == 0:
        raise ConfigError(f"{path}: {COLUMN} has no rows; expected one for each measured particle")
    return values


def _read(path: Path) -> tuple[list[str], list[list[str]], np.ndarray]:
    """Names in the head, fields of the rows below, and the number of each row's line in the file, from 1."""
    text = path.read_text(encoding="utf-8-sig").splitlines()
    kept = [(number, line) for number, line in enumerate(text, 1) if not line.lstrip().startswith("#")]
    full = [k for k, (_, line) in enumerate(kept) if line.strip()]
    kept = kept[full[0] : full[-1] + 1] if full else []
    reader = csv.reader((line for _, line in kept), skipinitialspace=True)
    (_, head), *rows = [(kept[reader.line_num - 1][0], row) for row in reader] or [(0, [])]
    return [name.strip() for name in head], [row for _, row in rows], np.array([line for line, _ in rows], dtype=int)


def _advice(columns: list[str]) -> str:
    """What to do about a table without the column of diameters in nm."""
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t"):
        return "separate the columns by commas, and write decimals with a point"
    if COLUMN in columns:
        return "name only the one to use so"
    lower = {name.lower(): name for name in columns}
    known = [f"{lower[name]}: {advice}" for name, advice in OTHER_COLUMNS.items() if name in lower]
    return known[0] if known else "name the column of diameters so, and give them in nm"


def _rows(numbers: np.ndarray) -> str:
    """Lines of the file as an editor or a spreadsheet counts them."""
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"row{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:SHOWN]))}{more}"
