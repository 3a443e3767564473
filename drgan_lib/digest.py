"""Short digests by which the library recognises settings, code and files that have not changed."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

DOCUMENTED = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef


def digest(text: str) -> str:
    """16 hexadecimal digits that change with `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """16 hexadecimal digits that change with the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def code_digest(files: Iterable[Path], *, root: Path) -> str:
    """Digest of Python files, of their names below `root` and of what they say, see `meaning`."""
    parts = (f"{path.relative_to(root).as_posix()}\0{meaning(path.read_text())}" for path in sorted(files))
    return digest("\0".join(parts))


def imported_files(start: Path, *, within: Path) -> list[Path]:
    """The Python file `start`, those that it imports from `within`, a package of this library, and so on.

    Counts `from drgan_lib.PACKAGE.NAME import ...`, NAME being a module or, with all its files, a package.
    """
    prefix = f"drgan_lib.{within.name}."
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(prefix):
                target = within.joinpath(*node.module.removeprefix(prefix).split("."))
                waiting += target.rglob("*.py") if target.is_dir() else [target.with_suffix(".py")]
    return sorted(found)


def meaning(source: str) -> str:
    """Python source without comments, docstrings and layout: no result depends on these."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
