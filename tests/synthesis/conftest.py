"""Stand-ins for renderer and generator, so that the stage is tested in seconds and without ray tracing."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
import trimesh

from drgan_lib.config import load_experiment

SIZE = 48


class DiskRenderer:
    """Draws entry k of a layout as a disk of value `base_color`, on `stage_base_color`; counts its calls."""

    variant = "stand-in"

    def __init__(self, material):
        self.names, self.scale, self.calls = material.parameters, SIZE / 7.3, 0

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

    def sample(self, renderer, layout, *, seed):
        rng = np.random.default_rng(seed)
        values = {"base_color": rng.uniform(*self.base_color), "stage_base_color": 0.2, "noise_sigma": 0.02}
        parameters = torch.tensor([values.get(name, 0.5) for name in self.names], dtype=torch.float32)
        image = renderer.image(parameters, layout, seed=seed)
        noise = torch.as_tensor(rng.normal(size=(SIZE, SIZE)), dtype=torch.float32)
        return (image + 0.02 * noise).clamp(0, 1)[None, None], parameters


@dataclass
class Stage:
    """What `synthesize` takes, in its order."""

    exp: object
    generator: FlatGenerator
    renderer: DiskRenderer
    meshes: list
    background: np.ndarray

    @property
    def arguments(self):
        return self.exp, self.generator, self.renderer, self.meshes, self.background

    @property
    def folder(self):
        return self.exp.stage_dir("synthetic")


@pytest.fixture
def make_stage(tmp_path):
    """Makes a small stage; other keyword arguments are those of the stand-in generator."""

    def make(runs="runs", *, overrides=None, seed=0, **generator):
        settings = {
            "scene.size_px": SIZE,
            "patches.size_px": SIZE,
            "scene.stage_half_extent": 50.0,  # for the images of the twin, which are ten times as wide
            "layout.n_particles": [3, 8],
            "segmentation.stages": 4,
        }
        settings |= {"synthesis.n_images": 4} | (overrides or {})
        exp = load_experiment("twin", "demo", settings, seed=seed, runs=tmp_path / runs)
        background = np.random.default_rng(1).uniform(0, 1, (3, SIZE, SIZE)).astype(np.float32)
        names = exp.material.parameters
        meshes = [trimesh.creation.icosahedron(), trimesh.creation.box()]
        return Stage(exp, FlatGenerator(names, **generator), DiskRenderer(exp.material), meshes, background)

    return make
