"""Renders of proposed settings at the gray levels of the micrographs, to be measured as the micrographs are."""

from dataclasses import dataclass

import numpy as np
import torch

from drgan_lib.config import Material
from drgan_lib.data import DataError
from drgan_lib.scene.layout import Layout, LayoutError, sample_layout
from drgan_lib.scene.meshes import make_meshes
from drgan_lib.scene.render import Renderer
from drgan_lib.suggest.observation import Views

SPP = 16
TRIES = 4  # seeds per layout
LEAST, LARGEST = (0.01, 0.005), (5.0, 5.0)  # base colours of particles and stage


@dataclass(frozen=True)
class Renders:
    """Images float32 [h, w] with the ids [h, w] of what each shows, and the layouts behind them."""

    images: list[np.ndarray]
    ids: list[np.ndarray]
    layouts: list[Layout]


class Lookalikes:
    """Renders layouts of any layout settings, with the levels and noise of randomly drawn real windows."""

    def __init__(self, material: Material, views: Views):
        self.material, self.meshes = material, make_meshes(material)
        self.renderer = Renderer(material, self.meshes, spp=SPP)
        self.views = views.take(np.flatnonzero(np.isfinite(views.particle_level)))
        self._response: np.ndarray | None = None

    def render(self, material: Material, n: int, *, seed: int) -> Renders:
        """n layouts of `material`, which differs from the first one in its layout settings only."""
        layouts = [self._layout(material, 1000 * seed + TRIES * k) for k in range(n)]
        rng = np.random.default_rng(seed)
        images, ids = [], []
        for k, (layout, view) in enumerate(zip(layouts, rng.integers(len(self.views.image), size=n), strict=True)):
            clean = self._image(layout, self.colours(layout)[:, view], seed=k).clip(0, 1)
            noise = self.views.noise[view] * rng.normal(size=clean.shape)
            images.append(np.clip(clean + noise, 0, 1).astype(np.float32))
            ids.append(self.renderer.instance_ids(layout).astype(np.int32))
        return Renders(images, ids, layouts)

    def colours(self, layout: Layout | None = None) -> np.ndarray:
        """float64 [2, n]: base colours of particles and stage that give the levels of the n real windows."""
        if self._response is None:
            self._response = self._measure_response(layout or self._layout(self.material, 0))
        levels = np.stack([self.views.particle_level, self.views.background])
        at_zero, slope = self._response.T[..., None]
        return np.clip((levels - at_zero) / slope, np.vstack(LEAST), np.vstack(LARGEST))

    def _measure_response(self, layout: Layout) -> np.ndarray:
        """[[particle at 0, slope], [stage at 0, slope]]: the image is linear in both base colours."""
        ids, colours = self.renderer.instance_ids(layout), np.array([[0.2, 0.1], [0.6, 0.3]])
        low, high = (self._image(layout, pair, seed=0) for pair in colours)
        response = []
        for where, (dark, bright) in zip((ids > 0, ids == 0), colours.T, strict=True):
            a, b = (np.median(image[where]) if where.any() else np.nan for image in (low, high))
            slope = (b - a) / (bright - dark)
            response.append((a - slope * dark, slope))
        if not np.isfinite(response).all():
            raise DataError("a rendered layout shows no particle or no stage; the sizes found cannot be right")
        return np.array(response)

    def _image(self, layout: Layout, colours: np.ndarray, *, seed: int) -> np.ndarray:
        values = dict(zip(("base_color", "stage_base_color"), colours, strict=True))
        parameters = torch.tensor([values.get(name, 0.5) for name in self.material.parameters], dtype=torch.float32)
        return self.renderer.image(parameters, layout, seed=seed).cpu().numpy()

    def _layout(self, material: Material, seed: int) -> Layout:
        for attempt in range(TRIES):
            try:
                return sample_layout(material, self.meshes, seed=seed + attempt)
            except LayoutError as error:
                reason = error
        raise DataError(f"the particles found do not fit into a layout: {reason}")
