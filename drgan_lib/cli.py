"""The command `drgan`: each function below that is registered by `_command` is one of its commands."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from drgan_lib import config

# The packages of the stages take seconds to import (torch, mitsuba), so each command imports what it needs.

Option = tuple[tuple[str, ...], dict[str, Any]]
_PARSER = argparse.ArgumentParser(prog="drgan", description="Learn the look of nanoparticles, render, segment.")
_COMMANDS = _PARSER.add_subparsers(required=True, metavar="COMMAND")


def main(argv: list[str] | None = None) -> int:
    """Runs one command; 0: success, 1: a notebook failed or an image was left out, 2: what the user can correct."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = _PARSER.parse_args(argv, argparse.Namespace(line=["drgan", *argv]))
    try:
        with config.readable_refusals():
            return arguments.command(arguments) or 0
    except (ValueError, OSError, RuntimeError) as error:
        # ConfigError and DataError are ValueErrors; a missing renderer back end is a RuntimeError.
        print(f"drgan: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndrgan: interrupted; the same command resumes", file=sys.stderr)
        return 130


def _option(*names: str, **settings: Any) -> Option:
    """Arguments of `add_argument`."""
    return names, settings


def _command(words: str, *options: Option) -> Callable[[Callable], Callable]:
    """Makes a function of the parsed arguments the command of its name; what it returns is the exit code, None is 0."""

    def register(function: Callable) -> Callable:
        command = _COMMANDS.add_parser(function.__name__.strip("_"), help=words)
        command.set_defaults(command=function)
        for names, settings in options:
            command.add_argument(*names, **settings)
        return function

    return register


RUN = _option("run", type=Path, metavar="RUN", help="a folder runs/<material>/<profile>")
PROFILE = _option("--profile", default="demo", help=f"how much work: {', '.join(config.PROFILES)} (default: demo)")
SET = _option("-P", dest="set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one setting")
SEED = _option("--seed", type=int, default=0)
PIXEL_SIZE = _option("--pixel-size-nm", type=float, metavar="X", help="where the files do not say, or wrongly")
EXECUTOR = _option(
    "--executor",
    metavar="NAME",
    help="who works on many items: dask (a worker per core), or a scheduler's address, as tcp://host:8786 (default: "
    "$DRGAN_EXECUTOR, or this process)",
)
ROWS = _option("--sample-rows", type=int, metavar="N", help="rows above the burnt-in data bar (default: all)")


@_command(
    "run all stages that are not up to date, and print the metrics",
    _option("material", help="a name that `drgan materials` prints, or the path of a YAML file"),
    PROFILE,
    SET,
    _option(
        "--arms",
        metavar="NAME[:SEEDS],...",
        help="models to compare, as synthetic:3,real:3,real+synthetic,otsu (short for -P segmentation.arms=...)",
    ),
    SEED,
    _option("--runs", type=Path, help="where runs are kept (default: $DRGAN_RUNS or runs)"),
    _option("--stage", action="append", default=[], metavar="NAME", help="run only this stage; may be repeated"),
    EXECUTOR,
)
def _run(arguments: argparse.Namespace) -> int | None:
    from drgan_lib import executors
    from drgan_lib.runs import pipeline
    from drgan_lib.runs.execute import NotebookFailed

    if arguments.executor is not None:
        os.environ[executors.VARIABLE] = arguments.executor  # which the kernels of the chapters inherit
    if arguments.arms is not None:
        arguments.set = [*arguments.set, f"segmentation.arms={arguments.arms}"]
    where = {"seed": arguments.seed, "runs": arguments.runs, "only": arguments.stage}
    try:
        results = pipeline.run(arguments.material, arguments.profile, arguments.set, **where)
    except NotebookFailed as error:
        print(
            f"drgan: {error}\n"
            f"The page as far as it came, with the whole traceback: {error.copy}\n"
            f"Finished stages are kept. When the cause is mended, resume with:\n  {shlex.join(arguments.line)}",
            file=sys.stderr,
        )
        return 1
    print()
    _report(argparse.Namespace(run=results.parent))


@_command("print the metrics of a run, and write its report: one page for the browser", RUN)
def _report(arguments: argparse.Namespace) -> None:
    from drgan_lib.report import report_run
    from drgan_lib.runs.results import load_results, table

    print(table(load_results(arguments.run)))
    print(f"\nreport: {report_run(arguments.run)}")


