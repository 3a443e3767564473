from .export import write_coco, write_png
from .sets import Sample, SampleError, SampleSet
from .shards import missing_ranges, open_samples, write_samples, write_shard
