"""Where the results of a stage lie, and whether they stand: the one place that says so.

Results lie in `<runs>/store/<stage>/<key>`, a folder named by all that they depend on, and are never moved. What is
current is a pointer: `<runs>/<material>/<profile>/<stage>` is a symbolic link to it. So a setting that is changed back
finds its results again. `stage.json` in the folder says how they were made, and that they are complete.
"""

import os
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drgan_lib.config import PACKAGE, ConfigError, Experiment, load_experiment
from drgan_lib.digest import file_digest
from drgan_lib.executors import open_executor
from drgan_lib.files import read_json, write_json
from drgan_lib.runs.keys import STAGES, Stage, find_stage, key_of, stage_parts
from drgan_lib.store import Store, point


@dataclass(frozen=True)
class Chapter:
    """A chapter at work: its settings, the folder of its results, and the store for what is long to make."""

    exp: Experiment
    folder: Path
    store: Store

    def earlier(self, stage: str) -> Path:
        """Folder of the results of an earlier stage; raises `FileNotFoundError` if there are none."""
        folder = self.exp.run_dir / find_stage(stage).folder
        if read_record(folder) is None:
            raise FileNotFoundError(
                f"{folder}: expected the results of the stage {stage}, found none; run chapter "
                f"{find_stage(stage).notebook} first"
            )
        return folder

    def executor(self) -> AbstractContextManager[Executor | None]:
        """What works on many items: the executor that `DRGAN_EXECUTOR` names, see `drgan_lib.executors`."""
        return open_executor(None, self.store.root)


def open_chapter(
    stage: str,
    material: str,
    profile: str = "demo",
    overrides: dict[str, Any] | list[str] | None = None,
    *,
    seed: int = 0,
    runs: str | Path | None = None,
) -> Chapter:
    """The chapter of `stage`, ready for work: the first call of a notebook, by hand and in a run alike.

    Points the run's folder of the stage to the results of these settings; what is there of them is gone on with.
    """
    exp = load_experiment(material, profile, overrides, seed=seed, runs=runs)
    parts = stage_parts(exp, notebooks_folder())[stage]
    folder = begin(exp, find_stage(stage), parts)
    return Chapter(exp, folder, Store(exp.runs / "store", owner=folder))


def notebooks_folder() -> Path:
    """Folder of the chapters: `DRGAN_NOTEBOOKS`, by default those that come with the library."""
    return Path(os.environ.get("DRGAN_NOTEBOOKS") or PACKAGE / "chapters")


def result_folder(exp: Experiment, stage: Stage, key: str) -> Path:
    """Where the results of `stage` under `key` lie."""
    return exp.runs / "store" / stage.folder / key


def begin(exp: Experiment, stage: Stage, parts: dict[str, Any]) -> Path:
    """Makes the results that depend on `parts` current, for work on them; returns their folder."""
    key = key_of(parts)
    folder = result_folder(exp, stage, key)
    point(exp.run_dir / stage.folder, folder)
    record = read_record(folder) or {"stage": stage.name, "key": key, "parts": parts}
    write_json(folder / "stage.json", record | {"state": "running"})
    return folder


def finish(exp: Experiment, stage: Stage, folder: Path, **facts: Any) -> None:
    """Marks the results in `folder` as complete, with `facts` on how they were made.

    Raises `RuntimeError` if the run's folder of `stage` points elsewhere by now.
    """
    if (pointer := exp.run_dir / stage.folder).resolve() != folder.resolve():
        raise RuntimeError(f"{pointer} now points to other results: settings or code changed meanwhile; run it again")
    record = read_record(folder) | facts | {"state": "complete", "metrics": _metrics_digest(folder)}
    write_json(folder / "stage.json", record)


def stands(folder: Path) -> bool:
    """Whether the results in `folder` are complete, and still as they were then."""
    record = read_record(folder)
    return record is not None and record["state"] == "complete" and record["metrics"] == _metrics_digest(folder)


def read_record(folder: Path) -> dict[str, Any] | None:
    """The `stage.json` of `folder`, or None if there is none."""
    path = folder / "stage.json"
    return read_json(path) if path.is_file() else None


def require_stages(exp: Experiment, chosen: list[Stage], keys: dict[str, str]) -> None:
    """Raises `ConfigError` for a stage in `chosen` that needs another one, neither chosen nor standing."""
    for stage in chosen:
        for need in stage.needs:
            if need not in {other.name for other in chosen} and not stands(
                result_folder(exp, find_stage(need), keys[need])
            ):
                raise ConfigError(
                    f"stage {stage.name!r} needs {need!r}, which is not up to date; run that too, or all stages"
                )


def choose_stages(only: list[str] | tuple[str, ...]) -> list[Stage]:
    """The stages named in `only`, all of them by default, in their order."""
    names = [stage.name for stage in STAGES]
    for name in only:
        if name not in names:
            raise ConfigError(f"unknown stage {name!r}; expected one of {', '.join(names)}")
    return [stage for stage in STAGES if not only or stage.name in only]


def _metrics_digest(folder: Path) -> str | None:
    """Digest of the metrics in `folder`, None if there are none. It gives away results that were edited."""
    path = folder / "metrics.json"
    return file_digest(path) if path.is_file() else None
