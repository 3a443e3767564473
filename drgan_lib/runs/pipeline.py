"""Runs the notebooks of an experiment in order, and again only those whose key no longer stands."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drgan_lib.config import (
    ConfigError,
    Experiment,
    Material,
    load_experiment,
    parse_overrides,
    twin_source,
    user_files,
)
from drgan_lib.executors import check_executor, local_workers
from drgan_lib.files import require_free_space, sole_use, write_json
from drgan_lib.metric import read_metrics
from drgan_lib.registry import split_arm
from drgan_lib.runs import chapter, execute
from drgan_lib.runs.due import StageStatus, executed_copy, read_pages, stage_status
from drgan_lib.runs.keys import STAGES, Parts, Stage, key_of, page_keys, stage_parts
from drgan_lib.runs.machine import device, versions
from drgan_lib.store import point

WORK = "drgan_lib.synthesis.attempt"  # what workers import


def run(
    material: str,
    profile: str = "demo",
    overrides: dict[str, Any] | list[str] | None = None,
    *,
    seed: int = 0,
    runs: str | Path | None = None,
    only: Sequence[str] = (),
    echo: Callable[[str], None] = print,
) -> Path:
    """Runs the stages of `material` at `profile` that are not up to date; returns the path of `results.json`.

    `only` names the stages to run, all by default; those that they need must be up to date then. What is wrong with
    settings, notebooks, the user's meshes and table of sizes, disk space or the place of the data is found before the
    first stage: `ConfigError`, `OSError`, `ValueError`; so is `ExecutorError`, for the executor in the environment
    variable `DRGAN_EXECUTOR`, by which chapters find workers. A notebook that raises gives `NotebookFailed`; the next
    call resumes.
    """
    exp = load_experiment(material, profile, overrides, seed=seed, runs=runs)
    asked = {"material": material, "profile": profile, "seed": seed, "runs": str(exp.runs)}
    parameters = asked | {"overrides": parse_overrides(overrides)}
    chosen, notebooks = chapter.choose_stages(only), chapter.notebooks_folder()
    _check_dataset(exp)
    _check_user_files(exp.material)
    _check_notebooks(chosen, notebooks, parameters)
    # Taken before anything runs: what is edited meanwhile is found changed by the next call.
    parts, pages = stage_parts(exp, notebooks), page_keys(exp, notebooks)
    keys = {name: key_of(value) for name, value in parts.items()}
    chapter.require_stages(exp, chosen, keys)
    states = {s.name: stage_status(exp, s, parts[s.name], pages[s.name]) for s in chosen}
    check_executor(None, exp.runs)
    require_free_space(exp.run_dir, expected_bytes(exp), f"a {profile} run")
    due = any(status.state != "stands" for status in states.values())
    with sole_use(exp.run_dir), local_workers(WORK) if due else nullcontext():
        write_json(exp.run_dir / "run.json", parameters)
        return _run_stages(exp, chosen, states, parts, pages, parameters, echo)


def _run_stages(
    exp: Experiment,
    chosen: list[Stage],
    states: Mapping[str, StageStatus],
    parts: Mapping[str, Parts],
    pages: Mapping[str, str],
    parameters: dict[str, Any],
    echo: Callable[[str], None],
) -> Path:
    """Runs those of the `chosen` stages that do not stand; returns the path of `results.json`."""
    notebooks, keys = chapter.notebooks_folder(), {name: key_of(value) for name, value in parts.items()}
    if any(status.state != "stands" for status in states.values()):
        words, variant = device()
        echo(f"{exp.material.title}, profile {exp.profile.name}, seed {exp.seed}, on {words} ({variant})")
        echo(f"writing to {exp.run_dir}")
        if exp.material.dataset.path is None:  # fetched here, where the terminal can show a progress bar
            from drgan_lib.sources import dataset_folder

            dataset_folder(exp)
    try:
        for number, stage in enumerate(chosen, start=1):
            place, status = f"[{number}/{len(chosen)}] {stage.name}", states[stage.name]
            if status.state == "stands":
                point(exp.run_dir / stage.folder, chapter.result_folder(exp, stage, keys[stage.name]))
                echo(f"{place}: up to date")
                continue
            echo(f"{place}: {stage.notebook}.ipynb" + (f" ({status.why})" if status.why else ""))
            start = time.perf_counter()
            _run_stage(exp, stage, chapter.begin(exp, stage, parts[stage.name]), notebooks, parameters)
            write_json(
                exp.run_dir / "pages.json",
                read_pages(exp) | {stage.name: {"key": keys[stage.name], "page": pages[stage.name]}},
            )
            echo(f"{place}: done in {time.perf_counter() - start:.0f} s")
    finally:
        results = write_results(exp, keys)  # also after a failure: without the metrics that no longer stand
    return results


def write_results(exp: Experiment, keys: dict[str, str]) -> Path:
    """Gathers the metrics of the finished stages into `results.json`, whose path is returned."""
    metrics: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    words = "unknown"
    for stage in STAGES:
        folder = chapter.result_folder(exp, stage, keys[stage.name])
        if chapter.stands(folder):
            record = chapter.read_record(folder)
            seconds[stage.name], words = record["seconds"], record["device"]
            metrics |= {name: asdict(metric) for name, metric in read_metrics(folder / "metrics.json").items()}
    path = exp.run_dir / "results.json"
    write_json(path, {"metrics": metrics, "stages": seconds, "device": words, "seed": exp.seed})
    return path


def expected_bytes(exp: Experiment) -> int:
    """Rough upper estimate of what the run writes, for the check before it starts."""
    pixels = exp.material.scene.size_px**2
    checkpoints = 50 * 2**20 + exp.profile.gan.epochs * 2**20
    images = exp.profile.synthesis.n_images * pixels * 24  # image, labels, nnU-Net's preprocessed copies
    network = 2**30 if exp.profile.segmentation.trainer == "default" else 150 * 2**20
    n_networks = sum(seeds for arm, seeds in exp.profile.segmentation.arms.items() if split_arm(arm)[0])
    return checkpoints + images + n_networks * network


def _run_stage(exp: Experiment, stage: Stage, folder: Path, notebooks: Path, parameters: dict[str, Any]) -> None:
    copy, record = executed_copy(exp, stage), chapter.read_record(folder)
    renews_page_only = "metrics" in record  # then the record tells how the results were made, and stays
    start = time.perf_counter()
    try:
        peak_mb = execute.execute(notebooks / f"{stage.notebook}.ipynb", copy, parameters, description=stage.name)
    finally:
        if not renews_page_only:
            record["seconds"] = round(record.get("seconds", 0) + time.perf_counter() - start, 1)
            write_json(folder / "stage.json", record)
    (words, variant), numbers = device(), versions()
    facts = {"parameters": parameters, "versions": numbers, "device": words, "variant": variant}
    facts["peak_memory_mb"] = round(peak_mb)
    chapter.finish(exp, stage, folder, **({} if renews_page_only else facts))
    record = chapter.read_record(folder)
    execute.append_stamp(
        copy,
        {
            "notebook": f"`notebooks/{stage.notebook}.py`, commit {numbers['commit']}",
            "parameters": f"`{ {name: value for name, value in parameters.items() if name != 'runs'} }`",
            "versions": ", ".join(f"{name} {version}" for name, version in numbers.items() if name != "commit"),
            "device": f"{words}, {variant}",
            "wall time": f"{record['seconds']:.0f} s",
            "peak memory": f"{record['peak_memory_mb']} MiB",
        },
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
        from drgan_lib.data import dataset_files

        files = dataset_files(dataset, dataset.path)
        if not files.loc[files["split"] == "train", "mask"].notna().any():
            raise ConfigError(
                f"segmentation.arms: 'real' learns from masks of training micrographs, but {dataset.path} has none in "
                "its folder masks; put them there, or leave this arm out"
            )
    if dataset.twin_of is not None:
        source = twin_source(exp.material)
        if source is not exp.material:
            _check_user_files(source)
    if dataset.registry is not None:
        # Imported late: it takes seconds.
        from drgan_lib.data import find_mirror, registries

        if dataset.registry not in registries():
            raise ConfigError(
                f"dataset.registry: expected one of {', '.join(registries())}, got {dataset.registry!r}; correct it"
            )
        find_mirror(dataset.registry)


def _check_user_files(material: Material) -> None:
    """Reads the user's meshes and table of sizes, if there are any; raises for what cannot be used of them."""
    if not user_files(material):
        return
    # Imported late: the package takes seconds.
    from drgan_lib.scene.layout import size_distribution
    from drgan_lib.scene.meshes import make_meshes

    size_distribution(material)
    if material.meshes.path is not None:
        make_meshes(material)
