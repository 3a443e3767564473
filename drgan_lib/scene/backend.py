"""Finding a Mitsuba variant that runs here: CUDA where a GPU traces rays, else LLVM with the wheel's own library.

A GPU is not enough: OptiX comes with the driver, and containers without the capability `graphics`, WSL and many
clusters lack it. There rays are traced by the processor, and PyTorch computes on the GPU all the same.

Every other module takes `mi` and `dr` from here: Dr.Jit reads `DRJIT_LIBLLVM_PATH` when it is first imported.
"""

import importlib.metadata
import os
from contextlib import suppress
from ctypes.util import find_library
from pathlib import Path

import torch

from drgan_lib.hardware import choose_device


def find_llvm() -> str | None:
    """Path of libLLVM: the user's `DRJIT_LIBLLVM_PATH`, the wheel's, the system's; None if there is none."""
    if named := os.environ.get("DRJIT_LIBLLVM_PATH"):
        if not Path(named).is_file():
            raise RuntimeError(f"DRJIT_LIBLLVM_PATH names {named}, which is not a file; correct or unset it")
        return named
    with suppress(importlib.metadata.PackageNotFoundError):
        files = [f for f in importlib.metadata.files("karellen-llvm-core") or [] if f.name.startswith("libLLVM")]
        # The versioned file is the library itself; the other names are links to it.
        for file in sorted(files, key=lambda f: len(f.name), reverse=True):
            path = Path(str(file.locate())).resolve()
            if path.is_file():
                return str(path)
    return find_library("LLVM")


if llvm := find_llvm():
    os.environ["DRJIT_LIBLLVM_PATH"] = llvm

import drjit as dr  # noqa: E402
import mitsuba as mi  # noqa: E402


def choose_variant() -> str:
    """`cuda_ad_mono` where a GPU computes and traces rays, else `llvm_ad_mono`; `RuntimeError` if neither can work."""
    if choose_device().type == "cuda" and _traces_on_gpu():
        return "cuda_ad_mono"
    if llvm is None:
        raise RuntimeError(
            "no renderer back end: there is no NVIDIA GPU that traces rays and no libLLVM; "
            "install the package karellen-llvm-core or point DRJIT_LIBLLVM_PATH at libLLVM"
        )
    return "llvm_ad_mono"


def _traces_on_gpu() -> bool:
    """Whether a ray finds a rectangle; the variant itself loads without OptiX, and only the first scene fails."""
    try:
        mi.set_variant("cuda_ad_mono")
        scene = mi.load_dict({"type": "scene", "rectangle": {"type": "rectangle"}})
        return bool(dr.all(scene.ray_test(mi.Ray3f(mi.Point3f(0, 0, 1), mi.Vector3f(0, 0, -1)))))
    except Exception:  # of whatever kind: what is left is the processor
        return False


VARIANT = choose_variant()
mi.set_variant(VARIANT)
mi.set_log_level(mi.LogLevel.Error)
dr.set_thread_count(min(dr.thread_count(), torch.get_num_threads()))  # which keeps to OMP_NUM_THREADS and the cores

__all__ = ["VARIANT", "dr", "mi"]
