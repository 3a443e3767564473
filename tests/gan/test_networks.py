import numpy as np
import pytest
import torch

from drgan_lib.config import DETECTOR_BOUNDS
from drgan_lib.gan import Generator, PatchDiscriminator, lsgan_loss
from tests.gan.conftest import Blobs


@pytest.fixture
def generator(small):
    torch.manual_seed(0)
    exp = small()
    return Generator(exp.material, exp.profile.gan)


def test_outputs_start_near_the_initial_position_within_the_bounds(generator, world):
    _, drawn = generator.sample(world.renderer, world.layouts, seeds=range(len(world.layouts)))
    positions = generator.to_positions(drawn)
    assert positions.detach().mean().item() == pytest.approx(0.2, abs=0.05)
    assert (positions > 0).all()
    assert (positions < 1).all()


def test_physical_parameters_span_the_bounds(generator, small):
    low, high = np.array(list(small().material.bounds.values())).T
    n = len(low)
    np.testing.assert_allclose(generator.to_physical(torch.zeros(n)), low, rtol=1e-6)
    np.testing.assert_allclose(generator.to_physical(torch.ones(n)), high, rtol=1e-6)
    np.testing.assert_allclose(generator.to_positions(generator.to_physical(torch.full((n,), 0.3))), 0.3, rtol=1e-5)


def test_a_seed_fixes_the_image_whatever_the_global_state(generator, world):
    image, parameters = generator.sample(world.renderer, world.layouts[:1], seeds=[5])
    torch.rand(3)
    again, same = generator.sample(world.renderer, world.layouts[:1], seeds=[5])
    other, different = generator.sample(world.renderer, world.layouts[:1], seeds=[6])
    assert image.shape == (1, 1, 64, 64)
    assert torch.equal(image, again)
    assert torch.equal(parameters, same)
    assert not torch.equal(image, other)
    assert not torch.equal(parameters, different), "dropout is the generator's randomness"


def test_what_else_is_in_the_batch_changes_nothing(generator, world):
    images, parameters = generator.sample(world.renderer, world.layouts[:3], seeds=[7, 5, 9])
    alone, its_own = generator.sample(world.renderer, world.layouts[1:2], seeds=[5])
    torch.testing.assert_close(images[1:2], alone)
    torch.testing.assert_close(parameters[1:2], its_own)


def test_noise_has_the_learned_sigma(generator, world):
    image, parameters = generator.sample(world.renderer, world.layouts[:1], seeds=[5])
    clean = world.renderer.image(parameters[0], world.layouts[0], seed=5)
    sigma = parameters[0, generator.names.index("noise_sigma")]
    inside = (clean > 0.1) & (clean < 0.9)
    assert (image[0, 0] - clean)[inside].detach().std().item() == pytest.approx(sigma.item(), rel=0.1)


def test_another_detector_adds_outputs_and_all_of_them_have_gradients(small, world):
    exp = small(**{"gan.detector": "poisson_gaussian"})
    generator = Generator(exp.material, exp.profile.gan)
    assert generator.names[-4:] == ("noise_sigma", *DETECTOR_BOUNDS)
    images, parameters = generator.sample(Blobs(generator.names), world.layouts[:3], seeds=[7, 5, 9])
    alone, _ = generator.sample(Blobs(generator.names), world.layouts[1:2], seeds=[5])
    torch.testing.assert_close(images[1:2], alone)
    (gradient,) = torch.autograd.grad(images.square().mean(), parameters)
    assert (gradient[:, -4:] != 0).all()


def test_gradients_reach_every_layer_through_the_image(generator, world):
    image, _ = generator.sample(world.renderer, world.layouts[:1], seeds=[5])
    image.mean().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())
    assert sum(float(parameter.grad.abs().sum()) for parameter in generator.parameters()) > 0


def test_discriminator_sees_70_pixel_patches():
    discriminator = PatchDiscriminator().double()
    images = torch.rand(1, 1, 256, 256, dtype=torch.float64, requires_grad=True)
    # instance normalisation couples all pixels; without it the receptive field shows
    for module in discriminator.modules():
        if isinstance(module, torch.nn.InstanceNorm2d):
            module.forward = lambda x: x
    scores = discriminator(images)
    assert scores.shape == (1, 1, 30, 30)
    scores[0, 0, 15, 15].backward()
    rows = torch.nonzero(images.grad[0, 0].abs().sum(dim=1))
    assert int(rows.max() - rows.min()) + 1 == 70


def test_lsgan_loss():
    assert lsgan_loss(torch.ones(2, 3), 1.0) == 0
    assert lsgan_loss(torch.zeros(2, 3), 1.0) == 1
    assert lsgan_loss(torch.full((2, 3), 0.5), 0.0) == 0.25