@_command("what of a run stands, what is due and why", RUN)
def _status(arguments: argparse.Namespace) -> None:
    from drgan_lib.runs.due import status
    from drgan_lib.runs.results import aligned

    rows = [(found.stage, found.state, found.why) for found in status(arguments.run)]
    print(aligned(("stage", "state", "why"), rows))


@_command(
    "remove results of earlier settings, which no run points to any more",
    _option("--runs", type=Path, default=Path("runs"), help="where runs are kept (default: runs)"),
)
def _gc(arguments: argparse.Namespace) -> None:
    from drgan_lib.runs.due import collect_garbage

    removed, n_bytes = collect_garbage(arguments.runs)
    print(*removed, f"{len(removed)} folders removed, {n_bytes / 2**20:.0f} MiB", sep="\n")


@_command(
    "train materials on their own twins, compare with the truth",
    _option("material", nargs="*", help="names of materials (default: all)"),
    PROFILE,
    SET,
    _option("--runs", type=Path, default=Path("runs/twins"), help="default: runs/twins"),
)
def _recovery(arguments: argparse.Namespace) -> int:
    from drgan_lib.runs import recover

    names = arguments.material or config.materials()
    table, missing = recover.recover_all(names, arguments.profile, arguments.set, runs=arguments.runs)
    if not table.empty:
        path = recover.write_tables(table, arguments.runs)
        print(f"\n{recover.as_text(table)}\n\ntable: {path}")
    for name, reason in missing.items():
        print(f"not in the table: {name}, {reason}", file=sys.stderr)
    return 1 if missing else 0


@_command(
    "download a dataset and verify it",
    _option("name", help="a folder in data/"),
    _option("--folder", type=Path, help="where the images go (default: $DRGAN_DATA or the user's cache)"),
)
def _fetch(arguments: argparse.Namespace) -> None:
    from drgan_lib.data import fetch

    print(fetch(arguments.name, folder=arguments.folder))


@_command(
    "copy the executed notebooks of a run into the book",
    RUN,
    _option("--folder", type=Path, default=Path("book/executed"), help="default: book/executed"),
)
def _pages(arguments: argparse.Namespace) -> None:
    from drgan_lib.runs.execute import copy_pages

    print(*copy_pages(arguments.run, arguments.folder), sep="\n")


@_command("list the materials")
def _materials(arguments: argparse.Namespace) -> None:
    from drgan_lib.runs.results import aligned

    head = ("material", "images", "licence", "particles", "nm/px", "description")
    print(aligned(head, [_material_row(config.load_experiment(name).material) for name in config.materials()]))


def _material_row(material: config.Material) -> tuple[str, ...]:
    dataset = material.dataset
    twin = "its twin" if dataset.twin_of == material.name else f"twin of {dataset.twin_of}"
    low, high = material.layout.n_particles
    return (
        material.name,
        "/".join(filter(None, (dataset.registry, dataset.subset))) or (twin if dataset.twin_of else str(dataset.path)),
        dataset.licence.partition(" (")[0],
        f"{low} to {high}",
        "-" if dataset.pixel_size_nm is None else f"{dataset.pixel_size_nm:g}",
        f"{material.title}; known: {dataset.annotations or 'nothing'}",
    )


