"""A function recorded once on a GPU and replayed: its many small kernels then cost one launch."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3  # calls before the recording, in which libraries choose their kernels


class Graphed:
    """`function` of CUDA tensors, for tensors of the shapes and types of the first ones, as a CUDA graph.

    Whatever it writes besides its result, gradients for example, has the same place in memory after every call. It may
    neither look at a value (which would wait for the GPU) nor choose by one.
    """

    def __init__(self, function: Callable[..., Tensor], *tensors: Tensor):
        self._inputs, aside = [tensor.clone() for tensor in tensors], torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                function(*self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Threads that pin memory for the next batches would break a recording that watches all of them.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._result = function(*self._inputs)

    def __call__(self, *tensors: Tensor) -> Tensor:
        for place, tensor in zip(self._inputs, tensors, strict=True):
            place.copy_(tensor, non_blocking=True)
        self._graph.replay()
        return self._result.clone()
