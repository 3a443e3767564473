"""From parameters to image, differentiably, and from layout to instance ids, exactly."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import trimesh

from drgan_lib.config import Material
from drgan_lib.scene.backend import VARIANT, dr, mi
from drgan_lib.scene.build import SCENE_KEYS, BuiltScene, build_scene, replace_particles
from drgan_lib.scene.detector import blur_std_px, spread
from drgan_lib.scene.layout import Layout

DEVICE = "cuda" if VARIANT.startswith("cuda") else "cpu"


def gradient_seed(seed: int) -> int:
    """Seed of the samples that the backward pass of `Renderer.image(..., seed=seed)` uses."""
    return int(mi.sample_tea_32(mi.UInt32(seed), 1)[0][0])


class Renderer:
    """Renders layouts of one material with Mitsuba, on `cuda_ad_mono` or `llvm_ad_mono`."""

    variant = VARIANT

    def __init__(self, material: Material, meshes: list[trimesh.Trimesh], *, spp: int):
        self.material, self.meshes, self.spp = material, meshes, spp
        self._built: tuple[Layout, BuiltScene] | None = None
        self._changes = 0  # of the scene or its parameters

    def prepare(self, layouts: Sequence[Layout], *, log: Callable[[str], None] = print) -> None:
        """Does beforehand what can be done before the parameters of `layouts` are known: here, nothing."""

    def scene(self, layout: Layout) -> BuiltScene:
        """The Mitsuba scene that holds `layout`."""
        if self._built is None:
            self._built = layout, build_scene(self.material, self.meshes, layout, spp=self.spp)
        elif self._built[0] is not layout:
            self._built = layout, replace_particles(self._built[1], self.meshes, layout)
            self._changes += 1
        return self._built[1]

    def image(self, parameters: torch.Tensor, layout: Layout, *, seed: int) -> torch.Tensor:
        """float32 [h, w]: linear, unclamped radiance of `layout`, differentiable in `parameters`.

        `parameters` are physical values [n_parameters] in the order of `material.parameters`, on any device, and the
        image comes back on theirs; `noise_sigma` has no effect. `seed` chooses the Monte Carlo samples.
        """
        self._require_parameters(parameters)
        built = self.scene(layout)
        keys = [(i, key) for i, name in enumerate(self.material.parameters) for key in SCENE_KEYS.get(name, ())]

        @dr.wrap(source="torch", target="drjit")
        def render(values):
            for i, key in keys:
                built.params[key] = dr.gather(mi.Float, values.array, i)
            built.params.update()
            # The backward pass draws other samples (`gradient_seed`): with the same ones, the product of the loss's
            # derivative and the image's would be biased.
            return mi.render(built.scene, built.params, spp=self.spp, seed=seed, seed_grad=gradient_seed(seed))

        # dr.wrap treats an nn.Parameter as opaque; the product is a plain tensor with the same gradient.
        image = render((parameters * 1.0).to(DEVICE))[..., 0].to(parameters.device)
        self._changes += 1
        if image.requires_grad:
            image.register_hook(partial(self._require_latest, self._changes))
        return spread(image, blur_std_px(self.material.scene))

    def _require_parameters(self, parameters: torch.Tensor) -> None:
        names = self.material.parameters
        if parameters.shape != (len(names),):
            raise ValueError(f"expected one value for each of {names}, got shape {tuple(parameters.shape)}")

    def _require_latest(self, number: int, _gradient: torch.Tensor) -> None:
        """Mitsuba renders the scene again for the derivative, so it must still be that of the image."""
        if number != self._changes:
            raise RuntimeError(
                "expected backward before the next image or layout, but the scene holds another one by now; call it "
                "after each image"
            )

    def instance_ids(self, layout: Layout) -> np.ndarray:
        """uint16 [h, w]: the particle (k + 1 for layout entry k) that each pixel's centre ray hits, 0 elsewhere."""
        built, size = self.scene(layout), self.material.scene.size_px
        index = dr.arange(mi.UInt32, size * size)
        centre = mi.Point2f(mi.Float(index % size) + 0.5, mi.Float(index // size) + 0.5) / size
        ray, _ = built.scene.sensors()[0].sample_ray(0.0, 0.5, centre, mi.Point2f(0.5))
        ids = built.owner(built.scene.ray_intersect_preliminary(ray, coherent=True))
        return np.array(ids).reshape(size, size).astype(np.uint16)
