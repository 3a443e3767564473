"""Tables of particles on disk: CSV for people, Parquet for programs, and a JSON that says what the figures mean."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from drgan_lib import __version__
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.quantify.distribution import Counting
from drgan_lib.quantify.particles import DEFINITIONS

PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-image", "scipy")


def write_table(
    table: pd.DataFrame, stem: str | Path, *, pixel_size_nm: float | None, counting: Counting, **more: Any
) -> tuple[Path, Path, Path]:
    """Writes `stem`.csv, .parquet and .json and returns their paths; each is put in place only when it is complete.

    The JSON holds `table_record` and, below the same names, what `more` says (the model, the source of the image).
    """
    csv, parquet, record = (Path(f"{stem}{suffix}") for suffix in (".csv", ".parquet", ".json"))
    with atomic_path(csv) as temporary:
        table.to_csv(temporary, index=False)
    with atomic_path(parquet) as temporary:
        table.to_parquet(temporary, engine="pyarrow", index=False)
    described = table_record(table.columns, pixel_size_nm=pixel_size_nm, counting=counting)
    write_json(record, described | {"n_rows": len(table)} | more)
    return csv, parquet, record


def read_table(stem: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table that `write_table` put at `stem`, from its Parquet file, and its record."""
    return pd.read_parquet(f"{stem}.parquet", engine="pyarrow"), read_json(f"{stem}.json")


def table_record(columns: Sequence[str], *, pixel_size_nm: float | None, counting: Counting) -> dict[str, Any]:
    """What a table of particles needs to be understood: pixel size, who counts, definitions of columns, versions.

    `min_area_px` and `border` say which rows a distribution counts; the table itself holds all particles.
    """
    return {
        "pixel_size_nm": pixel_size_nm,
        "min_area_px": counting.min_area_px,
        "border": counting.border,
        "definitions": {name: definition for name in columns if (definition := _definition(name))},
        "versions": {"drgan": __version__, **{name: version(name) for name in PACKAGES}},
    }


def _definition(column: str) -> str:
    """That of the column, or of the length or area that it gives in its unit; empty for columns added by others."""
    bare, _, unit = column.rpartition("_")
    if column in DEFINITIONS or bare not in DEFINITIONS:
        return DEFINITIONS.get(column, "")
    return f"{DEFINITIONS[bare]}; in {unit.replace('2', '^2')}"
