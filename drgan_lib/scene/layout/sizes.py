"""The law of the sizes: a formula of the material's settings, or a table of measured diameters.

Every law is a mixture of SciPy's distributions. That of a table is its own distribution function, made continuous by
straight lines between the measured values, with half of the particles of one value below it and half above: sizes
between the measured ones occur, values rounded to a pixel are spread, and a second mode stays as narrow as it was
measured, which a kernel estimate would widen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, stats

from drgan_lib.config import BimodalSizes, ConfigError, EmpiricalSizes, LogNormalSizes, Material, NormalSizes
from drgan_lib.config import SizeLaw as SizeSettings

COLUMN = "diameter_nm"
SHOWN = 5  # rows that an error names
POINT = 1e-9  # relative width of a law without spread; SciPy's have none of width 0
LEAST_PX = 1.0
LEAST_MEASURED_PX = 2.0  # a median below this has hardly been measured on images of this pixel size


@dataclass(frozen=True)
class SizeLaw:
    """A mixture of laws; sizes are in scene units."""

    shares: tuple[float, ...]
    laws: tuple  # frozen distributions of SciPy, in the unit of the settings
    unit: float  # scene units per unit of the settings

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """float64 [n]"""
        which = rng.choice(len(self.laws), size=n, p=self.shares)
        draws = np.array([law.rvs(size=n, random_state=rng) for law in self.laws])
        return self.unit * draws[which, np.arange(n)]

    def cdf(self, sizes: np.ndarray) -> np.ndarray:
        """float64, the shape of `sizes`: the share of particles that are not larger."""
        values = np.asarray(sizes, dtype=float) / self.unit
        return sum(share * law.cdf(values) for share, law in zip(self.shares, self.laws, strict=True))

    @property
    def mean(self) -> float:
        return self.unit * sum(share * law.mean() for share, law in zip(self.shares, self.laws, strict=True))

    @property
    def median(self) -> float:
        medians = [self.unit * law.median() for law in self.laws]
        if len(medians) == 1:
            return float(medians[0])
        return float(optimize.brentq(lambda size: self.cdf(size) - 0.5, 0.999 * min(medians), 1.001 * max(medians)))


def size_law(material: Material) -> SizeLaw:
    """The material's law of sizes; `ConfigError` for an unusable table and for sizes that its images cannot show."""
    settings = material.layout.sizes
    laws = _laws(settings)
    law = SizeLaw(tuple(share for share, _ in laws), tuple(d for _, d in laws), material.scene_units(settings.unit))
    _require_visible(material, law.median)
    return law


def sample_sizes(material: Material, n: int, rng: np.random.Generator) -> np.ndarray:
    """float64 [n]: sizes in scene units, drawn from the material's law."""
    return size_law(material).sample(n, rng)


def size_cdf(material: Material, sizes: np.ndarray) -> np.ndarray:
    """float64, the shape of `sizes` (scene units): the share of particles that are not larger, by the law."""
    return size_law(material).cdf(sizes)


def _laws(settings: SizeSettings) -> list[tuple[float, object]]:
    """(share, distribution) of the components of a law."""
    match settings:
        case LogNormalSizes():
            return [(1.0, stats.lognorm(max(settings.sigma, POINT), scale=settings.median))]
        case NormalSizes():
            return [(1.0, _normal(settings.mean, settings.std))]
        case BimodalSizes():
            shares = (settings.share, 1 - settings.share)
            return [(share, _normal(*law)) for share, *law in zip(shares, settings.mean, settings.std, strict=True)]
        case EmpiricalSizes():
            return [(1.0, _measured(read_diameters(settings.table)))]


def _normal(mean: float, std: float):
    """A normal law above a tenth of its mean."""
    std = max(std, POINT * mean)
    return stats.truncnorm(-0.9 * mean / std, np.inf, loc=mean, scale=std)


