"""Precomputed transport against independent estimators of Mitsuba: no bias in images, none in gradients."""

import numpy as np
import pytest
import torch

from drgan_lib.scene import TransportRenderer
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.build import SCENE_KEYS
from drgan_lib.scene.liveness import at_position
from drgan_lib.scene.render import DEVICE
from drgan_lib.scene.trace import trace_basis
from tests.scene.conftest import BETWEEN, SPP


def test_no_bias_against_a_converged_render(renderers, crowd):
    """Bases of independent seeds against `path` with two bounces, which samples the BSDF as well as the lights.

    Blocks of 8 x 8 pixels, 64 of them: with standard errors of both means, |z| > 5 has a probability of 4e-5. The
    interpolation between the knots may add what it may add.
    """
    judge, ours = renderers
    parameters = at_position(ours.material, 0.15)
    path = mi.load_dict({"type": "path", "max_depth": 2})
    judge.image(parameters, crowd, seed=0)  # puts the parameters into the scene
    built = judge.scene(crowd)
    theirs = np.stack(
        [np.array(mi.render(built.scene, integrator=path, spp=128, seed=1000 + s))[..., 0] for s in range(16)]
    )
    mine = np.stack([of_seed(ours, parameters, crowd, seed=s).numpy() for s in range(24)])
    blocks = [stack.reshape(len(stack), 8, 8, 8, 8).mean(axis=(2, 4)) for stack in (mine, theirs)]
    error = np.sqrt(sum(b.var(axis=0, ddof=1) / len(b) for b in blocks))
    away = np.abs(blocks[0].mean(axis=0) - blocks[1].mean(axis=0))
    assert (away < 5 * error + BETWEEN * theirs.mean(axis=0).max()).all()
    assert np.median(error / blocks[1].mean(axis=0)) < 0.02, "noise would hide a bias"
    assert mine.mean() == pytest.approx(theirs.mean(), rel=0.01)


def of_seed(ours, parameters, layout, *, seed, spp=SPP) -> torch.Tensor:
    """The image of `ours` from a basis traced with another seed than the layout's own."""
    renderer = TransportRenderer(ours.material, ours.meshes, spp=spp)
    built = ours.scene(layout)
    renderer._bases[layout.key] = trace_basis(ours.material, built, ours.terms, spp=spp, seed=seed).to(DEVICE)
    return renderer.image(parameters, layout)


def test_gradients_agree_with_converged_prb(renderers, crowd):
    """Within 2 %, of a smoothly weighted mean: path replay back-propagation, independent samples."""
    judge, ours = renderers
    names = ours.material.parameters
    parameters = at_position(ours.material, 0.15)
    ramp = torch.linspace(0.5, 1.5, 64)[None].expand(64, 64)
    mine, theirs = [], []
    for seed in range(24):
        leaf = parameters.clone().requires_grad_()
        (of_seed(ours, leaf, crowd, seed=seed, spp=32) * ramp).mean().backward()
        mine.append(leaf.grad.numpy())
    built = judge.scene(crowd)
    prb = mi.load_dict({"type": "prb", "max_depth": 2, "rr_depth": 100})
    weight = mi.TensorXf(ramp[..., None].numpy())
    for seed in range(8):
        leaves = {name: mi.Float(float(value)) for name, value in zip(names, parameters, strict=True)}
        for name, leaf in leaves.items():
            dr.enable_grad(leaf)
            for key in SCENE_KEYS.get(name, ()):
                built.params[key] = leaf
        built.params.update()
        image = mi.render(built.scene, built.params, integrator=prb, spp=256, seed=seed)
        dr.backward(dr.mean(image * weight, axis=None))
        theirs.append([float(np.ravel(dr.grad(leaves[name]))[0]) for name in names])
    mine, theirs = np.array(mine), np.array(theirs)
    error = np.sqrt(sum(g.var(axis=0, ddof=1) / len(g) for g in (mine, theirs)))
    for i, name in enumerate(names):
        expected = theirs[:, i].mean()
        assert mine[:, i].mean() == pytest.approx(expected, rel=0.02, abs=1e-7), name
        assert error[i] < 0.007 * abs(expected) + 1e-9, f"{name}: too noisy to say"
