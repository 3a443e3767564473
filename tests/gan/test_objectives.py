import numpy as np
import pytest
import torch

from drgan_lib.config import ConfigError
from drgan_lib.gan.features import image_moments
from drgan_lib.gan.objectives import ALPHAS, squared_mmd


def test_the_discrepancy_is_that_of_its_formula():
    x, y = (np.random.default_rng(k).normal(size=(n, 4)) for k, n in enumerate((3, 5)))

    def kernel(a, b):
        return np.mean([(1 + ((a - b) ** 2).sum() / (2 * alpha * 4)) ** -alpha for alpha in ALPHAS])

    def pairs(a, b, same):
        return np.mean([kernel(p, q) for i, p in enumerate(a) for j, q in enumerate(b) if not (same and i == j)])

    expected = pairs(x, x, True) + pairs(y, y, True) - 2 * pairs(x, y, False)
    assert squared_mmd(torch.from_numpy(x), torch.from_numpy(y)).item() == pytest.approx(expected)


def test_it_is_unbiased_and_tells_a_shift_and_a_wider_spread():
    rng = torch.Generator().manual_seed(0)

    def mean(shift, scale):
        draws = (torch.randn(2, 12, 5, generator=rng) for _ in range(400))
        found = torch.stack([squared_mmd(x, shift + scale * y) for x, y in draws])
        return found.mean().item(), found.std().item() / 20

    same, error = mean(0.0, 1.0)
    assert abs(same) < 4 * error
    assert min(mean(0.5, 1.0)[0], mean(0.0, 1.7)[0]) > 10 * error


def test_moments_are_of_every_channel_and_have_exact_derivatives():
    moments, rng = image_moments("cpu"), torch.Generator().manual_seed(1)
    image = torch.rand(1, 1, 64, 64, generator=rng)
    assert moments(image).shape == (1, 3616)
    direction = torch.randn(image.shape, generator=rng)
    variable = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(moments(variable).mean(), variable)
    step = 2e-4
    difference = (moments(image + step * direction).mean() - moments(image - step * direction).mean()) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(difference.item(), rel=0.1)


def test_one_image_is_no_set(small):
    with pytest.raises(ConfigError, match="compares sets of images, got"):
        small(**{"gan.objective": "moments"})
