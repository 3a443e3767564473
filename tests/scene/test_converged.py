"""Precomputed transport and Mitsuba's `direct` against an independent estimator: no bias in images or gradients.

The judge is path replay back-propagation with two bounces, which samples the BSDF as well as the lights. All that the
basis can hold is learned here; with the paper's parameters transport is held against Mitsuba in `test_transport`.
"""

import numpy as np
import pytest
import torch

from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.build import SCENE_KEYS
from drgan_lib.scene.parameters import at_position
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.trace import trace_basis
from tests.scene.conftest import BETWEEN, SIZE, pair

RAMP = torch.linspace(0.5, 1.5, SIZE)[None].expand(SIZE, SIZE)  # the weights of the mean whose gradient is compared
JUDGE, OURS = pair("more")
PAPER, _ = pair("paper")
NAMES = OURS.material.parameters


def parameters() -> torch.Tensor:
    return at_position(OURS.material, 0.15).requires_grad_()


def prb() -> mi.Integrator:
    return mi.load_dict({"type": "prb", "max_depth": 2, "rr_depth": 100})


@pytest.fixture(scope="module")
def theirs(crowd) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, h, w] and gradients [n, n_parameters] of the judge, from n independent seeds."""
    built = JUDGE.scene(crowd)
    weight, images, gradients = mi.TensorXf(RAMP[..., None].numpy()), [], []
    for seed in range(16):
        leaves = {name: mi.Float(value) for name, value in zip(NAMES, parameters().tolist(), strict=True)}
        for name, leaf in leaves.items():
            dr.enable_grad(leaf)
            for key in SCENE_KEYS.get(name, ()):
                built.params[key] = leaf
        built.params.update()
        image = mi.render(built.scene, built.params, integrator=prb(), spp=512, seed=1000 + seed)
        dr.backward(dr.mean(image * weight, axis=None))
        images.append(np.array(image)[..., 0])
        gradients.append([float(np.ravel(dr.grad(leaves[name]))[0]) for name in NAMES])
    return np.array(images), np.array(gradients)


@pytest.fixture(scope="module")
def ours(crowd) -> tuple[np.ndarray, np.ndarray]:
    """The same of precomputed transport, from bases traced with other seeds than the layout's own."""
    images, gradients, own = [], [], OURS.basis(crowd)
    for seed in range(16):
        basis = trace_basis(OURS.material, OURS.scene(crowd), OURS.terms, spp=324, seed=seed).to(own.pixel.device)
        leaf = parameters()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OURS, "basis", lambda layout, basis=basis: basis)
            image = OURS.image(leaf, crowd)
        (image * RAMP).mean().backward()
        images.append(image.detach().numpy())
        gradients.append(leaf.grad.numpy())
    return np.array(images), np.array(gradients)


def test_images_have_no_bias(ours, theirs):
    """Blocks of 8 x 8 pixels: with standard errors of both means, |z| > 5 has a probability of 1e-4.

    The interpolation between the knots may add what it may add.
    """
    n = SIZE // 8
    blocks = [images.reshape(len(images), n, 8, n, 8).mean(axis=(2, 4)) for images in (ours[0], theirs[0])]
    error = np.sqrt(sum(b.var(axis=0, ddof=1) / len(b) for b in blocks))
    away = np.abs(blocks[0].mean(axis=0) - blocks[1].mean(axis=0))
    assert (away < 5 * error + BETWEEN * theirs[0].mean(axis=0).max()).all()
    assert np.median(error / blocks[1].mean(axis=0)) < 0.02, "noise would hide a bias"
    assert ours[0].mean() == pytest.approx(theirs[0].mean(), rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_have_no_bias(ours, theirs, name):
    mine, judged = (gradients[:, NAMES.index(name)] for gradients in (ours[1], theirs[1]))
    error = np.sqrt(sum(g.var(ddof=1) / len(g) for g in (mine, judged)))
    assert mine.mean() == pytest.approx(judged.mean(), rel=0.02, abs=1e-7)
    assert error < 0.007 * abs(judged.mean()) + 1e-9, "too noisy to say"


def test_mitsubas_gradient_of_roughness_has_no_bias(crowd):
    """`direct` with samples of the lights only; with samples of the BSDF its mean would be wrong."""
    renderer = Renderer(PAPER.material, PAPER.meshes, spp=1024)
    start, i = at_position(PAPER.material, 0.1), PAPER.material.parameters.index("roughness")
    mine, judged = [], []
    for seed in range(4):
        leaf = start.clone().requires_grad_()
        renderer.image(leaf, crowd, seed=seed).mean().backward()
        mine.append(float(leaf.grad[i]))
    built = renderer.scene(crowd)
    (key,) = SCENE_KEYS["roughness"]
    for seed in range(4):
        value = mi.Float(float(start[i]))
        dr.enable_grad(value)
        built.params[key] = value
        built.params.update()
        dr.backward(dr.mean(mi.render(built.scene, built.params, integrator=prb(), spp=1024, seed=seed), axis=None))
        judged.append(float(dr.grad(value)[0]))
    # standard errors of the two means, measured: about 1.5 % each
    assert np.mean(mine) == pytest.approx(np.mean(judged), rel=0.06)
