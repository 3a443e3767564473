"""Chapter 04: annotated images out of a trained generator, and what segmentation networks learn from."""

from drgan_lib.synthesis.attempt import annotate, contrast
from drgan_lib.synthesis.grow import SynthesisError, synthesize
from drgan_lib.synthesis.sources import Origin, SampleSource, training_samples
from drgan_lib.synthesis.summary import load_synthetic, write_summary
