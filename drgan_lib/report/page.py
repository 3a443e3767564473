"""The page itself: what all reports have in common, from the verdict to how to cite."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from drgan_lib.config import PACKAGE
from drgan_lib.files import atomic_path
from drgan_lib.metric import Metric, format_number
from drgan_lib.quantify.compare import MAIN, TRUE
from drgan_lib.quantify.distributions import PERCENTILES
from drgan_lib.quantify.measurement import SIZES, Measurement
from drgan_lib.quantify.plots import plot_distribution
from drgan_lib.report.lights import SIGNS
from drgan_lib.report.pictures import svg

NAME = "report.html"
WORDS = {TRUE: "masks", MAIN: "predictions, border-core", "plain": "predictions, plain", "": "these images"}


def write_page(
    folder: Path,
    found: Mapping[str, Measurement],
    metrics: Mapping[str, Metric],
    settings: Mapping[str, Any],
    files: tuple[str, ...],
    **parts: Any,
) -> Path:
    """Writes the report of what was `found`, by source, into `folder`; returns its path.

    `files` are patterns of paths in `folder` to link to, `parts` what the template asks for beside: title, subtitle,
    views and their legend, pairs (data URIs by name, by kind), lights, stages, machines, and the licence of the data.
    """
    loader = FileSystemLoader(Path(__file__).parent)
    settled = {"autoescape": True, "undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    rows, clauses = with_clauses(metrics)
    text = (
        Environment(loader=loader, **settled)
        .get_template("page.html.j2")
        .render(
            **parts,
            verdict=verdict(found),
            said=main(found).lines() if found else (),
            plot=svg(plot_distribution({WORDS[k]: of.distributions[SIZES[0]] for k, of in found.items()}))
            if found
            else "",
            sizes=[row for source, measured in found.items() for row in size_rows(WORDS[source], measured)],
            signs=SIGNS,
            rows=rows,
            clauses=clauses,
            settings=yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100),
            files=[path.relative_to(folder).as_posix() for name in files for path in sorted(folder.glob(name))],
            citation=yaml.safe_load((PACKAGE / "CITATION.cff").read_text()),
        )
    )
    with atomic_path(folder / NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / NAME


def main(found: Mapping[str, Measurement]) -> Measurement:
    """The measurement that a report is about: of the predictions, border-core if there are any."""
    return next(found[source] for source in (MAIN, "plain", "") if source in found)


def verdict(found: Mapping[str, Measurement]) -> str:
    """The result in a sentence: D50 with its interval, the truth where there is one, and whether it is enough."""
    if not found:
        return "No sizes yet: the stage quantification has not finished"
    d = main(found).distributions[SIZES[0]]
    if not d.n:
        return "No particle counts: none was found, or all are on the border or too small"
    said = [f"D50 {d.metrics['d50']}, from {d.n} particle{'s' if d.n > 1 else ''}"]
    if TRUE in found:
        said.append(f"the masks say {format_number(found[TRUE].distributions[SIZES[0]].metrics['d50'].value)}")
    return "; ".join([*said, "enough for 5 %" if d.enough() else "too few for 5 %"])


def size_rows(source: str, measured: Measurement) -> list[tuple[str, ...]]:
    """Rows of the table of diameters: source, percentile, value, interval, particles needed for 5 %."""
    d, rows = measured.distributions[SIZES[0]], []
    for name in PERCENTILES:
        value, low, high = (format_number(getattr(d.metrics[name], key)) for key in ("value", "low", "high"))
        known, needed = d.metrics[name].low is not None, d.needed(name)
        interval = f"{low} to {high} {measured.unit}" if known else "none, too few particles"
        of = f"{source}, {d.n} particles", name.upper(), f"{value} {measured.unit}", interval
        rows.append((*of, "not known" if math.isnan(needed) else f"{needed:.0f}"))
    return rows


def with_clauses(metrics: Mapping[str, Metric]) -> tuple[list[tuple[str, Metric, list[int]]], list[str]]:
    """The metrics with the numbers of the clauses of their definitions, from 1 on, and the clauses, each once."""
    numbers: dict[str, int] = {}
    rows = [
        (name, metric, [numbers.setdefault(clause, len(numbers) + 1) for clause in metric.definition.split("; ")])
        for name, metric in metrics.items()
    ]
    return rows, list(numbers)
