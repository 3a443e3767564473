"""Runs one notebook through papermill; only a clean, finished copy is ever found under its final name."""

import os
import shutil
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from tqdm.auto import tqdm

from drgan_lib.errors import DrganError
from drgan_lib.files import atomic_path
from drgan_lib.runs.keys import STAGES
from drgan_lib.runs.machine import PeakMemory


class NotebookFailed(DrganError, RuntimeError):
    """A notebook raised; `copy` is the executed copy kept aside for reading."""

    def __init__(self, message: str, copy: Path):
        super().__init__(message)
        self.copy = copy


class ThisInterpreter(AsyncKernelManager):
    """Starts kernels with the running interpreter, whatever `python3` means in the user's kernel specs."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]
        return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python")


class _Terminal:
    """A stream that shows a notebook's printed lines, indented, above the progress bar."""

    def __init__(self) -> None:
        self._rest = ""

    def write(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            tqdm.write(f"      {line}", file=sys.stdout)

    def flush(self) -> None:
        sys.stdout.flush()

    def close(self) -> None:
        """Shows a last line that no newline ended."""
        if self._rest:
            self.write("\n")


def check_pair(source: Path) -> None:
    """Raises `ValueError` unless the `.ipynb` beside the `.py` file `source` has the same cells.

    The keys come from the one, and the other is run.
    """
    pair = source.with_suffix(".ipynb")
    books = jupytext.read(source, fmt="py:percent"), nbformat.read(pair, as_version=4)
    ours, theirs = ([(cell.cell_type, cell.source) for cell in book.cells] for book in books)
    if ours != theirs:
        raise ValueError(f"{pair}: expected the cells of {source.name}, got others; run `make notebooks`")


def check_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """Raises `ValueError` unless the notebook's `parameters` cell names exactly `parameters`.

    papermill itself only warns.
    """
    known = set(papermill.inspect_notebook(str(notebook)))
    if known != set(parameters):
        raise ValueError(
            f"{notebook}: expected a cell tagged 'parameters' that sets {', '.join(sorted(parameters))}; "
            f"it sets {', '.join(sorted(known)) or 'nothing'}; "
            f"correct {notebook.stem}.py and run `make notebooks`"
        )


def execute(notebook: Path, copy: Path, parameters: dict[str, Any], *, description: str) -> float:
    """Runs `notebook` with `parameters`, leaves the executed copy at `copy`, returns the peak memory in MiB.

    There is no time limit. If a cell raises or the kernel dies, the copy is kept as `<name>.failed.ipynb`
    instead and `NotebookFailed` is raised.
    """
    failed = copy.with_suffix(".failed.ipynb")
    bar = {"desc": f"      {description}", "leave": False, "file": sys.stderr} if sys.stderr.isatty() else False
    with atomic_path(copy) as unfinished, PeakMemory() as memory, closing(_Terminal()) as terminal:
        try:
            executed = papermill.execute_notebook(
                str(notebook),
                str(unfinished),
                parameters,
                kernel_name="python3",
                kernel_manager_class=ThisInterpreter,
                progress_bar=bar,
                stdout_file=terminal,
                cwd=os.getcwd(),
            )
            errors = error_outputs(executed)
        except papermill.PapermillExecutionError as error:
            errors = [f"{error.ename}: {error.evalue}"]
        except DeadKernelError:
            errors = ["the Python process of the notebook died; most often the machine ran out of memory"]
        if errors:
            os.replace(unfinished, failed)
            raise NotebookFailed(errors[0], failed)
    failed.unlink(missing_ok=True)
    return memory.peak_mb


def append_stamp(copy: Path, stamp: dict[str, str]) -> None:
    """Adds a last cell to an executed copy that says how the page was made, in place of papermill's metadata."""
    book = nbformat.read(copy, as_version=4)
    book.metadata.pop("papermill", None)  # names the temporary file, and folders of this machine
    rows = "\n".join(f"| {name} | {value} |" for name, value in stamp.items())
    cell = nbformat.v4.new_markdown_cell(f"**How this page was made**\n\n| | |\n| --- | --- |\n{rows}")
    cell.metadata["tags"] = ["stamp"]
    book.cells.append(cell)
    with atomic_path(copy) as temporary:
        nbformat.write(book, temporary)


def error_outputs(book: nbformat.NotebookNode) -> list[str]:
    """Error outputs in cells, also those of cells that were allowed to raise."""
    outputs = (output for cell in book.cells for output in cell.get("outputs", ()))
    return [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]


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
