"""Which device computes, and what is said when it cannot be had."""

import pytest

from drgan_lib import hardware
from drgan_lib.hardware import DeviceError, choose_device


@pytest.fixture(autouse=True)
def forgotten():
    choose_device.cache_clear()
    yield
    choose_device.cache_clear()


@pytest.mark.parametrize(
    ("asked", "present", "expected"),
    [("", True, "cuda"), ("", False, "cpu"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_the_device_is_the_one_asked_for_else_a_gpu(monkeypatch, asked, present, expected):
    monkeypatch.setenv("DRGAN_DEVICE", asked)
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: present)
    assert choose_device().type == expected


@pytest.mark.parametrize(
    ("asked", "message"), [("cuda", "no NVIDIA GPU.*nvidia-smi"), ("gpu", "expected cpu or cuda, got gpu")]
)
def test_a_device_that_cannot_be_had_is_an_error(monkeypatch, asked, message):
    monkeypatch.setenv("DRGAN_DEVICE", asked)
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=message):
        choose_device()
