from .attempt import annotate, contrast
from .grow import SynthesisError, load_synthetic, synthesize, write_summary
from .sources import Origin, SampleSource, training_samples
