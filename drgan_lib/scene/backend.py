"""Finding a Mitsuba variant that runs here: CUDA where there is a GPU, else LLVM with the wheel's own library.

Every other module takes `mi` and `dr` from here: Dr.Jit reads `DRJIT_LIBLLVM_PATH` when it is first imported.
"""

import importlib.metadata
import os
from contextlib import suppress
from ctypes.util import find_library
from pathlib import Path

import torch


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


def choose_variant() -> str:
    """`cuda_ad_mono` with an NVIDIA GPU, else `llvm_ad_mono`; `RuntimeError` if neither can work."""
    if torch.cuda.is_available():
        return "cuda_ad_mono"
    llvm = find_llvm()
    if llvm is None:
        raise RuntimeError(
            "no renderer back end: there is no NVIDIA GPU and no libLLVM; "
            "install the package karellen-llvm-core or point DRJIT_LIBLLVM_PATH at libLLVM"
        )
    os.environ["DRJIT_LIBLLVM_PATH"] = llvm
    return "llvm_ad_mono"


VARIANT = choose_variant()

import drjit as dr  # noqa: E402
import mitsuba as mi  # noqa: E402

mi.set_variant(VARIANT)
mi.set_log_level(mi.LogLevel.Error)
if threads := os.environ.get("OMP_NUM_THREADS"):  # which PyTorch keeps to by itself
    dr.set_thread_count(int(threads.split(",")[0]))

__all__ = ["VARIANT", "dr", "mi"]
