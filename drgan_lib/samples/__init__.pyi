from .export import write_coco, write_png
from .sets import Sample, SampleError, SampleSet
from .shards import open_samples, read_shard, shard_folder, shard_length, write_samples, write_shard
