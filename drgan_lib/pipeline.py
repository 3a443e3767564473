"""Runs the notebooks of an experiment in order, and again only those whose key no longer stands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drgan_lib import execute, stages
from drgan_lib.config import ROOT, ConfigError, Experiment, load_experiment, parse_overrides
from drgan_lib.files import read_json, require_free_space, write_json
from drgan_lib.stages import STAGES, Stage

NOTEBOOKS = ROOT / "notebooks"


def run(
    material: str,
    profile: str = "demo",
    overrides: dict[str, Any] | list[str] | None = None,
    *,
    seed: int = 0,
    runs: str | Path | None = None,
    only: Sequence[str] = (),
    notebooks: Path = NOTEBOOKS,
    echo: Callable[[str], None] = print,
) -> Path:
    """Runs the stages of `material` at `profile` that are not up to date; returns the path of `results.json`.

    `only` names the stages to run, all by default; those that they need must be up to date then. What is
    wrong with settings, notebooks, disk space or the place of the data is found before the first stage:
    `ConfigError`, `OSError`, `ValueError`. A notebook that raises gives `execute.NotebookFailed`; the next
    call resumes.
    """
    exp = load_experiment(material, profile, overrides, seed=seed, runs=runs)
    parameters = {
        "material": material,
        "profile": profile,
        "seed": seed,
        "runs": str(exp.runs),
        "overrides": parse_overrides(overrides),
    }
    chosen = _chosen(only)
    _check_dataset(exp)
    _check_notebooks(chosen, notebooks, parameters)
    keys = stages.stage_keys(exp, notebooks)
    todo = [stage for stage in chosen if not _is_current(exp, stage, keys, notebooks)]
    _check_needs(exp, chosen, keys)
    require_free_space(exp.run_dir, expected_bytes(exp), f"a {profile} run")
    if todo:
        device, variant = stages.device()
        echo(f"{exp.material.title}, profile {profile}, seed {seed}, on {device} ({variant})")
        echo(f"writing to {exp.run_dir}")
        _fetch(exp)
    for number, stage in enumerate(chosen, start=1):
        place = f"[{number}/{len(chosen)}] {stage.name}"
        if stage not in todo:
            echo(f"{place}: up to date")
            continue
        echo(f"{place}: {stage.notebook}.ipynb")
        seconds = _run_stage(exp, stage, keys[stage.name], notebooks, parameters, echo)
        echo(f"{place}: done in {seconds:.0f} s")
    return write_results(exp, keys)


def write_results(exp: Experiment, keys: dict[str, str]) -> Path:
    """Gathers the `figures.json` of the finished stages into `results.json`, whose path is returned."""
    figures: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    device = "unknown"
    for stage in STAGES:
        folder = exp.run_dir / stage.folder
        if not stages.is_complete(folder, keys[stage.name]):
            continue
        record = stages.read_record(folder)
        seconds[stage.name], device = record["seconds"], record["device"]
        if (folder / "figures.json").is_file():
            figures |= read_json(folder / "figures.json")
    path = exp.run_dir / "results.json"
    write_json(path, {"figures": figures, "stages": seconds, "device": device, "seed": exp.seed})
    return path


def expected_bytes(exp: Experiment) -> int:
    """Rough upper estimate of what the run writes, for the check before it starts."""
    pixels = exp.material.scene.size_px**2
    checkpoints = 50 * 2**20 + exp.profile.gan.epochs * 2**20
    images = exp.profile.synthesis.n_images * pixels * 24  # image, labels, nnU-Net's preprocessed copies
    network = 2**30 if exp.profile.segmentation.trainer == "default" else 150 * 2**20
    return checkpoints + images + network


def _run_stage(
    exp: Experiment,
    stage: Stage,
    key: str,
    notebooks: Path,
    parameters: dict[str, Any],
    echo: Callable[[str], None],
) -> float:
    folder = exp.run_dir / stage.folder
    if moved := stages.begin(folder, stage, key):
        echo(f"      its settings or code changed; the earlier results are now in {moved}")
    copy = executed_copy(exp.run_dir, stage)
    start = time.perf_counter()
    peak_mb = execute.execute(notebooks / f"{stage.notebook}.ipynb", copy, parameters, description=stage.name)
    seconds = round(time.perf_counter() - start, 1)
    device, variant = stages.device()
    versions = stages.versions()
    execute.append_stamp(
        copy,
        {
            "notebook": f"`notebooks/{stage.notebook}.py`, commit {versions['commit']}",
            "parameters": f"`{ {name: value for name, value in parameters.items() if name != 'runs'} }`",
            "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if name != "commit"),
            "device": f"{device}, {variant}",
            "wall time": f"{seconds:.0f} s",
            "peak memory": f"{peak_mb:.0f} MiB",
        },
    )
    write_json(
        folder / "stage.json",
        {
            "stage": stage.name,
            "state": "complete",
            "key": key,
            "page": stages.page_hash(stage, notebooks),
            "parameters": parameters,
            "versions": versions,
            "device": device,
            "variant": variant,
            "seconds": seconds,
            "peak_memory_mb": round(peak_mb),
        },
    )
    return seconds


def executed_copy(run_dir: Path, stage: Stage) -> Path:
    """Where the executed notebook of `stage` lies."""
    return run_dir / "notebooks" / f"{stage.notebook}.ipynb"


def _chosen(only: Sequence[str]) -> list[Stage]:
    names = [stage.name for stage in STAGES]
    for name in only:
        if name not in names:
            raise ConfigError(f"unknown stage {name!r}; expected one of {', '.join(names)}")
    return [stage for stage in STAGES if not only or stage.name in only]


def _is_current(exp: Experiment, stage: Stage, keys: dict[str, str], notebooks: Path) -> bool:
    folder = exp.run_dir / stage.folder
    return (
        stages.is_complete(folder, keys[stage.name])
        and stages.read_record(folder)["page"] == stages.page_hash(stage, notebooks)
        and executed_copy(exp.run_dir, stage).is_file()
    )


def _check_needs(exp: Experiment, chosen: list[Stage], keys: dict[str, str]) -> None:
    folders = {stage.name: exp.run_dir / stage.folder for stage in STAGES}
    names = {stage.name for stage in chosen}
    for stage in chosen:
        for need in stage.needs:
            if need not in names and not stages.is_complete(folders[need], keys[need]):
                raise ConfigError(
                    f"stage {stage.name!r} needs {need!r}, which is not up to date; "
                    f"add --stage {need}, or leave --stage out to run all"
                )


def _check_notebooks(chosen: list[Stage], notebooks: Path, parameters: dict[str, Any]) -> None:
    for stage in chosen:
        for suffix in (".py", ".ipynb"):
            path = notebooks / f"{stage.notebook}{suffix}"
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing; run `make notebooks` to make the pairs")
        execute.check_parameters(notebooks / f"{stage.notebook}.ipynb", parameters)


def _check_dataset(exp: Experiment) -> None:
    """Raises where the micrographs cannot be had, as far as that shows without reading them."""
    dataset = exp.material.dataset
    if dataset.path is not None and not dataset.path.expanduser().is_dir():
        raise ConfigError(f"dataset.path: expected a folder of images, got {dataset.path}; correct the path")
    if dataset.path is None and dataset.registry is not None:
        registry = ROOT / "data" / dataset.registry / "registry.tsv"
        if not registry.is_file():
            raise ConfigError(f"dataset.registry: there is no {registry.relative_to(ROOT)}; correct the name")
        mirror = os.environ.get("DRGAN_MIRROR")
        if mirror and not (Path(mirror) / dataset.registry).is_dir():
            raise ConfigError(
                f"DRGAN_MIRROR is {mirror}, which holds no folder {dataset.registry}; "
                "point it at the folder that does, or unset it to download"
            )


def _fetch(exp: Experiment) -> None:
    """Downloads a registry's files here, where the terminal can show a progress bar, not in a notebook."""
    if exp.material.dataset.path is None and exp.material.dataset.registry is not None:
        from drgan_lib.sources import dataset_folder

        dataset_folder(exp)
