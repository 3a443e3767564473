"""Annotated images of an experiment's material from parameters by hand: a layout, and the picture of it."""

from collections.abc import Mapping

import numpy as np
import torch

from drgan_lib.config import ConfigError, Experiment
from drgan_lib.scene import layout as layouts
from drgan_lib.scene.meshes import make_meshes
from drgan_lib.scene.parameters import micrograph
from drgan_lib.scene.stage import make_renderer


def sample_layout(exp: Experiment, *, seed: int) -> layouts.Layout:
    """Particles of the experiment's material, drawn and placed at random; the same ones for the same `seed`."""
    return layouts.sample_layout(exp.material, make_meshes(exp.material), seed=seed)


class Renderer:
    """Renders layouts of an experiment's material as the annotated set is rendered."""

    def __init__(self, exp: Experiment):
        self.material, self._renderer = exp.material, make_renderer(exp, stage="synthesis")

    def sample(
        self, layout: layouts.Layout, parameters: Mapping[str, float], *, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image, float32 [h, w] in [0, 1], and instances, int32 [h, w], of a layout.

        `parameters` gives a physical value for each of `material.parameters`, `seed` the samples of the renderer and
        of the noise. Raises `ConfigError` for other names.
        """
        if set(parameters) != set(self.material.parameters):
            raise ConfigError(
                f"expected a value for each of {', '.join(self.material.parameters)}, got {', '.join(parameters)}"
            )
        values = torch.tensor([parameters[name] for name in self.material.parameters], dtype=torch.float32)
        image = micrograph(self._renderer, values, layout, seed=seed)
        return image.numpy(), self._renderer.instance_ids(layout).astype(np.int32)
