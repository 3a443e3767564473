"""Short digests by which the library recognises settings, code and files that have not changed."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path


def digest(text: str) -> str:
    """16 hexadecimal digits that change with `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """16 hexadecimal digits that change with the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def code_digest(files: Iterable[Path], *, root: Path) -> str:
    """Digest of Python files, of their names below `root` and of what they say without comments and layout."""
    parts = (f"{path.relative_to(root).as_posix()}\0{meaning(path.read_text())}" for path in sorted(files))
    return digest("\0".join(parts))


def source_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Python files of the modules and packages `names` in `folder`."""
    modules, packages = (f"{name}.py" for name in names), (f"{name}/**/*.py" for name in names)
    return [path for pattern in (*modules, *packages) for path in folder.glob(pattern)]


def meaning(source: str) -> str:
    """Python source without comments and layout."""
    return ast.unparse(ast.parse(source))
