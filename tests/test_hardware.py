"""Which device computes, and how many cores may be used by what the system says of them and of a container's share."""

from __future__ import annotations

import os

import pytest
import torch

from drgan_lib import hardware
from drgan_lib.hardware import DeviceError, choose_device, map_apart, threads_for


@pytest.fixture
def cores(tmp_path, monkeypatch):
    """Function that says how many of 8 cores may be used with these files of a control group."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(hardware, "CGROUPS", tmp_path)

    def usable(files: dict[str, str]) -> int:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return hardware.usable_cores()

    return usable


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_a_container_gets_no_more_threads_than_its_share(cores, files, expected):
    assert cores(files) == expected


def test_a_process_held_to_some_cores_uses_those(cores, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5})
    assert cores({}) == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores({}) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores({}) == 1


@pytest.fixture
def forgotten():
    choose_device.cache_clear()
    yield
    choose_device.cache_clear()


@pytest.mark.parametrize(
    ("asked", "present", "expected"),
    [("", True, "cuda"), ("", False, "cpu"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_the_device_is_the_one_asked_for_else_a_gpu(monkeypatch, forgotten, asked, present, expected):
    monkeypatch.setenv("DRGAN_DEVICE", asked)
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: present)
    assert choose_device().type == expected


@pytest.mark.parametrize(
    ("asked", "message"), [("cuda", "no NVIDIA GPU.*nvidia-smi"), ("gpu", "expected cpu or cuda, got gpu")]
)
def test_a_device_that_cannot_be_had_is_an_error(monkeypatch, forgotten, asked, message):
    monkeypatch.setenv("DRGAN_DEVICE", asked)
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=message):
        choose_device()


def test_threads_apart_compute_alone_and_in_order_and_this_one_keeps_its_own(threads):
    threads(2)
    found = list(map_apart(3)(lambda k: (k, torch.get_num_threads(), torch.is_grad_enabled()), range(20)))
    assert found == [(k, 1, True) for k in range(20)]
    assert torch.get_num_threads() == threads_for(torch.device("cpu")) == 2
    assert threads_for(torch.device("cuda")) == 1
    assert list(map_apart(1)(lambda k: torch.get_num_threads(), range(2))) == [2, 2]
