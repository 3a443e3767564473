"""A small analytic stand-in for the renderer, and an experiment that trains in seconds."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from drgan_lib.config import load_experiment
from drgan_lib.scene.layout import Layout

SIZE = 64
SMALL = {
    "scene.size_px": SIZE,
    "patches.size_px": SIZE,
    "scene.stage_half_extent": 40.0,  # for the twin's images, which are eight times as wide
    "layout.n_particles": [2, 4],
    "gan.epochs": 4,
    "gan.averaging": 0.8,
    "gan.discriminator_channels": 8,
    "gan.discriminator_layers": 2,
    "gan.features": "efficientnet_lite0",
}


class OneByOne:
    """A renderer of one image at a time."""

    ground = None

    def images(self, parameters, layouts, *, seeds):
        rows = zip(parameters, layouts, seeds, strict=True)
        return torch.stack([self.image(row, layout, seed=seed) for row, layout, seed in rows])


class Blobs(OneByOne):
    """Smooth bright blobs on a flat stage: base colour sets the blobs, stage base colour the ground."""

    variant = "analytic"

    def __init__(self, names, size=SIZE):
        self.names, self.size = names, size

    def prepare(self, layouts, *, executor, log):
        pass

    def image(self, parameters, layout, *, seed):
        value = dict(zip(self.names, parameters.cpu(), strict=True))
        axis = torch.linspace(-4, 4, self.size)
        z, x = torch.meshgrid(axis, axis, indexing="ij")
        transforms = torch.from_numpy(layout.transforms)
        squares = (x - transforms[:, 0, None, None]) ** 2 + (z - transforms[:, 2, None, None]) ** 2
        blobs = torch.exp(-squares / transforms[:, 3, None, None] ** 2).amax(dim=0)
        grain = 1e-3 * torch.rand(blobs.shape, generator=torch.Generator().manual_seed(seed))
        particle = 0.3 * value["base_color"] + 0.05 * value["roughness"] * blobs
        return (value["stage_base_color"] * (1 - blobs) + particle * blobs + grain).to(parameters.device)


def random_layouts(n, seed):
    rng = np.random.default_rng(seed)
    layouts = []
    for _ in range(n):
        k = int(rng.integers(2, 5))
        transforms = np.column_stack([rng.uniform(-3, 3, size=(k, 3)), rng.uniform(0.6, 1.2, size=k)])
        rotations = np.broadcast_to(np.eye(3, dtype=np.float32), (k, 3, 3))
        layouts.append(Layout(transforms.astype(np.float32), rotations, np.zeros(k, dtype=np.int64)))
    return layouts


@pytest.fixture(scope="module", autouse=True)
def repeatable():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    yield
    torch.set_num_threads(before)
    torch.backends.cudnn.deterministic = False


@pytest.fixture(scope="session")
def small():
    """Makes experiments on the twin's parameters at 64 x 64: `small(**{"gan.epochs": 2})`."""

    def make(*, seed=0, **overrides):
        return load_experiment("twin", "demo", {**SMALL, **overrides}, seed=seed)

    return make


@pytest.fixture(scope="session")
def world(small):
    """Renderer, a pool of layouts, and "real" images with base colour near 1.5 and stage base colour near 0.3."""
    names = small().material.parameters
    renderer = Blobs(names)
    rng = np.random.default_rng(1)
    images = []
    for k, layout in enumerate(random_layouts(6, seed=2)):
        truth = dict.fromkeys(names, 0.5)
        truth |= {"base_color": rng.normal(1.5, 0.1), "stage_base_color": rng.normal(0.3, 0.01)}
        clean = renderer.image(torch.tensor(list(truth.values())), layout, seed=k).clamp(0, 1).numpy()
        images.append(np.clip(clean + rng.normal(0, 0.03, clean.shape), 0, 1))
    return SimpleNamespace(renderer=renderer, layouts=random_layouts(4, seed=3), images=np.array(images, np.float32))
