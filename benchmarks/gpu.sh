#!/usr/bin/env bash
# On a machine with an NVIDIA GPU and PyTorch: the tests marked gpu, a table of each step on the processor and on the
# GPU, and the rest of the suite as far as time allows; six minutes. From the repository's root:
#
#     bash benchmarks/gpu.sh [FOLDER]
#
# FOLDER holds what that machine's Python lacks, unpacked (`pip install --target FOLDER mitsuba drjit nnunetv2 ...`).
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${1:+:$(realpath "$1")}" PYTHONDONTWRITEBYTECODE=1
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || echo "no nvidia-smi"
timeout 60 "$PYTHON" -m pytest -q -m gpu $(grep -rl "mark.gpu" tests --include="*.py")
timeout 170 "$PYTHON" -m benchmarks.devices
timeout 120 "$PYTHON" -m pytest -q -n auto --dist loadgroup -m "not gpu" --continue-on-collection-errors \
    tests/scene tests/gan tests/synthesis tests/segmentation
