"""Runs the notebooks of an experiment in order, and again only those whose key no longer stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drgan_lib import execute, keys, stages
from drgan_lib.config import (
    CLASSICAL,
    ROOT,
    ConfigError,
    Experiment,
    Material,
    load_experiment,
    parse_overrides,
    twin_source,
    user_files,
)
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
    wrong with settings, notebooks, the user's meshes and table of sizes, disk space or the place of the data is found
    before the first stage:
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
    _check_user_files(exp.material)
    _check_notebooks(chosen, notebooks, parameters)
    # Taken before anything runs: what is edited meanwhile is found changed by the next call.
    stage_keys, pages = keys.stage_keys(exp, notebooks), keys.stage_pages(exp, notebooks)
    todo = [stage for stage in chosen if not _is_current(exp, stage, stage_keys[stage.name], pages[stage.name])]
    _check_needs(exp, chosen, stage_keys)
    require_free_space(exp.run_dir, expected_bytes(exp), f"a {profile} run")
    if todo:
        device, variant = stages.device()
        echo(f"{exp.material.title}, profile {profile}, seed {seed}, on {device} ({variant})")
        echo(f"writing to {exp.run_dir}")
        _fetch(exp)
    try:
        for number, stage in enumerate(chosen, start=1):
            place = f"[{number}/{len(chosen)}] {stage.name}"
            if stage not in todo:
                echo(f"{place}: up to date")
                continue
            echo(f"{place}: {stage.notebook}.ipynb")
            start = time.perf_counter()
            _run_stage(exp, stage, stage_keys[stage.name], pages[stage.name], notebooks, parameters, echo)
            echo(f"{place}: done in {time.perf_counter() - start:.0f} s")
    finally:
        results = write_results(exp, stage_keys)  # also after a failure: without the figures that no longer stand
    return results


def write_results(exp: Experiment, stage_keys: dict[str, str]) -> Path:
    """Gathers the `figures.json` of the finished stages into `results.json`, whose path is returned."""
    figures: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    device = "unknown"
    for stage in STAGES:
        folder = exp.run_dir / stage.folder
        if not stages.is_complete(folder, stage_keys[stage.name]):
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
    n_networks = sum(seeds for arm, seeds in exp.profile.segmentation.arms.items() if arm not in CLASSICAL)
    return checkpoints + images + n_networks * network


def _run_stage(
    exp: Experiment,
    stage: Stage,
    key: str,
    page: str,
    notebooks: Path,
    parameters: dict[str, Any],
    echo: Callable[[str], None],
) -> None:
    folder, copy = exp.run_dir / stage.folder, executed_copy(exp.run_dir, stage)
    if message := stages.begin(folder, stage, key):
        echo(f"      {message}")
    record = stages.read_record(folder)
    renews_page_only = stages.is_finished(record)  # then the record tells how the results were made, and stays
    start = time.perf_counter()
    try:
        peak_mb = execute.execute(notebooks / f"{stage.notebook}.ipynb", copy, parameters, description=stage.name)
    finally:
        if not renews_page_only:
            record["seconds"] = round(record.get("seconds", 0) + time.perf_counter() - start, 1)
            write_json(folder / "stage.json", record)
    device, variant = stages.device()
    versions = stages.versions()
    if not renews_page_only:
        record |= {"parameters": parameters, "versions": versions, "device": device, "variant": variant}
        record["peak_memory_mb"] = round(peak_mb)
    execute.append_stamp(
        copy,
        {
            "notebook": f"`notebooks/{stage.notebook}.py`, commit {versions['commit']}",
            "parameters": f"`{ {name: value for name, value in parameters.items() if name != 'runs'} }`",
            "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if name != "commit"),
            "device": f"{device}, {variant}",
            "wall time": f"{record['seconds']:.0f} s",
            "peak memory": f"{record['peak_memory_mb']} MiB",
        },
    )
    finished = {"state": "complete", "page": page, "figures": stages.figures_digest(folder)}
    write_json(folder / "stage.json", record | finished)


def executed_copy(run_dir: Path, stage: Stage) -> Path:
    """Where the executed notebook of `stage` lies."""
    return run_dir / "notebooks" / f"{stage.notebook}.ipynb"


def _chosen(only: Sequence[str]) -> list[Stage]:
    names = [stage.name for stage in STAGES]
    for name in only:
        if name not in names:
            raise ConfigError(f"unknown stage {name!r}; expected one of {', '.join(names)}")
    return [stage for stage in STAGES if not only or stage.name in only]


def _is_current(exp: Experiment, stage: Stage, key: str, page: str) -> bool:
    folder = exp.run_dir / stage.folder
    return (
        stages.is_complete(folder, key)
        and stages.read_record(folder)["page"] == page
        and executed_copy(exp.run_dir, stage).is_file()
    )


def _check_needs(exp: Experiment, chosen: list[Stage], stage_keys: dict[str, str]) -> None:
    folders = {stage.name: exp.run_dir / stage.folder for stage in STAGES}
    names = {stage.name for stage in chosen}
    for stage in chosen:
        for need in stage.needs:
            if need not in names and not stages.is_complete(folders[need], stage_keys[need]):
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
        execute.check_pair(notebooks / f"{stage.notebook}.py")
        execute.check_parameters(notebooks / f"{stage.notebook}.ipynb", parameters)


def _check_dataset(exp: Experiment) -> None:
    """Raises where micrographs cannot be had, as far as that shows without reading them."""
    dataset = exp.material.dataset
    if dataset.path is not None and not dataset.path.expanduser().is_dir():
        raise ConfigError(f"dataset.path: expected a folder of images, got {dataset.path}; correct the path")
    if dataset.path is not None and exp.profile.segmentation.needs_masks:
        # Imported late: it takes seconds.
        from drgan_lib.data import open_dataset

        if not any(source.mask for source in open_dataset(dataset, dataset.path).train):
            raise ConfigError(
                f"segmentation.arms: 'real' learns from masks of training micrographs, but {dataset.path} has none in "
                "its folder masks; put them there, or leave this arm out"
            )
    if dataset.twin_of is not None:
        source = twin_source(exp.material)
        if source is not exp.material:
            _check_user_files(source)
    if dataset.registry is not None:
        registry = ROOT / "data" / dataset.registry / "registry.tsv"
        if not registry.is_file():
            raise ConfigError(f"dataset.registry: there is no {registry.relative_to(ROOT)}; correct the name")
        # Imported late: it takes seconds.
        from drgan_lib.data import find_mirror

        find_mirror(dataset.registry)


def _check_user_files(material: Material) -> None:
    """Reads the user's meshes and table of sizes, if there are any; raises for what cannot be used of them."""
    if not user_files(material):
        return
    # Imported late: the package takes seconds.
    from drgan_lib.scene.layout import size_law
    from drgan_lib.scene.meshes import make_meshes

    size_law(material)
    if material.meshes.path is not None:
        make_meshes(material)


def _fetch(exp: Experiment) -> None:
    """Downloads or renders the micrographs here, where the terminal can show a progress bar, not in a notebook."""
    if exp.material.dataset.path is None:
        from drgan_lib.sources import dataset_folder

        dataset_folder(exp)
