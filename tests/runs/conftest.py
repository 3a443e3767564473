"""Tiny notebooks in place of the chapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
import pytest

from drgan_lib.files import read_json
from drgan_lib.runs import pipeline
from drgan_lib.runs.keys import STAGES, find_stage

HEADER = """\
# ---
# jupyter:
#   kernelspec: {display_name: Python 3 (ipykernel), language: python, name: python3}
# ---

# %% [markdown]
# # A chapter

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}
"""
BODY = """
# %%
import json, os, sys
from pathlib import Path
folder = Path(runs) / material / profile / "FOLDER"
count = len(list(folder.glob("ran_*")))
(folder / f"ran_{count}").touch()
metric = {"value": seed, "definition": "the seed", "split": "test"}
(folder / "metrics.json").write_text(json.dumps({"NAME": metric}))
(folder / "seen.json").write_text(json.dumps([sys.executable, os.getcwd(), overrides]))
print("NAME is running", end="")
"""


@pytest.fixture
def write_notebook(tmp_path) -> Callable[..., None]:
    """Function that writes the pair of a stage's notebook."""
    folder = tmp_path / "notebooks"

    def write(name: str, body: str = BODY, header: str = HEADER) -> None:
        stage = find_stage(name)
        text = header + body.replace("FOLDER", stage.folder).replace("NAME", stage.name)
        folder.mkdir(exist_ok=True)
        (folder / f"{stage.notebook}.py").write_text(text)
        nbformat.write(jupytext.reads(text, fmt="py:percent"), folder / f"{stage.notebook}.ipynb")

    return write


@pytest.fixture
def notebooks(tmp_path, monkeypatch, write_notebook) -> Path:
    """Folder of a notebook for every stage, in place of the chapters; no micrographs are fetched or rendered."""
    monkeypatch.setattr(pipeline, "device", lambda: ("a test", "scalar_rgb"))
    monkeypatch.setenv("DRGAN_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("drgan_lib.sources.make_twin", lambda material, folder: folder)
    for stage in STAGES:
        write_notebook(stage.name)
    monkeypatch.setenv("DRGAN_NOTEBOOKS", str(tmp_path / "notebooks"))
    return tmp_path / "notebooks"


@pytest.fixture
def go(tmp_path, notebooks):
    """Function that runs stages of the twin; the content of results.json and what was echoed."""

    def run(*args, **kwargs):
        messages = []
        results = pipeline.run("twin", "demo", *args, **{"runs": tmp_path / "runs", "echo": messages.append, **kwargs})
        return read_json(results), messages

    return run


@pytest.fixture
def times_run(tmp_path) -> Callable[[str], int]:
    """Function that counts how often the notebook of a stage worked on the current results."""
    return lambda name: len(list((tmp_path / "runs/twin/demo" / find_stage(name).folder).glob("ran_*")))
