"""Trainers that nnU-Net finds through the environment variable `nnUNet_extTrainer`; a folder of their own,
because nnU-Net imports every module that it finds beside a trainer.
"""
