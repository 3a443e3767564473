"""Nothing half-made is ever found under its final name."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from drgan_lib import files
from drgan_lib.files import (
    atomic_folder,
    atomic_path,
    read_json,
    remove_abandoned,
    remove_folder,
    require_free_space,
    sole_use,
    write_json,
)


def test_a_file_appears_whole_with_its_suffix(tmp_path):
    path = tmp_path / "new" / "image.png"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".png"
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_earlier_file_and_no_rest(tmp_path):
    path = tmp_path / "state.json"
    write_json(path, {"epoch": 1})

    def fail_half_way():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert read_json(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole_and_the_first_of_two_stays(tmp_path):
    place = tmp_path / "new" / "0000064"
    with atomic_folder(place) as late:
        (late / "a").write_text("second")
        with atomic_folder(place) as early:
            (early / "a").write_text("first")
            assert not place.exists()
    assert (place / "a").read_text() == "first"
    assert list(place.parent.iterdir()) == [place]
    remove_folder(place)
    remove_folder(place)
    assert not list(place.parent.iterdir())


def test_an_error_leaves_no_folder(tmp_path):
    def fail_half_way():
        with atomic_folder(tmp_path / "new") as temporary:
            (temporary / "a").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert not list(tmp_path.iterdir())


def test_what_killed_processes_left_goes_after_a_day(tmp_path):
    for name, days in ((".a.x1", 2), (".b.x2", 0), (files.LOCK, 2), ("c", 2)):
        (tmp_path / name).mkdir()
        then = time.time() - days * files.ABANDONED_S
        os.utime(tmp_path / name, (then, then))
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.x2", files.LOCK, "c"]


def test_what_json_does_not_know_is_written_as_text(tmp_path):
    write_json(tmp_path / "a.json", {"path": tmp_path, "value": 0.5})
    assert read_json(tmp_path / "a.json") == {"path": str(tmp_path), "value": 0.5}


def test_a_value_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {("a", "tuple"): 1})
    assert not list(tmp_path.iterdir())


def test_free_space_is_checked_before_work(tmp_path):
    require_free_space(tmp_path / "made", 1, "a test")
    with pytest.raises(OSError, match=r"a test needs about .* free some space"):
        require_free_space(tmp_path, 2**60, "a test")


def test_a_folder_is_for_one_process_at_a_time(tmp_path):
    place = tmp_path / "out"
    code = f"from drgan_lib.files import sole_use\nwith sole_use({str(place)!r}): print('in')"
    with sole_use(place):
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "another command is working in this folder; wait until it has finished" in answer.stderr
        assert not answer.stdout
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "in\n"
    with pytest.raises(ZeroDivisionError), sole_use(place):
        1 / 0  # noqa: B018
    with sole_use(place):
        assert place.is_dir()
