"""Takes the executed notebooks of a run over into the book."""

import shutil
from pathlib import Path

import nbformat

from drgan_lib.files import atomic_path
from drgan_lib.runs.execute import error_outputs
from drgan_lib.runs.stages import STAGES


def copy_pages(run: str | Path, folder: str | Path) -> list[Path]:
    """Copies the executed notebook of every stage from `run/notebooks` to `folder`, in place of those there.

    Raises `FileNotFoundError` if a page is missing, and `ValueError` if one holds an error output, which the
    build of the book would print without failing, or if `folder` holds anything but notebooks.
    """
    run, folder = Path(run), Path(folder)
    sources = [run / "notebooks" / f"{stage.notebook}.ipynb" for stage in STAGES]
    for source in sources:
        if not source.is_file():
            raise FileNotFoundError(f"{source} is missing; finish the run first")
        if errors := error_outputs(nbformat.read(source, as_version=4)):
            raise ValueError(f"{source} holds an error: {errors[0]}; run the stage again")
    old = sorted(folder.iterdir()) if folder.exists() else []
    if others := [path.name for path in old if path.suffix != ".ipynb" or not path.is_file()]:
        raise ValueError(
            f"{folder}: expected a folder for executed notebooks only, since those in it are replaced, "
            f"got one with {others[0]}; name a new folder"
        )
    for path in old:
        path.unlink()
    for source in sources:
        with atomic_path(folder / source.name) as temporary:
            shutil.copyfile(source, temporary)
    return [folder / source.name for source in sources]
