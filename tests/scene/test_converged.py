"""Both renderers against an independent estimator: no bias in images or gradients.

The judge is path replay back-propagation with two bounces, which samples the BSDF as well as the lights.
"""

import numpy as np
import pytest
import torch

from drgan_lib.config import Material
from drgan_lib.scene import Renderer, at_position
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.basis import trace_basis
from drgan_lib.scene.build import LIGHT_KEYS, SCENE_KEYS, build_scene
from drgan_lib.scene.detector import blur_std_px, spread
from tests.scene.conftest import BETWEEN, SIZE, pair

pytestmark = pytest.mark.xdist_group("converged")
RAMP = torch.linspace(0.5, 1.5, SIZE)[None].expand(SIZE, SIZE)  # the weights of the mean whose gradient is compared


@pytest.fixture(scope="module", params=["paper", "more"])
def kind(request) -> str:
    return request.param


def parameters(material: Material) -> torch.Tensor:
    return at_position(material, 0.15).requires_grad_()


@pytest.fixture(scope="module")
def theirs(kind, crowd) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, h, w] and gradients [n, n_parameters] of the judge, from n independent seeds."""
    renderer, _ = pair(kind)
    names = renderer.material.parameters
    built = build_scene(renderer.material, renderer.meshes, crowd, spp=renderer.spp, lit=True)
    prb = mi.load_dict({"type": "prb", "max_depth": 2, "rr_depth": 100})
    weight, images, gradients = mi.TensorXf(RAMP[..., None].numpy()), [], []
    for seed in range(16):
        values = parameters(renderer.material).tolist()
        leaves = {name: mi.Float(value) for name, value in zip(names, values, strict=True)}
        for name, leaf in leaves.items():
            dr.enable_grad(leaf)
            for key in (SCENE_KEYS | LIGHT_KEYS).get(name, ()):
                built.params[key] = leaf
        built.params.update()
        image = mi.render(built.scene, built.params, integrator=prb, spp=512, seed=1000 + seed)
        dr.backward(dr.mean(image * weight, axis=None))
        seen = spread(image.torch()[..., 0].cpu(), blur_std_px(renderer.material.scene))
        images.append(seen.numpy())
        gradients.append([float(np.ravel(dr.grad(leaves[name]))[0]) for name in names])
    return np.array(images), np.array(gradients)


@pytest.fixture(scope="module")
def ours(kind, crowd) -> tuple[np.ndarray, np.ndarray]:
    """The same of precomputed transport, from bases traced with other seeds than the layout's own."""
    _, renderer = pair(kind)
    images, gradients, device = [], [], renderer.basis(crowd).pixel.device
    for seed in range(16):
        basis = trace_basis(renderer.material, renderer.scene(crowd), renderer.terms, spp=324, seed=seed).to(device)
        leaf = parameters(renderer.material)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(renderer, "basis", lambda layout, basis=basis: basis)
            image = renderer.image(leaf, crowd)
        (image * RAMP).mean().backward()
        images.append(image.detach().numpy())
        gradients.append(leaf.grad.numpy())
    return np.array(images), np.array(gradients)


def test_images_have_no_bias(ours, theirs):
    """Blocks of 4 x 4 pixels, 64 of them: with standard errors of both means, |z| > 5 has a probability of 4e-5.

    The interpolation between the knots may add what it may add.
    """
    n = SIZE // 4
    blocks = [images.reshape(len(images), n, 4, n, 4).mean(axis=(2, 4)) for images in (ours[0], theirs[0])]
    error = np.sqrt(sum(b.var(axis=0, ddof=1) / len(b) for b in blocks))
    away = np.abs(blocks[0].mean(axis=0) - blocks[1].mean(axis=0))
    assert (away < 5 * error + BETWEEN * theirs[0].mean(axis=0).max()).all()
    assert np.median(error / blocks[1].mean(axis=0)) < 0.02, "noise would hide a bias"
    assert ours[0].mean() == pytest.approx(theirs[0].mean(), rel=0.01)


def test_gradients_have_no_bias(kind, ours, theirs):
    """Within 2 %, of a smoothly weighted mean."""
    error = np.sqrt(sum(g.var(axis=0, ddof=1) / len(g) for g in (ours[1], theirs[1])))
    for i, name in enumerate(pair(kind)[0].material.parameters):
        judged = theirs[1][:, i].mean()
        assert ours[1][:, i].mean() == pytest.approx(judged, rel=0.02, abs=1e-7), name
        assert error[i] < 0.007 * abs(judged) + 1e-9, f"{name}: too noisy to say"


@pytest.mark.parametrize("kind", ["paper"], indirect=True)
def test_mitsubas_gradient_of_roughness_has_no_bias(kind, theirs, crowd):
    """Automatic differentiation, with samples of the lights only."""
    paper, _ = pair(kind)
    renderer, i = Renderer(paper.material, paper.meshes, spp=1024), paper.material.parameters.index("roughness")
    mine = []
    for seed in range(6):
        leaf = parameters(paper.material)
        (renderer.image(leaf, crowd, seed=seed) * RAMP).mean().backward()
        mine.append(float(leaf.grad[i]))
    # Standard errors of the two means, measured over 10 and 16 seeds: 0.3 % each.
    assert np.mean(mine) == pytest.approx(theirs[1][:, i].mean(), rel=0.02)
