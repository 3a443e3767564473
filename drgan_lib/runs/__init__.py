"""Runs: papermill executes the chapters over a store of results, each in a folder named by what it depends on."""

from drgan_lib.runs.chapter import Chapter, open_chapter
from drgan_lib.runs.due import StageStatus, collect_garbage, status
from drgan_lib.runs.execute import NotebookFailed
from drgan_lib.runs.pipeline import run

__all__ = ["Chapter", "NotebookFailed", "StageStatus", "collect_garbage", "open_chapter", "run", "status"]