def _measured(diameters: np.ndarray):
    """The distribution function of the module's docstring."""
    values, counts = np.unique(diameters, return_counts=True)
    if len(values) == 1:
        return _normal(values[0], 0.0)
    return stats.rv_histogram(((counts[:-1] + counts[1:]) / 2, values), density=False)


def read_diameters(path: Path) -> np.ndarray:
    """float64 [n], nm: the column `diameter_nm` of a CSV file; `ConfigError` says what is wrong with it."""
    path = path.expanduser()
    try:
        table = pd.read_csv(path, comment="#", skipinitialspace=True, encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; correct layout.sizes.table") from None
    except (OSError, ValueError) as error:  # ValueError: what pandas and the decoding of the text raise
        raise ConfigError(f"{path} is not a readable CSV file ({error}); correct layout.sizes.table") from None
    if COLUMN not in table.columns:
        raise ConfigError(f"{path}: {_missing_column([str(name) for name in table.columns])}")
    cells = table[COLUMN]
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float)
    faults = {
        "missing": cells.isna().to_numpy(),
        "not a number": cells.notna().to_numpy() & ~np.isfinite(values),
        "zero or negative": values <= 0,
    }
    found = [f"{what} in {_rows(where)}" for what, where in faults.items() if where.any()]
    if found:
        raise ConfigError(f"{path}: expected positive diameters in {COLUMN}, but they are {'; '.join(found)}; correct")
    if len(values) == 0:
        raise ConfigError(f"{path}: {COLUMN} has no rows; expected one for each measured particle")
    return values


def _missing_column(columns: list[str]) -> str:
    """What to do about a table without the column of diameters in nm."""
    have = f"expected a column {COLUMN}, got {', '.join(columns)}"
    lower = {name.lower().strip(): name for name in columns}
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t"):
        return f"{have}; separate the columns by commas, and write decimals with a point"
    for name, advice in (
        (COLUMN, "rename it"),
        ("diameter_um", f"multiply it by 1000 and name it {COLUMN}"),
        ("diameter_µm", f"multiply it by 1000 and name it {COLUMN}"),
        ("diameter_px", f"multiply it by the pixel size in nm and name it {COLUMN}"),
        ("diameter", f"if it is in nm, name it {COLUMN}, else convert it first"),
    ):
        if name in lower:
            return f"{have}; {lower[name]}: {advice}"
    return f"{have}; name the column of diameters so, and give them in nm"


def _rows(where: np.ndarray) -> str:
    """Rows as a spreadsheet counts them: the head is row 1."""
    rows = np.flatnonzero(where) + 2
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:SHOWN]))}{more}"


def _require_visible(material: Material, median: float) -> None:
    """Refuses sizes that are mistaken by a unit: smaller than pixels, or larger than the field of view."""
    settings, px = material.layout.sizes, median * material.scene_unit_px
    measured = isinstance(settings, EmpiricalSizes)
    field_px = 2 * material.scene.half_field * material.scene_unit_px
    least = LEAST_MEASURED_PX if measured else LEAST_PX
    if least <= px <= field_px:
        return
    where = f"layout.sizes ({settings.table})" if measured else "layout.sizes"
    native = median / material.scene_units(settings.unit)
    got = f"a median of {native:.3g} {'scene units' if settings.unit == 'scene' else settings.unit}"
    if settings.unit != "px":
        got += f", which is {px:.3g} px"
    scale = f" of dataset.pixel_size_nm={material.dataset.pixel_size_nm:g} nm" if settings.unit == "nm" else ""
    advice = "correct the sizes or their unit"
    if measured:
        other = "micrometres" if px < least else "picometres or pixels"
        advice = f"are these {other}? {COLUMN} is in nm; convert the column, or correct dataset.pixel_size_nm"
    raise ConfigError(
        f"{where}: expected from {least:g} px to the field of {field_px:.0f} px{scale}, got {got}; {advice}"
    )
