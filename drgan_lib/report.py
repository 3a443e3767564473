"""The figures of a run as a table: on the terminal and in `report.md`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from drgan_lib.files import atomic_path, read_json


def load_results(run: str | Path) -> dict[str, Any]:
    """Content of `results.json` of the run folder `run`; `FileNotFoundError` says how to make one."""
    path = Path(run) / "results.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a folder runs/<material>/<profile> with a results.json, got {run}; "
            "make one with `drgan run MATERIAL --profile PROFILE`"
        )
    return read_json(path)


def table(results: dict[str, Any], *, width: int = 110) -> str:
    """Figures with their definitions, then the seconds of each stage, aligned, in `width` columns."""
    rows = [
        (name, format_value(figure["value"]), figure.get("split", ""), figure["definition"])
        for name, figure in results["figures"].items()
    ]
    lines = aligned(("figure", "value", "split", "definition"), rows, width) if rows else ["no figures yet"]
    total = sum(results["stages"].values())
    times = [(name, f"{seconds:.0f} s") for name, seconds in (*results["stages"].items(), ("together", total))]
    lines += ["", *aligned(("stage", "time"), times, width)]
    return "\n".join([*lines, "", f"device: {results['device']}   seed: {results['seed']}"])


def write_report(run: str | Path) -> Path:
    """Writes `report.md` beside `results.json`: the figures, the pictures that the stages left, the pages."""
    run = Path(run)
    results = load_results(run)
    lines = [f"# {run.parent.name}, profile {run.name}", "", "| figure | value | split | definition |"]
    lines += ["| --- | --- | --- | --- |"]
    for name, figure in results["figures"].items():
        cells = (name, format_value(figure["value"]), figure.get("split", ""), figure["definition"])
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    lines += ["", "| stage | seconds |", "| --- | --- |"]
    lines += [f"| {name} | {seconds:.0f} |" for name, seconds in results["stages"].items()]
    lines += ["", f"Device: {results['device']}. Seed: {results['seed']}."]
    for picture in sorted(run.glob("*/*.png")):
        if not picture.parent.name.endswith(".previous"):
            path = picture.relative_to(run).as_posix()
            lines += ["", f"![{picture.stem} of the stage {picture.parent.name}]({path})", "", f"`{path}`"]
    lines += ["", "Executed pages:", ""]
    lines += [f"- [{page.stem}](notebooks/{page.name})" for page in sorted(run.glob("notebooks/[0-9]*.ipynb"))]
    path = run / "report.md"
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    return path


def format_value(value: Any) -> str:
    """Three significant digits for fractions, the number itself for integers; a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, bool | int | str):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def aligned(head: tuple[str, ...], rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Lines of a table, its columns as wide as their widest cell; the last one is wrapped to fit `width`."""
    columns = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head) - 1)]
    indent = sum(columns) + 2 * len(columns)
    lines = []
    for row in (head, tuple("-" * len(cell) for cell in head), *rows):
        first, *rest = textwrap.wrap(row[-1], max(width - indent, 20)) or [""]
        start = "".join(f"{cell:<{column}}  " for cell, column in zip(row[:-1], columns, strict=True))
        lines += [(start + first).rstrip(), *(" " * indent + line for line in rest)]
    return lines