@_command(
    "propose a material's settings from unannotated micrographs",
    _option("folder", metavar="FOLDER", help="of micrographs; or a name that `drgan materials` prints"),
    _option("--shape", required=True, choices=config.SHAPES, help="what the particles are"),
    _option("--name", help="of the material (default: made from the folder's)"),
    PIXEL_SIZE,
    ROWS,
    _option("--out", type=Path, metavar="FILE.yaml", help="never overwritten (default: NAME.yaml)"),
    SEED,
)
def _suggest(arguments: argparse.Namespace) -> None:
    from drgan_lib.runs.results import aligned
    from drgan_lib.sources import dataset_folder
    from drgan_lib.suggest import COLUMNS, default_name, suggest_material

    folder, known = Path(arguments.folder), {}
    changes = {"sample_rows": arguments.sample_rows, "pixel_size_nm": arguments.pixel_size_nm}
    changes = {key: value for key, value in changes.items() if value is not None}
    if folder.is_dir():
        dataset, name = config.DatasetSettings(path=folder.expanduser().resolve(), **changes), default_name(folder.name)
    elif arguments.folder in config.materials():
        # The profile paper leaves everything as the material's file says, all patches.
        changes = {f"dataset.{key}": value for key, value in changes.items()}
        experiment = config.load_experiment(arguments.folder, "paper", changes)
        material, folder = experiment.material, partial(dataset_folder, experiment)
        dataset, name = material.dataset, f"{material.name}_suggested"
        known = {"patches": material.patches, "scene": material.scene}
    else:
        names = ", ".join(config.materials())
        raise config.ConfigError(f"{folder}: expected a folder of micrographs, or one of {names}")
    found = suggest_material(
        dataset, folder, arguments.shape, name=arguments.name or name, out=arguments.out, seed=arguments.seed, **known
    )
    print(f"\n{aligned(COLUMNS, found.table)}")
    print(f"\nmaterial: {found.path}\nfigure: {found.figure}\nnext: drgan run {found.path}")


@_command(
    "segment and measure images of your own with the network of a run",
    _option("place", nargs="+", metavar="IMAGE_OR_FOLDER", help="TIFF or PNG"),
    _option("--model", type=Path, required=True, metavar="RUN", help="a folder runs/<material>/<profile>"),
    _option("--arm", help="which of its networks (default: the first)"),
    _option("--seed", type=int, help="of the network (default: the first)"),
    _option("--out", type=Path, metavar="FOLDER", help="never overwritten (default: NAME_measured)"),
    _option(
        "--pixel-size-nm",
        metavar="X",
        help="where the files do not say, or wrongly; or a CSV file with the columns file, pixel_size_nm",
    ),
    ROWS,
    _option("--min-area-px", type=int, metavar="N", help="smallest area that counts (default: the run's)"),
    _option(
        "--border",
        choices=("exclude", "weight"),
        default="exclude",
        help="particles on the border do not count; weight: those off it stand for them (default: exclude)",
    ),
    _option("--thickness", action="store_true", help="local thickness, as for rods and wires"),
    EXECUTOR,
)
def _measure(arguments: argparse.Namespace) -> int:
    from drgan_lib.executors import open_executor
    from drgan_lib.quantify import Counting, measure_images, read_pixel_sizes
    from drgan_lib.report import report_measurement
    from drgan_lib.segmentation import load_model

    out = arguments.out or Path(f"{Path(arguments.place[0]).expanduser().resolve().stem}_measured")
    model = load_model(arguments.model, arm=arguments.arm, seed=arguments.seed)
    min_area_px = model.min_area_px if arguments.min_area_px is None else arguments.min_area_px
    size = None if arguments.pixel_size_nm is None else read_pixel_sizes(arguments.pixel_size_nm)
    with open_executor(arguments.executor, out.absolute().parent) as executor:
        found = measure_images(
            arguments.place,
            model,
            out,
            counting=Counting(min_area_px=min_area_px, border=arguments.border),
            pixel_size_nm=size,
            sample_rows=arguments.sample_rows,
            thickness=True if arguments.thickness else None,
            executor=executor,
        )
    print("", *found.lines(), "", f"results: {out}", f"report: {report_measurement(out, found)}", sep="\n")
    return 1 if found.left_out else 0


@_command(
    "write the meshes of a material",
    _option("material"),
    _option("--folder", type=Path, help="default: meshes/<material>"),
)
def _meshes(arguments: argparse.Namespace) -> None:
    from drgan_lib.scene import write_meshes

    print(*write_meshes(config.load_experiment(arguments.material).material, arguments.folder), sep="\n")


@_command(
    "repair mesh files, to be used by meshes.path",
    _option("file", type=Path, nargs="+", metavar="FILE", help="PLY, OBJ, STL or glTF; one particle each"),
    _option("--folder", type=Path, default=Path("meshes/imported"), help="default: meshes/imported"),
)
def _import(arguments: argparse.Namespace) -> None:
    from drgan_lib.scene.meshes import import_meshes

    print(*import_meshes(arguments.file, arguments.folder), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
