"""What training finds of the truth: every material is trained on its own twin, and compared with it in one table."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from drgan_lib.config import load_experiment, parse_overrides
from drgan_lib.files import atomic_path, read_json
from drgan_lib.metric import format_number
from drgan_lib.runs import pipeline
from drgan_lib.runs.execute import NotebookFailed

STAGES = ("data", "scene", "gan")
TITLE = "# What training finds of the truth"
COLUMNS = {
    "true_mean": "mean of the training micrographs' parameters, in physical units",
    "true_std": "their standard deviation",
    "learned_mean": "mean of the selected epoch's parameters",
    "learned_std": "their standard deviation",
    "untrained_mean": "mean of the parameters before training",
    "before": "Wasserstein-1 distance of untrained and true parameters, in units of the width of the bounds",
    "after": "the same of the selected epoch",
}


def recover_all(
    names: Sequence[str],
    profile: str = "demo",
    overrides: list[str] | None = None,
    *,
    runs: Path,
    echo: Callable[[str], None] = print,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Trains each material on its own twin, below `runs`, as far as that is not done; collects what was recovered.

    Returns a table with a row per material and parameter (`material`, `profile`, `epoch`, `parameter` and `COLUMNS`),
    and for each material that has no row the reason: it has no twin, or its run failed, which does not end the others.
    Settings and names that are wrong raise before the first run, see `load_experiment`.
    """
    values = parse_overrides(overrides)
    with_twin = [name for name in names if load_experiment(name, profile).material.twin is not None]
    exps = {name: load_experiment(name, profile, values | own_twin(name), runs=runs) for name in with_twin}
    tables, missing = [], {}
    for name in names:
        if name not in exps:
            missing[name] = "it has no section `twin`: describe one in its YAML file"
            continue
        echo(f"== {name}")
        try:
            pipeline.run(name, profile, values | own_twin(name), runs=runs, only=STAGES, echo=echo)
        except NotebookFailed as error:
            missing[name] = f"its run failed ({error}); see {error.copy}"
            continue
        except (ValueError, OSError, RuntimeError) as error:  # what `drgan run` reports, too
            missing[name] = f"its run failed: {error}"
            continue
        tables.append(read_recovery(exps[name].run_dir))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(), missing


def own_twin(name: str) -> dict[str, str]:
    """Overrides with which a material is run on its own twin; `name` is as for `load_experiment`."""
    return {"dataset.twin_of": load_experiment(name).material.name}


def read_recovery(run: Path) -> pd.DataFrame:
    """Rows of one run, from the recovery.json that its GAN stage wrote."""
    found = read_json(run / "gan" / "recovery.json")
    rows = pd.DataFrame(found["parameters"]).T[list(COLUMNS)].reset_index(names="parameter")
    for name, value in (("epoch", found["epoch"]), ("profile", run.name), ("material", run.parent.name)):
        rows.insert(0, name, value)
    return rows


def write_tables(table: pd.DataFrame, folder: Path) -> Path:
    """Writes recovery.csv and recovery.md into `folder`; returns the latter's path."""
    with atomic_path(folder / "recovery.csv") as temporary:
        table.to_csv(temporary, index=False)
    text = table.map(format_number)
    lines = [TITLE, "", tabulate(text, list(text.columns), "github", showindex=False, disable_numparse=True), ""]
    lines += [*(f"- `{name}`: {meaning}" for name, meaning in COLUMNS.items()), "", summary(table)]
    with atomic_path(folder / "recovery.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    return folder / "recovery.md"


def as_text(table: pd.DataFrame) -> str:
    """The table in aligned columns, and a line on all materials together."""
    return f"{table.map(format_number).to_string(index=False)}\n\n{summary(table)}"


def summary(table: pd.DataFrame) -> str:
    """One line: mean distances before and after training, and how many parameters came closer."""
    before, after = table["before"].mean(), table["after"].mean()
    closer = int((table["after"] < table["before"]).sum())
    return (
        f"Materials: {table['material'].nunique()}. Mean distance {before:.3f} before, {after:.3f} after training; "
        f"{closer} of {len(table)} parameters came closer to the truth."
    )
