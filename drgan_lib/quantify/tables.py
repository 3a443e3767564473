"""Tables of particles on disk: CSV for people, Parquet for programs, and a JSON that says what the columns mean."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from drgan_lib import __version__
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.quantify.distributions import Counting
from drgan_lib.quantify.particles import DEFINITIONS

PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-image", "scipy")


def write_table(
    table: pd.DataFrame, stem: str | Path, *, pixel_size_nm: float | None, counting: Counting, **more: Any
) -> tuple[Path, Path, Path]:
    """Writes `stem`.csv, .parquet and .json and returns their paths; each is put in place only when it is complete.

    The table holds all particles. The JSON says its pixel size, which rows count in a distribution (`min_area_px`,
    `border`), what each column is, which versions made it, and `more` (the model, the source of the image).
    """
    csv, parquet, record = (Path(f"{stem}{suffix}") for suffix in (".csv", ".parquet", ".json"))
    with atomic_path(csv) as temporary:
        table.to_csv(temporary, index=False)
    with atomic_path(parquet) as temporary:
        table.to_parquet(temporary, engine="pyarrow", index=False)
    definitions = {}
    for name in table:
        bare, _, unit = name.rpartition("_")
        if name in DEFINITIONS:
            definitions[name] = DEFINITIONS[name]
        elif bare in DEFINITIONS:
            definitions[name] = f"{DEFINITIONS[bare]}; in {unit.replace('2', '^2')}"
    described = {
        "pixel_size_nm": pixel_size_nm,
        "min_area_px": counting.min_area_px,
        "border": counting.border,
        "definitions": definitions,
        "versions": {"drgan": __version__, **{name: version(name) for name in PACKAGES}},
        "n_rows": len(table),
    }
    write_json(record, described | more)
    return csv, parquet, record


def read_table(stem: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table that `write_table` put at `stem`, from its Parquet file, and its record."""
    return pd.read_parquet(f"{stem}.parquet", engine="pyarrow"), read_json(f"{stem}.json")
