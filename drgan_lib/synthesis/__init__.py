"""Stage 04: annotated images out of a trained generator, with a table, a COCO file, an nnU-Net dataset."""

from drgan_lib.synthesis.export import nnunet_raw, to_coco, to_nnunet
from drgan_lib.synthesis.sample import AnnotatedImage, SynthesisError, annotate, contrast, synthesize
from drgan_lib.synthesis.store import SyntheticSet, load_synthetic

__all__ = [
    "AnnotatedImage",
    "SynthesisError",
    "SyntheticSet",
    "annotate",
    "contrast",
    "load_synthetic",
    "nnunet_raw",
    "synthesize",
    "to_coco",
    "to_nnunet",
]
