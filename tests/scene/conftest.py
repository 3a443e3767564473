"""Small scenes that the tests of the renderers share: 32 x 32 pixels, few and large particles."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from drgan_lib.config import Experiment, Material, load_experiment
from drgan_lib.scene import Layout, Renderer, TransportRenderer, make_meshes, sample_layout, transport
from drgan_lib.scene.basis import Basis, learned_lights
from drgan_lib.scene.terms import Terms

SIZE = 32
SMALL = {
    "patches.size_px": SIZE,
    "scene.size_px": SIZE,
    "meshes.shape": "cube",
    "meshes.count": 6,
    "layout.n_particles": [5, 7],
    "layout.sizes.median": 1.5,
    "layout.sizes.sigma": 0.2,
    "layout.clusters": [1, 2],
    "layout.tightness": 0.8,
    "layout.stacking": 0.3,
    "layout.sintering": [0, 0],
    "scene.charge": 0,
}
# What the paper leaves fixed and the basis can hold too.
MORE = {
    "bounds.metallic": [0, 1],
    "bounds.clearcoat": [0, 1],
    "bounds.flatness": [0, 1],
    "bounds.sheen_tint": [0, 1],
    "bounds.torus_radiance": [0.2, 2],
    "bounds.top_radiance": [0, 0.5],
}
SPP = 16
AT_KNOTS, BETWEEN = 1e-4, 5e-3  # allowed differences, of the image's maximum


def small_experiment(*, runs: Path | None = None, **changes) -> Experiment:
    """The TiO2 experiment at 32 x 32 pixels, with overrides on top (`__` for the dot)."""
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return load_experiment("tio2_sem", "demo", {**SMALL, **changes}, runs=runs)


def small_material(**changes) -> Material:
    """The material of `small_experiment`."""
    return small_experiment(**changes).material


def random_parameters(material: Material, n: int, *, seed: int) -> torch.Tensor:
    """float32 [n, n_parameters]: uniform in the material's bounds, the roughness in its logarithm."""
    rng = np.random.default_rng(seed)
    low, high = np.array(list(material.bounds.values())).T
    values = rng.uniform(low, high, size=(n, len(low)))
    if "roughness" in material.bounds:
        i = material.parameters.index("roughness")
        values[:, i] = np.exp(rng.uniform(np.log(low[i]), np.log(high[i]), size=n))
    return torch.tensor(values, dtype=torch.float32)


def difference(renderers, parameters, layout) -> float:
    """Greatest difference of the two renderers' images with the same samples, in units of the image's maximum."""
    judge, ours = renderers
    expected = judge.image(parameters, layout, seed=layout.seed)
    return float((ours.image(parameters, layout) - expected).abs().max() / expected.max())


def made_basis(material: Material, *, seed: int, n: int = 2000) -> Basis:
    """A basis of random content, as if `n` fragments of two particles were traced, for what is not about light."""
    generator, n_lights = torch.Generator().manual_seed(seed), max(1, len(learned_lights(material)))
    pixel = torch.randint(SIZE**2, (n,), generator=generator).int()
    particle, light = (torch.randint(high, (n,), generator=generator) for high in (2, n_lights))
    particles = torch.rand(len(Terms.of(material).settings), n, generator=generator)
    stage = torch.rand(n_lights, 2, SIZE**2, generator=generator)
    return Basis(pixel, particle.short(), light.byte(), particles, stage)


@cache
def pair(kind: str, *, spp: int = SPP) -> tuple[Renderer, TransportRenderer]:
    """Mitsuba and precomputed transport, for the paper's parameters or for `more`, all that the basis can hold."""
    material = small_material(**(MORE if kind == "more" else {}))
    return Renderer(material, shapes(), spp=spp), TransportRenderer(material, shapes(), spp=spp)


@cache
def shapes() -> list[trimesh.Trimesh]:
    return make_meshes(small_material())


@pytest.fixture(params=["paper", "more"])
def renderers(request) -> tuple[Renderer, TransportRenderer]:
    return pair(request.param)


@pytest.fixture
def traced(monkeypatch) -> list[int]:
    """The seeds of all bases traced while the test runs; they are made up, which takes no rays."""
    seeds = []

    def trace(material, built, terms, *, spp, seed):
        seeds.append(seed)
        return made_basis(material, seed=seed)

    monkeypatch.setitem(transport.TRACED, "principled", (Terms, trace))
    return seeds


@pytest.fixture(scope="session")
def meshes() -> list[trimesh.Trimesh]:
    return shapes()


@pytest.fixture(scope="session")
def crowd(meshes) -> Layout:
    """Some particles in view."""
    return sample_layout(small_material(), meshes, seed=3)
