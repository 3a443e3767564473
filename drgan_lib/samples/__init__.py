"""An image and all that is known of it (`Sample`), and many of them (`SampleSet`), in memory or on disk."""

from drgan_lib.samples.export import write_coco, write_png
from drgan_lib.samples.sample import Sample, SampleError
from drgan_lib.samples.sets import SampleSet
from drgan_lib.samples.shards import missing_ranges, open_samples, write_samples, write_shard
