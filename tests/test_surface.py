"""The public names: few, found where they are said to be, and in the README as they work."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import numpy as np
import pytest

import drgan_lib as drgan
from drgan_lib.config import PACKAGE, ROOT

PACKAGES = sorted(".".join(face.parent.relative_to(ROOT).parts) for face in PACKAGE.glob("*/**/__init__.py"))


def test_importing_the_library_imports_nothing_heavy():
    code = (
        "import sys, drgan_lib; print(sorted({'torch', 'mitsuba', 'pandas', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_every_public_name_is_there():
    assert len(drgan.__all__) <= 30
    for name in drgan.__all__:
        assert getattr(drgan, name) is not None
        assert name in dir(drgan)
    with pytest.raises(AttributeError, match="gold"):
        _ = drgan.gold


@pytest.mark.parametrize("name", PACKAGES)
def test_no_module_is_hidden_behind_a_name_of_its_package(name):
    package = import_module(name)
    modules = {info.name for info in iter_modules(package.__path__)}
    assert not {name for name in modules if not isinstance(vars(package).get(name, package), ModuleType)}


def test_all_errors_have_one_base():
    errors = {
        value
        for name in PACKAGES
        for value in (getattr(import_module(name), public) for public in dir(import_module(name)))
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__.startswith("drgan_lib")
    }
    assert len(errors) >= 6
    assert all(issubclass(error, drgan.DrganError) for error in errors)


@pytest.mark.xdist_group("tiny_run")
def test_the_example_of_the_readme_works(tiny_run):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    example = example.replace('"runs/tio2_sem/laptop"', repr(str(tiny_run)))
    names: dict = {}
    exec(example, names)
    assert names["image"].shape == names["instances"].shape == names["labels"].shape == (256, 256)
    assert 0 <= names["image"].min() < names["image"].max() <= 1
    assert len(np.unique(names["instances"])) > 5
    assert names["table"]["equivalent_diameter_nm"].notna().all()
