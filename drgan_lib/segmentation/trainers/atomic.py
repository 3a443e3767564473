"""nnU-Net's own trainer, made safe against interruption while it writes a checkpoint."""

from __future__ import annotations

import os

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class AtomicTrainer(nnUNetTrainer):
    """nnU-Net's default trainer in all but one thing: a checkpoint gets its name only when it is whole."""

    def save_checkpoint(self, filename: str) -> None:
        super().save_checkpoint(filename + ".part")
        os.replace(filename + ".part", filename)
