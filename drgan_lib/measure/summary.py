"""All images of a measurement together: one table, the distributions of the sizes, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from drgan_lib.files import atomic_path
from drgan_lib.quantify import (
    SIZES,
    Counting,
    Distribution,
    Estimate,
    distribution,
    plot_distribution,
    pool,
    write_table,
)

TARGET = 0.05


@dataclass(frozen=True)
class Measurement:
    """What was measured: the folder, the particles of all images in one table, the distributions of their sizes.

    `distributions` are of the columns `SIZES`, in nm, or in px where no pixel size is known (`unit`).
    """

    folder: Path
    table: pd.DataFrame
    unit: str
    distributions: dict[str, Distribution]

    def lines(self) -> list[str]:
        """The result in a few sentences."""
        d = self.distributions[f"equivalent_diameter_{self.unit}"]
        cut = f", under {d.smallest_nm:.3g} nm" if d.smallest_nm else ""
        said = [f"{d.n} particles counted; left out: {d.n_border} on the border, {d.n_small} too small{cut}"]
        if not d.n:
            return said
        sizes = ", ".join(f"{name.upper()} {_words(d.estimates[name])}" for name in ("d10", "d50", "d90"))
        said.append(f"equivalent diameter in {self.unit}, with {100 * d.level:.0f} % intervals: {sizes}")
        needed = d.needed("d50", TARGET)
        enough = "enough" if d.enough("d50", TARGET) else "not enough"
        known = "an unknown number" if math.isnan(needed) else f"about {needed:.0f}"
        said.append(f"{enough} for D50 within {100 * TARGET:.0f} %, which needs {known}")
        if "nano_fraction" in d.estimates:
            e = self.distributions["feret_min_nm"].estimates["nano_fraction"]
            said.append(
                f"smallest Feret diameter up to 100 nm: {100 * e.value:.3g} % [{100 * e.low:.3g}, {100 * e.high:.3g}] "
                f"of the particles; criterion of the EU (half of them): {d.nano_criterion}"
            )
        return said


def summarise(
    out: Path, tables: Mapping[str, pd.DataFrame], pixel_sizes_nm: Mapping[str, float | None], counting: Counting
) -> Measurement:
    """Pools the tables; writes `particles`, `distribution.png`, and `distribution.csv` last, unless it is there."""
    unit = "px" if None in pixel_sizes_nm.values() else "nm"
    table, column = pool(tables), f"{SIZES[0]}_{unit}"
    found = {f"{name}_{unit}": distribution(table, f"{name}_{unit}", counting) for name in SIZES}
    if not (out / "distribution.csv").is_file():
        sizes = set(pixel_sizes_nm.values())
        common = sizes.pop() if len(sizes) == 1 else None
        name = f"{len(tables)} images" if len(tables) > 1 else next(iter(tables))
        more = {"pixel_sizes_nm": dict(pixel_sizes_nm)}
        write_table(table, out / "particles", pixel_size_nm=common, counting=counting, **more)
        with atomic_path(out / "distribution.png") as temporary:
            plot_distribution({name: table}, column, counting).savefig(temporary, dpi=120)
        with atomic_path(out / "distribution.csv") as temporary:
            pd.concat({name: _rows(d) for name, d in found.items()}, names=["size"]).to_csv(temporary)
    return Measurement(out, table, unit, found)


def _words(e: Estimate) -> str:
    return f"{e.value:.4g} " + ("(too few for an interval)" if math.isnan(e.low) else f"[{e.low:.4g}, {e.high:.4g}]")


def _rows(d: Distribution) -> pd.DataFrame:
    """The distribution's table, and whether enough particles were counted for each figure that this is asked of."""
    table = d.table(TARGET)
    enough = (d.n >= table["n_needed"]).astype(object).where(table["n_needed"].notna())
    table.insert(len(table.columns) - 1, "enough", enough)
    return table
