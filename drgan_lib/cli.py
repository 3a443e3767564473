"""The command `drgan`."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path

from drgan_lib.config import (
    PROFILES,
    SHAPES,
    ConfigError,
    DatasetSettings,
    Material,
    load_experiment,
    materials,
    readable_refusals,
)

# The packages of the stages take seconds to import (torch, mitsuba), so each command imports what it needs.


def main(argv: list[str] | None = None) -> int:
    """Runs one command; 0 if it succeeded, 1 if a notebook failed, 2 for what the user can correct."""
    arguments = _parser().parse_args(argv)
    try:
        with readable_refusals():
            return arguments.command(arguments)
    except (ValueError, OSError, RuntimeError) as error:
        # ConfigError and DataError are ValueErrors; a missing renderer back end is a RuntimeError.
        print(f"drgan: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndrgan: interrupted; the same command resumes", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    from drgan_lib.runs import pipeline, report
    from drgan_lib.runs.execute import NotebookFailed

    if arguments.arms is not None:
        arguments.set.append(f"segmentation.arms={arguments.arms}")
    try:
        results = pipeline.run(
            arguments.material,
            arguments.profile,
            arguments.set,
            seed=arguments.seed,
            runs=arguments.runs,
            only=arguments.stage,
        )
    except NotebookFailed as error:
        print(
            f"drgan: {error}\n"
            f"The page as far as it came, with the whole traceback: {error.copy}\n"
            f"Finished stages are kept. When the cause is mended, resume with:\n  {_resume(arguments)}",
            file=sys.stderr,
        )
        return 1
    print(f"\n{report.table(report.load_results(results.parent), width=_width())}")
    print(f"\nreport: {report.write_report(results.parent)}")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from drgan_lib.runs import report

    print(report.table(report.load_results(arguments.run), width=_width()))
    print(f"\nreport: {report.write_report(arguments.run)}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from drgan_lib.runs import report
    from drgan_lib.runs.due import status

    rows = [(found.stage, found.state, found.why) for found in status(arguments.run)]
    print(report.aligned(("stage", "state", "why"), rows, _width()))
    return 0


def _gc(arguments: argparse.Namespace) -> int:
    from drgan_lib.runs.due import collect_garbage

    removed, n_bytes = collect_garbage(arguments.runs)
    print(*removed, f"{len(removed)} folders removed, {n_bytes / 2**20:.0f} MiB", sep="\n")
    return 0


def _recovery(arguments: argparse.Namespace) -> int:
    from drgan_lib.runs import recover

    table, missing = recover.recover_all(arguments.material or materials(), arguments.profile, runs=arguments.runs)
    if not table.empty:
        path = recover.write_tables(table, arguments.runs)
        print(f"\n{recover.as_text(table)}\n\ntable: {path}")
    for name, reason in missing.items():
        print(f"not in the table: {name}, {reason}", file=sys.stderr)
    return 1 if missing else 0


def _fetch(arguments: argparse.Namespace) -> int:
    from drgan_lib.data import fetch

    print(fetch(arguments.name, folder=arguments.folder))
    return 0


def _pages(arguments: argparse.Namespace) -> int:
    from drgan_lib.runs.pages import copy_pages

    for path in copy_pages(arguments.run, arguments.folder):
        print(path)
    return 0


def _materials(arguments: argparse.Namespace) -> int:
    from drgan_lib.runs import report

    rows = [_material_row(load_experiment(name).material) for name in materials()]
    head = ("material", "images", "licence", "particles", "nm/px", "description")
    print(report.aligned(head, rows, _width()))
    return 0


def _material_row(material: Material) -> tuple[str, ...]:
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


def _suggest(arguments: argparse.Namespace) -> int:
    from drgan_lib.runs import report
    from drgan_lib.sources import dataset_folder
    from drgan_lib.suggest import COLUMNS, default_name, suggest

    folder = Path(arguments.folder)
    if not folder.is_dir() and arguments.folder not in materials():
        raise ConfigError(f"{folder}: expected a folder of micrographs, or one of {', '.join(materials())}")
    changes = {"sample_rows": arguments.sample_rows, "pixel_size_nm": arguments.pixel_size_nm}
    changes = {key: value for key, value in changes.items() if value is not None}
    known = {}
    if not folder.is_dir():
        changes = {f"dataset.{key}": value for key, value in changes.items()}
        experiment = load_experiment(arguments.folder, "paper", changes)  # as the material's file says, all patches
        material, folder = experiment.material, partial(dataset_folder, experiment)
        dataset, name = material.dataset, f"{material.name}_suggested"
        known = {"patches": material.patches, "scene": material.scene}
    else:
        dataset, name = DatasetSettings(path=folder.expanduser().resolve(), **changes), default_name(folder.name)
    found = suggest(
        dataset, folder, arguments.shape, name=arguments.name or name, out=arguments.out, seed=arguments.seed, **known
    )
    print(f"\n{report.aligned(COLUMNS, found.table, _width())}")
    print(f"\nmaterial: {found.path}\nfigure: {found.figure}\nnext: drgan run {found.path}")
    return 0


def _measure(arguments: argparse.Namespace) -> int:
    from drgan_lib.quantify import Counting, measure_images
    from drgan_lib.segmentation import load_model

    out = arguments.out or Path(f"{Path(arguments.place[0]).expanduser().resolve().stem}_measured")
    model = load_model(arguments.model, arm=arguments.arm, seed=arguments.seed)
    min_area_px = model.min_area_px if arguments.min_area_px is None else arguments.min_area_px
    found = measure_images(
        arguments.place,
        model,
        out,
        counting=Counting(min_area_px=min_area_px, border=arguments.border),
        pixel_size_nm=arguments.pixel_size_nm,
        sample_rows=arguments.sample_rows,
        thickness=True if arguments.thickness else None,
    )
    print("", *found.lines(), "", f"results: {out}", sep="\n")
    return 0


def _meshes(arguments: argparse.Namespace) -> int:
    from drgan_lib.scene import write_meshes

    material = load_experiment(arguments.material).material
    for path in write_meshes(material, arguments.folder):
        print(path)
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from drgan_lib.scene.meshes import import_meshes

    for path in import_meshes(arguments.file, arguments.folder):
        print(path)
    return 0


def _resume(arguments: argparse.Namespace) -> str:
    words = ["drgan", "run", arguments.material, "--profile", arguments.profile, "--seed", str(arguments.seed)]
    for setting in arguments.set:
        words += ["-P", setting]
    for stage in arguments.stage:
        words += ["--stage", stage]
    if arguments.runs is not None:
        words += ["--runs", str(arguments.runs)]
    return shlex.join(words)


def _width() -> int:
    return shutil.get_terminal_size((110, 24)).columns


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="drgan", description="Learn the look of nanoparticles, render, segment.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run all stages that are not up to date, and print the figures")
    run.add_argument("material", help="a name that `drgan materials` prints, or the path of a YAML file")
    run.add_argument("--profile", default="demo", help=f"how much work: {', '.join(PROFILES)} (default: demo)")
    run.add_argument(
        "-P", dest="set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one setting"
    )
    run.add_argument(
        "--arms",
        metavar="NAME[:SEEDS],...",
        help="models to compare, as synthetic:3,real:3,real+synthetic,otsu (short for -P segmentation.arms=...)",
    )
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--runs", type=Path, help="where runs are kept (default: $DRGAN_RUNS or runs)")
    run.add_argument(
        "--stage", action="append", default=[], metavar="NAME", help="run only this stage; may be repeated"
    )
    run.set_defaults(command=_run)

    report = commands.add_parser("report", help="print the figures of a run")
    report.add_argument("run", type=Path, metavar="RUN", help="a folder runs/<material>/<profile>")
    report.set_defaults(command=_report)

    status = commands.add_parser("status", help="what of a run stands, what is due and why")
    status.add_argument("run", type=Path, metavar="RUN", help="a folder runs/<material>/<profile>")
    status.set_defaults(command=_status)

    gc = commands.add_parser("gc", help="remove results of earlier settings, which no run points to any more")
    gc.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    gc.set_defaults(command=_gc)

    recovery = commands.add_parser("recovery", help="train materials on their own twins, compare with the truth")
    recovery.add_argument("material", nargs="*", help="names of materials (default: all)")
    recovery.add_argument("--profile", default="demo", help=f"how much work: {', '.join(PROFILES)} (default: demo)")
    recovery.add_argument("--runs", type=Path, default=Path("runs/twins"), help="default: runs/twins")
    recovery.set_defaults(command=_recovery)

    fetch = commands.add_parser("fetch", help="download a dataset and verify it")
    fetch.add_argument("name", help="a folder in data/")
    fetch.add_argument("--folder", type=Path, help="where the images go (default: $DRGAN_DATA or the user's cache)")
    fetch.set_defaults(command=_fetch)

    pages = commands.add_parser("pages", help="copy the executed notebooks of a run into the book")
    pages.add_argument("run", type=Path, metavar="RUN", help="a folder runs/<material>/<profile>")
    pages.add_argument("--folder", type=Path, default=Path("book/executed"), help="default: book/executed")
    pages.set_defaults(command=_pages)

    listing = commands.add_parser("materials", help="list the materials")
    listing.set_defaults(command=_materials)

    suggest = commands.add_parser("suggest", help="propose a material's settings from unannotated micrographs")
    suggest.add_argument("folder", metavar="FOLDER", help="of micrographs; or a name that `drgan materials` prints")
    suggest.add_argument("--shape", required=True, choices=SHAPES, help="what the particles are")
    suggest.add_argument("--name", help="of the material (default: made from the folder's)")
    suggest.add_argument("--pixel-size-nm", type=float, metavar="X", help="where the files do not say, or wrongly")
    suggest.add_argument("--sample-rows", type=int, metavar="N", help="rows above the burnt-in data bar (default: all)")
    suggest.add_argument("--out", type=Path, metavar="FILE.yaml", help="never overwritten (default: NAME.yaml)")
    suggest.add_argument("--seed", type=int, default=0)
    suggest.set_defaults(command=_suggest)

    measure = commands.add_parser("measure", help="segment and measure images of your own with the network of a run")
    measure.add_argument("place", nargs="+", metavar="IMAGE_OR_FOLDER", help="TIFF or PNG")
    measure.add_argument("--model", type=Path, required=True, metavar="RUN", help="a folder runs/<material>/<profile>")
    measure.add_argument("--arm", help="which of its networks (default: the first)")
    measure.add_argument("--seed", type=int, help="of the network (default: the first)")
    measure.add_argument("--out", type=Path, metavar="FOLDER", help="never overwritten (default: NAME_measured)")
    measure.add_argument("--pixel-size-nm", type=float, metavar="X", help="where the files do not say, or wrongly")
    measure.add_argument("--sample-rows", type=int, metavar="N", help="rows above the burnt-in data bar (default: all)")
    measure.add_argument("--min-area-px", type=int, metavar="N", help="smallest area that counts (default: the run's)")
    measure.add_argument(
        "--border",
        choices=("exclude", "weight"),
        default="exclude",
        help="particles on the border do not count; weight: those off it stand for them (default: exclude)",
    )
    measure.add_argument("--thickness", action="store_true", help="local thickness, as for rods and wires")
    measure.set_defaults(command=_measure)

    meshes = commands.add_parser("meshes", help="write the meshes of a material")
    meshes.add_argument("material")
    meshes.add_argument("--folder", type=Path, help="default: meshes/<material>")
    meshes.set_defaults(command=_meshes)

    importing = commands.add_parser("import", help="repair mesh files, to be used by meshes.path")
    importing.add_argument(
        "file", type=Path, nargs="+", metavar="FILE", help="PLY, OBJ, STL or glTF; one particle each"
    )
    importing.add_argument("--folder", type=Path, default=Path("meshes/imported"), help="default: meshes/imported")
    importing.set_defaults(command=_import)
    return parser


if __name__ == "__main__":
    sys.exit(main())
