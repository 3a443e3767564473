"""The size distribution: a formula of the material's settings, or a table of measured diameters.

Every distribution is a mixture of SciPy's. That of a table draws from its values, each spread evenly by half the way to
the nearest other value on either side, or by less (`WIDEST_STEP`): values rounded to a pixel fill the steps of the
rounding, and every value keeps its count and its mean. A gap between two kinds of particles stays empty, and each kind
as narrow as it was measured, which a kernel estimate would widen. Tables are read strictly,
as a misread one looks like any other.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, stats

from drgan_lib.config import BimodalSizes, ConfigError, EmpiricalSizes, LogNormalSizes, Material, NormalSizes
from drgan_lib.config import SizeLaw as SizeSettings

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
WIDEST_STEP = 0.1  # of rounding, as a share of the value: whole pixels at a diameter of ten; beyond, it is a gap
POINT = 1e-9  # relative width of a distribution without spread; SciPy's have none of width 0
LEAST_PX = 1.0
LEAST_MEASURED_PX = 2.0  # a median below this has hardly been measured on images of this pixel size


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


@dataclass(frozen=True)
class SizeDistribution:
    """A mixture of distributions; sizes are in scene units."""

    shares: tuple[float, ...]
    parts: tuple  # frozen distributions of SciPy, in the unit of the settings
    unit: float  # scene units per unit of the settings

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """float64 [n]"""
        which = rng.choice(len(self.parts), size=n, p=self.shares)
        draws = np.array([part.rvs(size=n, random_state=rng) for part in self.parts])
        return self.unit * draws[which, np.arange(n)]

    def cdf(self, sizes: np.ndarray) -> np.ndarray:
        """float64, the shape of `sizes`: the share of particles that are not larger."""
        values = np.asarray(sizes, dtype=float) / self.unit
        return sum(share * part.cdf(values) for share, part in zip(self.shares, self.parts, strict=True))

    @property
    def mean(self) -> float:
        return self.unit * sum(share * part.mean() for share, part in zip(self.shares, self.parts, strict=True))

    @property
    def median(self) -> float:
        medians = [self.unit * part.median() for part in self.parts]
        if len(medians) == 1:
            return float(medians[0])
        return float(optimize.brentq(lambda size: self.cdf(size) - 0.5, 0.999 * min(medians), 1.001 * max(medians)))


def size_distribution(material: Material) -> SizeDistribution:
    """The material's sizes; `ConfigError` for an unusable table and for sizes that its images cannot show."""
    settings = material.layout.sizes
    shares = (settings.share, 1 - settings.share) if isinstance(settings, BimodalSizes) else (1.0,)
    sizes = SizeDistribution(shares, _parts(settings), material.scene_units(settings.unit))
    _require_visible(material, sizes.median)
    return sizes


def _parts(settings: SizeSettings) -> tuple:
    match settings:
        case LogNormalSizes():
            return (stats.lognorm(max(settings.sigma, POINT), scale=settings.median),)
        case NormalSizes():
            return (_normal(settings.mean, settings.std),)
        case BimodalSizes():
            return tuple(map(_normal, settings.mean, settings.std))
        case EmpiricalSizes():
            return (_measured(read_diameters(settings.table)),)


def _normal(mean: float, std: float):
    """A normal distribution above a tenth of its mean."""
    std = max(std, POINT * mean)
    return stats.truncnorm(-0.9 * mean / std, np.inf, loc=mean, scale=std)


def _measured(diameters: np.ndarray):
    """The distribution of the module's docstring; a table of one value is that value."""
    values, counts = np.unique(diameters, return_counts=True)
    first = np.flatnonzero(np.diff(values, prepend=-np.inf) > POINT * values)  # the same but for rounding: one value
    values, counts = values[first], np.add.reduceat(counts, first)
    if len(values) == 1:
        return _normal(values[0], 0.0)
    gaps = np.diff(values, prepend=-np.inf, append=np.inf)
    half = np.minimum(np.minimum(gaps[:-1], gaps[1:]), WIDEST_STEP * values) / 2
    edges = np.column_stack([values - half, values + half]).ravel()
    shares = np.insert(counts, np.arange(1, len(counts)), 0)  # 0 between two cells
    kept = (shares > 0) | (np.diff(edges) > POINT * edges[:-1])  # cells that touch have nothing between them
    return stats.rv_histogram((shares[kept], np.append(edges[:-1][kept], edges[-1])), density=False)


def _require_visible(material: Material, median: float) -> None:
    """Refuses sizes that are mistaken by a unit: smaller than pixels, or larger than the field of view."""
    settings, px = material.layout.sizes, median * material.scene_unit_px
    measured = isinstance(settings, EmpiricalSizes)
    field_px = 2 * material.scene.half_field * material.scene_unit_px
    least = LEAST_MEASURED_PX if measured else LEAST_PX
    if least <= px <= field_px:
        return
    native = median / material.scene_units(settings.unit)
    got = f"a median of {native:.3g} {'scene units' if settings.unit == 'scene' else settings.unit}"
    if settings.unit != "px":
        got += f", which is {px:.3g} px"
    scale = f" of dataset.pixel_size_nm={material.dataset.pixel_size_nm:g} nm" if settings.unit == "nm" else ""
    where, advice = "layout.sizes", "correct the sizes or their unit"
    if measured:
        where, other = f"layout.sizes ({settings.table})", "micrometres" if px < least else "picometres or pixels"
        advice = f"are these {other}? {COLUMN} is in nm; convert the column, or correct dataset.pixel_size_nm"
    raise ConfigError(
        f"{where}: expected from {least:g} px to the field of {field_px:.0f} px{scale}, got {got}; {advice}"
    )
