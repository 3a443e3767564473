"""What of a run stands, what is due and why; and what of a store nothing needs any more."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from drgan_lib.config import Experiment, load_experiment
from drgan_lib.files import read_json
from drgan_lib.runs.chapter import notebooks_folder, read_record, result_folder, stands
from drgan_lib.runs.keys import STAGES, Stage, differences, key_of, page_keys, stage_parts


@dataclass(frozen=True)
class StageStatus:
    """One stage of a run: `state` is "stands", "page due" or "due", `why` says what changed."""

    stage: str
    state: str
    why: str = ""


def status(run: str | Path) -> list[StageStatus]:
    """What each stage of the run in the folder `run` would do if it were run again as it was the last time.

    Raises `FileNotFoundError` if nothing was run there.
    """
    path = Path(run) / "run.json"
    if not path.is_file():
        raise FileNotFoundError(f"expected a folder runs/<material>/<profile> with a run.json, got {run}; run it first")
    asked = read_json(path)
    exp = load_experiment(**asked)
    parts, pages = stage_parts(exp, notebooks_folder()), page_keys(exp, notebooks_folder())
    return [stage_status(exp, stage, parts[stage.name], pages[stage.name]) for stage in STAGES]


def stage_status(exp: Experiment, stage: Stage, parts: dict, page: str) -> StageStatus:
    """Whether the results that depend on `parts` and their page stand."""
    folder = result_folder(exp, stage, key_of(parts))
    if not stands(folder):
        record, current = read_record(folder), read_record(exp.run_dir / stage.folder)
        if record is not None:
            why = "not finished" if record["state"] == "running" else "its results were edited"
        elif current is not None:
            why = "; ".join(differences(current["parts"], parts))
        else:
            why = "not run yet"
        return StageStatus(stage.name, "due", why)
    if read_pages(exp).get(stage.name) != {"key": key_of(parts), "page": page}:
        return StageStatus(stage.name, "page due", "its text, its plots or the files that it lists changed")
    if not executed_copy(exp, stage).is_file():
        return StageStatus(stage.name, "page due", "it is not there")
    return StageStatus(stage.name, "stands")


def executed_copy(exp: Experiment, stage: Stage) -> Path:
    """Where the executed notebook of `stage` lies."""
    return exp.run_dir / "notebooks" / f"{stage.notebook}.ipynb"


def read_pages(exp: Experiment) -> dict[str, dict[str, str]]:
    """By stage, the key of the results that its page shows, and the key of the page."""
    path = exp.run_dir / "pages.json"
    return read_json(path) if path.is_file() else {}


def collect_garbage(runs: str | Path) -> tuple[list[Path], int]:
    """Removes what no run below `runs` points to, from its store; returns the folders removed and their bytes.

    Kept are the current results of every run, and what they use of the store. Results of earlier settings go.
    """
    store, needed = Path(runs) / "store", set()
    for pointer in Path(runs).glob("*/*/*"):
        if pointer.is_symlink():
            needed |= {pointer.resolve(), *(link.resolve() for link in pointer.glob("uses/*"))}
    removed = [place for place in sorted(store.glob("*/*")) if place.is_dir() and place.resolve() not in needed]
    n_bytes = sum(path.lstat().st_size for place in removed for path in place.rglob("*") if not path.is_dir())
    for place in removed:
        shutil.rmtree(place)
    return removed, n_bytes
