"""Stand-ins for renderer and generator, so that the stage is tested in seconds and without ray tracing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
import trimesh

from drgan_lib.config import Experiment, load_experiment
from drgan_lib.samples import SampleSet
from drgan_lib.store import Store
from drgan_lib.synthesis import synthesize
from drgan_lib.synthesis.grow import identity

SIZE = 48


class DiskRenderer:
    """Draws entry k of a layout as a disk of value `base_color`, on `stage_base_color`; counts its calls."""

    variant, ground = "stand-in", None

    def __init__(self, material):
        self.names, self.scale, self.calls = material.parameters, SIZE / 7.3, 0
        self.meshes = [trimesh.creation.icosahedron(), trimesh.creation.box()]

    def instance_ids(self, layout):
        rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
        ids = np.zeros((SIZE, SIZE), np.uint16)
        for k, (x, _, z, diameter) in enumerate(layout.transforms):
            ids[np.hypot(columns - x * self.scale, rows - z * self.scale) < diameter * self.scale / 2] = k + 1
        return ids

    def image(self, parameters, layout, *, seed):
        self.calls += 1
        particle = torch.as_tensor((self.instance_ids(layout) > 0).astype(np.float32))
        light, dark = (parameters[self.names.index(name)] for name in ("base_color", "stage_base_color"))
        return particle * light + (1 - particle) * dark


@dataclass
class FlatGenerator:
    """Parameters from one seeded draw in `bounds` of base colour; weights that tell two generators apart."""

    names: tuple
    base_color: tuple = (0.4, 0.6)
    weights: dict = field(default_factory=lambda: {"w": torch.ones(2)})

    def state_dict(self):
        return self.weights

    def sample(self, renderer, layouts, *, seeds):
        (layout,), (seed,) = layouts, seeds
        rng = np.random.default_rng(seed)
        values = {"base_color": rng.uniform(*self.base_color), "stage_base_color": 0.2, "noise_sigma": 0.02}
        parameters = torch.tensor([values.get(name, 0.5) for name in self.names], dtype=torch.float32)
        image = renderer.image(parameters, layout, seed=seed)
        noise = torch.as_tensor(rng.normal(size=(SIZE, SIZE)), dtype=torch.float32)
        return (image + 0.02 * noise).clamp(0, 1)[None, None], parameters


@dataclass
class Stage:
    """What `synthesize` takes."""

    exp: Experiment
    generator: FlatGenerator
    renderer: DiskRenderer
    store: Store

    @property
    def place(self) -> Path:
        """Where the annotated set lies."""
        return self.store.folder("synthetic", identity(self.exp, self.generator, self.renderer))

    def synthesize(self, folder: Path | None = None) -> SampleSet:
        arguments = self.exp, self.generator, self.renderer, self.store
        return synthesize(*arguments, folder=folder, log=lambda line: None)


def _stage(store: Path, *, seed: int = 0, overrides: Mapping = MappingProxyType({}), **generator) -> Stage:
    settings = {
        "scene.size_px": SIZE,
        "patches.size_px": SIZE,
        "scene.stage_half_extent": 50.0,  # for the images of the twin, which are ten times as wide
        "layout.n_particles": [3, 8],
        "segmentation.stages": 4,
        "synthesis.n_images": 4,
    }
    exp = load_experiment("twin", "demo", settings | dict(overrides), seed=seed)
    return Stage(exp, FlatGenerator(exp.material.parameters, **generator), DiskRenderer(exp.material), Store(store))


@pytest.fixture
def make_stage(tmp_path):
    """Makes a small stage, by default all on one store; other keyword arguments are those of the generator."""
    return lambda store="store", **arguments: _stage(tmp_path / store, **arguments)


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Stage:
    """A stage whose set of four is made; to look at, not to change."""
    made = _stage(tmp_path_factory.mktemp("made"))
    made.synthesize()
    return made
