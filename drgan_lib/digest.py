"""Short digests by which the library recognises settings, code and files that have not changed."""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).parent
DOCUMENTED = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
# Modules that show results and make none, and packages that count by the values they give, or not at all.
SHOWING = ("plots", "panel", "overlay")
NOT_FOLLOWED = ("config", "executors", "runs", "cli")
NAME = re.compile(rf"({PACKAGE.name}(?:\.\w+)+)(?::(\w+))?")  # of a module, or of something in it
Named = tuple[str, str]  # module and name; "" for the module itself


def digest(text: str) -> str:
    """16 hexadecimal digits that change with `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """16 hexadecimal digits that change with the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def code_behind(
    *starts: str | Path, named: bool = False, showing: bool = False, package: Path = PACKAGE
) -> dict[str, str]:
    """Digests of the modules of the library that `starts` import, of what those import, and so on, by their paths.

    `starts` are Python files or names of modules; those within the library count too. Comments, docstrings and layout
    do not count (see `meaning`), nor, unless `showing`, do modules that plot. Imports in functions count, and a name
    that a package passes on, by its `__init__.pyi`, leads to the module that it is from. With `named`, so do modules
    that strings name: entries of a registry, and what runs in another process.
    """
    found: dict[Path, str] = {}
    waiting = [path for start in starts for path in _started(start, package)]
    while waiting:
        path = waiting.pop()
        if path in found or (path.stem in SHOWING and not showing):
            continue
        found[path], imports, strings = _parsed(path, path.stat().st_mtime_ns)
        offered = _offered(path, package) if path.name == "__init__.py" and path.parent != package else {}
        names = strings if named else ()
        for module, name in (*imports, *names, *((module, name) for name, module in offered.items())):
            waiting += _files(package, module, name)
    inside = [path for path in found if path.is_relative_to(package)]
    return {path.relative_to(package).as_posix(): found[path] for path in sorted(inside)}


def meaning(source: str) -> str:
    """Python source without comments, docstrings and layout: no result depends on these."""
    return _without_docstrings(ast.parse(source))


def _without_docstrings(tree: ast.AST) -> str:
    """Source of `tree`, which loses its docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@lru_cache(maxsize=1024)
def _parsed(path: Path, changed_ns: int) -> tuple[str, tuple[Named, ...], tuple[Named, ...]]:
    """Digest of what a file says; what it imports from the library; and what of the library its strings name."""
    tree = ast.parse(path.read_text())
    imports = tuple(_imports(tree))
    return digest(_without_docstrings(tree)), imports, tuple(_strings(tree))


def _started(start: str | Path, package: Path) -> Iterable[Path]:
    match = NAME.fullmatch(str(start))
    return _files(package, match[1], match[2] or "") if match else (Path(start).resolve(),)


def _strings(tree: ast.AST) -> Iterator[Named]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := NAME.fullmatch(node.value)):
            yield match[1], match[2] or ""


def _imports(tree: ast.AST) -> Iterator[Named]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names if _is_ours(node.module))
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if _is_ours(alias.name))


def _is_ours(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == PACKAGE.name


def _files(package: Path, module: str, name: str) -> Iterable[Path]:
    """Where `name` of `module` is defined; nothing for parts of the library that are not followed."""
    parts = module.split(".")[1:]
    place = package.joinpath(*parts)
    if (parts or [name])[0] in NOT_FOLLOWED:
        return ()
    if place.with_suffix(".py").is_file():
        return (place.with_suffix(".py"),)
    if name and (place / f"{name}.py").is_file():
        return (place / f"{name}.py",)
    if name and (place / name / "__init__.py").is_file():
        return (place / name / "__init__.py",)
    face = place / "__init__.py"
    if not face.is_file():
        return ()
    offered = _offered(face, package)
    return _files(package, offered[name], name) if name in offered else (face,)


def _offered(face: Path, package: Path) -> dict[str, str]:
    """Names that a package offers by the stub of its `__init__`, and the modules that they are from."""
    stub = face.with_suffix(".pyi")
    here = ".".join((PACKAGE.name, *face.parent.relative_to(package).parts))
    nodes = ast.parse(stub.read_text()).body if stub.is_file() else ()
    return {alias.name: f"{here}.{node.module}" for node in nodes for alias in node.names}
