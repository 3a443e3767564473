"""What stages 04 and 05 agree on: the classes of a label image, and where nnU-Net's raw dataset lies."""

from __future__ import annotations

from pathlib import Path

from drgan_lib.config import Experiment

BACKGROUND, PARTICLE, CONTOUR = 0, 1, 2
LABELS = {"background": BACKGROUND, "particle": PARTICLE, "contour": CONTOUR}


def nnunet_raw(exp: Experiment) -> Path:
    """Folder of nnU-Net's raw dataset; nnU-Net finds it with `nnUNet_raw` set to the folder above."""
    return exp.stage_dir("synthetic") / "nnUNet_raw" / f"Dataset001_{exp.material.name}"
