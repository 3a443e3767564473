"""A wheel that works without the clone that it was built from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drgan_lib.config import ROOT, materials

pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Folder that holds the library as a wheel installs it, and nothing else."""
    place = tmp_path_factory.mktemp("wheel")
    for name in ("drgan_lib", "notebooks", "data"):
        ignored = shutil.ignore_patterns("__pycache__", "images", "masks", "segmaps")
        shutil.copytree(ROOT / name, place / "source" / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CITATION.cff"):
        shutil.copy(ROOT / name, place / "source")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(place / "source")]
    subprocess.run([*pip, *build], check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(place / "site"), str(wheel)], check=True)
    shutil.rmtree(place / "source")
    return place / "site"


def call(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess:
    code = "import drgan_lib, sys; from drgan_lib.cli import main; print(drgan_lib.__file__); sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": str(installed), "DRGAN_DATA": str(folder / "data"), "COLUMNS": "100"}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_what_is_no_code_is_in_the_wheel(installed, tmp_path):
    answer = call(installed, tmp_path, "materials")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(str(installed))
    assert all(name in answer.stdout for name in materials())
    library = installed / "drgan_lib"
    for folder, names in (("chapters", ("*.py", "*.ipynb")), ("registries", ("*/*.tsv",))):
        for name in names:
            original = {path.name for path in (ROOT / "drgan_lib" / folder).glob(name)}
            assert {path.name for path in (library / folder).glob(name)} == original
    assert all((library / name).is_file() for name in ("CITATION.cff", "report/page.html.j2"))


def test_a_run_starts_from_any_folder(installed, tmp_path):
    few = [f"-P{name}" for name in ("twin.n_train=1", "twin.n_test=1", "twin.size_px=256", "twin.spp=1")]
    answer = call(installed, tmp_path, "run", "twin", "--stage", "quickstart", *few)
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "runs/twin/demo/notebooks/00_quickstart.ipynb").is_file()
