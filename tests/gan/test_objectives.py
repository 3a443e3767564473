import numpy as np
import pytest
import torch

from drgan_lib.config import ConfigError
from drgan_lib.gan.features import image_moments
from drgan_lib.gan.networks import lsgan_loss
from drgan_lib.gan.objectives import ALPHAS, choose_objective, squared_mmd


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


@pytest.mark.parametrize("batch", [1, 4])
def test_threads_that_share_a_batch_find_the_gradients_of_one_pass(small, threads, batch):
    images, real = torch.rand(2, batch, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    found = []
    for n in (1, 2, 3):
        threads(n)
        torch.manual_seed(0)
        judge = choose_objective(small(**{"gan.precision": "float32"}).profile.gan, real[:, 0])
        variable = images.clone().requires_grad_()
        loss = lsgan_loss(judge.scores(variable), 1.0)
        (expected,) = torch.autograd.grad(loss, variable)
        said = judge.scores(real).mean().item(), judge.scores(images).mean().item()
        gradient, means = judge.judge(images, real)
        assert torch.allclose(gradient, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())
        assert means[0].item() == pytest.approx(loss.item(), rel=1e-5)
        assert means[2:].tolist() == pytest.approx(said, rel=1e-4)
        found.append(torch.cat([weight.grad.flatten() for weight in judge.parameters()]))
    assert found[0].abs().max() > 0
    assert all(torch.allclose(other, found[0], rtol=1e-3, atol=1e-5) for other in found[1:])


def test_threads_that_share_a_batch_find_the_moments_of_the_whole(small, threads):
    settings = small(**{"gan.objective": "moments", "gan.batch_size": 5}).profile.gan
    images, real = torch.rand(2, 5, 1, 48, 48, generator=torch.Generator().manual_seed(3))
    found = []
    for n in (1, 2, 3):
        threads(n)
        found.append(choose_objective(settings, real[:, 0]).judge(images, real))
    for gradient, loss in found[1:]:
        assert torch.allclose(gradient, found[0][0], rtol=1e-3, atol=1e-4 * found[0][0].abs().max().item())
        assert loss.item() == pytest.approx(found[0][1].item(), rel=1e-4)
    assert found[0][0].abs().max() > 0
