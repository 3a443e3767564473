"""A recorded function: what it gives, and what it leaves."""

import pytest
import torch
from torch import nn

from drgan_lib.segmentation.graphed import Graphed


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_recorded_training_step_is_the_step():
    """Of a network that learns: losses and weights of ten batches, each of which the recording has not seen."""
    torch.manual_seed(0)
    batches = [(torch.rand(4, 1, 32, 32).cuda(), torch.rand(4, 1, 32, 32).cuda()) for _ in range(10)]

    def trained(recorded: bool) -> tuple[list[float], list[torch.Tensor]]:
        torch.manual_seed(1)
        network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.InstanceNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 1))
        optimizer = torch.optim.SGD(network.cuda().parameters(), lr=0.1, momentum=0.9, fused=True)

        def backward(data: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad(set_to_none=True)
            loss = (network(data) - target).square().mean()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1, foreach=True)
            return loss.detach()

        step, losses = Graphed(backward, *batches[0]) if recorded else backward, []
        for batch in batches:
            losses.append(step(*batch))
            optimizer.step()
        return torch.stack(losses).tolist(), list(network.parameters())

    expected, found = trained(False), trained(True)
    assert found[0] == pytest.approx(expected[0], rel=1e-4)
    for ours, theirs in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
