"""What holds for the repository as a whole. `make check` runs these before every commit."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from drgan_lib import __version__
from drgan_lib.config import ROOT
from drgan_lib.runs.keys import STAGES

SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
PAIRS = [path.with_suffix(".ipynb") for path in SOURCES]
LIBRARY = sorted(p for p in (ROOT / "drgan_lib").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file())
ORDER = (
    *(
        "errors",
        "registry",
        "config",
        "files",
        "metric",
        "digest",
        "shared",
        "executors",
        "store",
        "samples",
        "hardware",
        "draws",
    ),
    "classes",
    *("data", "scene", "suggest", "gan", "synthesis", "segmentation", "quantify", "sources"),
    *("runs", "report", "cli"),
)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def toc_files(node: object) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in toc_files(item)]
    if isinstance(node, dict):
        own = [node[key] for key in ("root", "file") if key in node]
        return own + toc_files([value for value in node.values() if isinstance(value, list)])
    return []


def test_conda_users_get_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert [item for item in pip if not item.startswith("--")] == PYPROJECT["project"]["dependencies"]
    assert f"python{PYPROJECT['project']['requires-python']}" in environment["dependencies"]


def test_the_lock_holds_every_dependency_with_hashes():
    lock = (ROOT / "requirements.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    extra = PYPROJECT["project"]["optional-dependencies"]["dev"]
    wanted = {re.match(r"[\w-]+", item)[0] for item in PYPROJECT["project"]["dependencies"] + extra}
    assert wanted <= locked
    assert "://" not in lock
    for block in re.split(r"^(?=[a-z0-9-]+==)", lock, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block


def test_developers_have_the_extras():
    extras = PYPROJECT["project"]["optional-dependencies"]
    assert {*extras["cluster"], *extras["formats"]} <= set(extras["dev"])


def test_the_makefile_installs_the_locked_uv():
    (pinned,) = re.findall(r"^UV := (uv==\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert pinned in PYPROJECT["project"]["optional-dependencies"]["dev"]
    assert f"\n{pinned} " in (ROOT / "requirements.lock").read_text()


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ("shared/data/tio2_sem/images", "shared/data"),
        ("shared/data/tio2_sem.zip", "shared/data"),
        ("shared/data/a", ""),
    ],
)
def test_the_mirror_is_used_only_if_it_holds_the_images(tmp_path, there, expected):
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).touch()
    (tmp_path / "drgan").mkdir()
    command = ["make", "--silent", "-f", ROOT / "Makefile", "--eval", "show: ; @echo $$DRGAN_MIRROR", "show"]
    environment = {"PATH": os.environ["PATH"]}
    answer = subprocess.run(
        command, cwd=tmp_path / "drgan", env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == (str(tmp_path / expected) if expected else "")


def test_containers_share_results_and_speak_to_one_scheduler():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for service in services.values():
        assert service["volumes"] == ["./runs:/drgan/runs"]
        assert service["environment"]["DRGAN_EXECUTOR"] == "tcp://scheduler:8786"
    assert services["worker"]["command"].startswith("dask worker tcp://scheduler:8786 --nthreads 1 ")
    assert services["worker"]["deploy"]["replicas"] == 2


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PYPROJECT["project"]["version"] == __version__ == citation["version"]
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_stage_has_its_notebook_and_every_notebook_its_stage():
    assert names(SOURCES) == [stage.notebook for stage in STAGES]


def test_pairs_are_what_jupytext_makes_of_the_sources(tmp_path):
    """Ids of unchanged cells are kept by `--update`, so a pair that is up to date comes out byte for byte."""
    for path in [*SOURCES, *PAIRS, ROOT / "notebooks/jupytext.toml"]:
        assert path.is_file(), f"{path.name} is missing; run `make notebooks`"
        shutil.copy(path, tmp_path)
    command = [sys.executable, "-m", "jupytext", "--quiet", "--to", "ipynb", "--update"]
    subprocess.run([*command, *(path.name for path in SOURCES)], cwd=tmp_path, check=True)
    different = [path.name for path in PAIRS if (tmp_path / path.name).read_bytes() != path.read_bytes()]
    assert not different, f"{different} differ from their sources; run `make notebooks`"


@pytest.mark.parametrize("path", PAIRS, ids=names(PAIRS))
def test_notebooks_are_thin_and_without_outputs(path):
    book = nbformat.read(path, as_version=4)
    assert set(book.metadata) == {"kernelspec"}, "pairing lives in notebooks/jupytext.toml"
    assert [cell.metadata.get("tags") for cell in book.cells].count(["parameters"]) == 1
    assert book.cells[0].source.startswith("# ")
    for cell in book.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        if cell.cell_type == "code" and "from scratch" not in cell.source:
            assert not re.search(r"^\s*(def|class) ", cell.source, re.MULTILINE), "definitions belong in the library"


def test_the_book_holds_every_chapter_and_every_page_exists():
    files = toc_files(yaml.safe_load((ROOT / "book/_toc.yml").read_text()))
    chapters = [f"book/executed/{stage.notebook}" for stage in STAGES]
    assert [name for name in files if name.startswith("book/executed/")] == chapters
    missing = [name for name in files if name not in chapters and not (ROOT / f"{name}.md").is_file()]
    assert not missing


def test_the_book_is_not_executed_at_build_time():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["execute"]["execute_notebooks"] == "off"
    assert config["only_build_toc_files"] is True


def imported(path: Path) -> set[str]:
    """First parts, below `drgan_lib`, of what a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("drgan_lib.")}


@pytest.mark.parametrize("name", sorted(path.stem for path in LIBRARY if path.stem != "__init__"))
def test_imports_point_one_way(name):
    """A module imports only what stands before it; the packages of the stages stand in the order of their running."""
    paths = [path for path in LIBRARY if path.stem == name]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))]
    allowed = {name, "__version__", *ORDER[: ORDER.index(name)]}
    wrong = {file.name: names for file in files if (names := imported(file) - allowed)}
    assert not wrong
