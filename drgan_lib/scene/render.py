"""From parameters to image, differentiably, and from layout to instance ids, exactly."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
import torch
import trimesh

from drgan_lib.config import Material
from drgan_lib.scene.backend import VARIANT, dr, mi
from drgan_lib.scene.build import SCENE_KEYS, BuiltScene, SceneError, build_scene, replace_particles
from drgan_lib.scene.detector import blur_std_px, spread
from drgan_lib.scene.ground import Ground
from drgan_lib.scene.layout import Layout
from drgan_lib.scene.lights import LIGHTS
from drgan_lib.scene.trace import trace
from drgan_lib.scene.uneven import across, brightness, facets, skin, skin_powers

TRACED_ON = "cuda" if VARIANT.startswith("cuda") else "cpu"


class Renderer:
    """Renders layouts of one material with Mitsuba, on `cuda_ad_mono` or `llvm_ad_mono`.

    `ground` is what the support looks like; None leaves it flat.
    """

    variant = VARIANT
    appearances = ("principled",)

    def __init__(self, material: Material, meshes: list[trimesh.Trimesh], *, spp: int, ground: Ground | None = None):
        if material.appearance not in self.appearances:
            raise SceneError(
                f"gan.appearance={material.appearance} is no BSDF that Mitsuba can render; use a TransportRenderer, or "
                "set gan.appearance=principled"
            )
        self.material, self.meshes, self.spp, self.ground = material, meshes, spp, ground
        self._built: tuple[Layout, BuiltScene] | None = None
        self._changes = 0  # of the scene or its parameters

    def __getstate__(self) -> dict[str, Any]:
        """All but what is made on use, so that a worker can have it."""
        return vars(self) | {"_built": None}

    def prepare(
        self, layouts: Sequence[Layout], *, executor: Executor | None = None, log: Callable[[str], None] = print
    ) -> None:
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
        image comes back on theirs; `noise_sigma` has no effect. `seed` chooses the Monte Carlo samples, the
        ground, and what is uneven about particles (`drgan_lib.scene.uneven`).
        """
        self._require_parameters(parameters)
        built, settings, names = self.scene(layout), self.material.scene, self.material.parameters
        size, keys = settings.size_px, [(i, key) for i, name in enumerate(names) for key in SCENE_KEYS.get(name, ())]

        @dr.wrap(source="torch", target="drjit")
        def render(values, of_particle, powers, of_pixel, lines):
            for i, key in keys:
                built.params[key] = dr.gather(mi.Float, values.array, i)
            built.params.update()
            radiances = [
                dr.gather(mi.Float, values.array, names.index(name)) if name in names else getattr(settings, name)
                for name in LIGHTS
            ]
            paths, spp = trace(built, size=size, spp=self.spp, seed=seed, radiances=radiances)
            stage, particles = (mi.BSDFPtr(built.shape(name).bsdf()) for name in ("stage", "particles"))
            radiance = paths.reflected(dr.select(paths.owner > 0, particles, stage), paths.incoming > 0)
            particle = dr.select(paths.owner > 0, paths.owner - 1, 0)
            line = [dr.gather(mi.Float, lines.array, 5 * particle + k) for k in range(5)]
            own = across(line, mi.Float(paths.pixel // size), mi.Float(paths.pixel % size), library=dr)
            own *= dr.gather(mi.Float, of_particle.array, particle)
            own *= dr.gather(mi.Float, of_pixel.array, paths.pixel) ** dr.gather(mi.Float, powers.array, particle)
            radiance *= dr.select(paths.owner > 0, own, 1)
            if self.ground is not None:
                factor = mi.Float(self.ground.draw([seed]).flatten().to(TRACED_ON))
                radiance *= dr.select(paths.owner > 0, 1, dr.gather(mi.Float, factor, paths.pixel))
            return mi.TensorXf(dr.block_sum(radiance, spp) / spp, (size, size))

        # dr.wrap treats an nn.Parameter as opaque; the product is a plain tensor with the same gradient.
        values = (parameters * 1.0).to(TRACED_ON)
        drawn = self.material, values[None]
        (of_particle,), (lines,) = (draw(*drawn, [layout], seeds=[seed]) for draw in (brightness, facets))
        (powers,) = skin_powers(self.material, [layout], seeds=[seed], like=values)
        image = render(values, of_particle, powers, skin(*drawn, seeds=[seed]), lines).to(parameters.device)
        self._changes += 1
        if image.requires_grad:
            image.register_hook(partial(self._require_latest, self._changes))
        return spread(image, blur_std_px(settings))

    def images(self, parameters: torch.Tensor, layouts: Sequence[Layout], *, seeds: Sequence[int]) -> torch.Tensor:
        """float32 [b, h, w]: the `image` of each layout with its row of parameters [b, n_parameters].

        Derivatives can be had of one image at a time.
        """
        rows = zip(parameters, layouts, seeds, strict=True)
        return torch.stack([self.image(row, layout, seed=seed) for row, layout, seed in rows])

    def _require_parameters(self, parameters: torch.Tensor) -> None:
        names = self.material.parameters
        if parameters.shape != (len(names),):
            raise ValueError(f"expected one value for each of {names}, got shape {tuple(parameters.shape)}")

    def _require_latest(self, number: int, _gradient: torch.Tensor) -> None:
        """The derivative is taken of the BSDFs as they are then, so they must still be those of the image."""
        if number != self._changes:
            raise RuntimeError(
                "expected backward before the next image or layout, but the scene holds another one by now; call it "
                "after each image"
            )

    def instance_ids(self, layout: Layout) -> np.ndarray:
        """uint16 [h, w]: the particle (k + 1 for layout entry k) that each pixel's centre ray hits, 0 elsewhere."""
        built, size = self.scene(layout), self.material.scene.size_px
        ids = built.owner(built.scene.ray_intersect_preliminary(built.centre_rays(size), coherent=True))
        return np.array(ids).reshape(size, size).astype(np.uint16)
