"""Tables of particles: on disk, and of several images together, with the distributions of their sizes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from drgan_lib import __version__
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.quantify.distributions import PERCENTILES, Counting, Distribution, distribution
from drgan_lib.quantify.particles import DEFINITIONS, pool

SIZES = ("equivalent_diameter", "feret_max", "feret_min")
PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-image", "scipy")
version_of = cache(version)  # 5 ms each, for every image


@dataclass(frozen=True)
class Measurement:
    """The `table` of the particles of all images, and the `distributions` of `SIZES`, by size, of those that count.

    Sizes are in `unit`: nm, or px unless the pixel size of every image is known (`pixel_sizes_nm`, by name).
    `left_out` are files that could not be measured, and why.
    """

    table: pd.DataFrame
    distributions: Mapping[str, Distribution]
    unit: str
    pixel_sizes_nm: Mapping[str, float | None]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def write(self, stem: Path, **more: object) -> None:
        """Writes the table, see `write_table`; its record has a pixel size if that of all images is the same."""
        first, *others = set(self.pixel_sizes_nm.values())
        counting = self.distributions[SIZES[0]].counting
        write_table(self.table, stem, pixel_size_nm=None if others else first, counting=counting, **more)

    def lines(self) -> list[str]:
        """The result in a few sentences."""
        d, feret = self.distributions[SIZES[0]], self.distributions["feret_min"]
        cut = f", under {d.smallest_nm:.3g} nm" if d.smallest_nm else ""
        said = [f"{len(self.left_out)} of the files could not be measured: {', '.join(self.left_out)}"] * bool(
            self.left_out
        )
        said += [f"{d.n} particles counted; left out: {d.n_border} on the border, {d.n_small} too small{cut}"]
        if not d.n:
            return said
        sizes = {name.upper(): d.metrics[name] for name in PERCENTILES}
        text = [f"{name} {m}{' (too few for an interval)' if m.low is None else ''}" for name, m in sizes.items()]
        said.append(f"equivalent diameter, with {100 * d.level:.0f} % intervals: {', '.join(text)}")
        known = f"about {d.needed('d50'):.0f}" if d.needed("d50") > 0 else "an unknown number"
        said.append(f"{'enough' if d.enough() else 'not enough'} for D50 within 5 %, which needs {known}")
        if self.unit == "nm":
            share, criterion = feret.metrics["nano_fraction"], feret.nano_criterion
            said.append(f"share with a smallest Feret diameter up to 100 nm: {share}; criterion of the EU: {criterion}")
        return said


def combine(
    tables: Mapping[str, pd.DataFrame], pixel_sizes_nm: Mapping[str, float | None], counting: Counting, **more: int
) -> Measurement:
    """The measurement of all images: `tables` of their particles, by name, in nm if all `pixel_sizes_nm` are known."""
    unit, table = "px" if None in pixel_sizes_nm.values() else "nm", pool(tables)
    found = {name: distribution(table, f"{name}_{unit}", counting, **more) for name in SIZES}
    return Measurement(table, found, unit, dict(pixel_sizes_nm))


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
        "versions": {"drgan": __version__, **{name: version_of(name) for name in PACKAGES}},
        "n_rows": len(table),
    }
    write_json(record, described | more)
    return csv, parquet, record


def read_table(stem: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table that `write_table` put at `stem`, from its Parquet file, and its record."""
    return pd.read_parquet(f"{stem}.parquet", engine="pyarrow"), read_json(f"{stem}.json")
