"""Trainers that nnU-Net finds through the environment variable `nnUNet_extTrainer`; a folder of their own,
because nnU-Net imports every module that it finds beside a trainer.
"""

COMPACT_EPOCH = 50  # iterations between two checkpoints of the compact trainer
