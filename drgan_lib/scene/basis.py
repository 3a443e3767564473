"""The basis images of a layout: one pass of light paths, and every term's BSDF evaluated along the same ones."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from drgan_lib.config import Material
from drgan_lib.errors import DrganError
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.build import OPTIONAL, PARTICLE_BSDF, STAGE_BSDF, BuiltScene, bsdf_dicts, uniform
from drgan_lib.scene.film import Fragments, add_up
from drgan_lib.scene.lights import LIGHTS
from drgan_lib.scene.terms import Terms
from drgan_lib.scene.trace import Paths, trace


class TransportError(DrganError, ValueError):
    """A scene whose image is no weighted sum of basis images; the message says why and what to do."""


@dataclass(frozen=True)
class Basis:
    """The light transport of one layout, split by what the image is linear in.

    `particles` float32 [n_images, f] are the terms of `Terms.settings` on f fragments: `pixel` int32, `particle` int16
    (index in the layout) and `light` uint8 (index in `learned_lights`). `stage` float32 [n_lights, 2, h w] is the
    support with black and with white base color. Where no light is learned, n_lights is 1 and holds both.
    """

    pixel: Tensor
    particle: Tensor
    light: Tensor
    particles: Tensor
    stage: Tensor

    def to(self, device: str | torch.device) -> Self:
        """The basis on another device."""
        return Basis(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    @property
    def n_bytes(self) -> int:
        """Memory that the basis takes."""
        return sum(tensor.nbytes for tensor in vars(self).values())


def learned_lights(material: Material) -> tuple[str, ...]:
    """The lights that the basis keeps apart: both as soon as one radiance is learned, else none."""
    return LIGHTS if any(name in material.bounds for name in LIGHTS) else ()


def require_linear(built: BuiltScene) -> None:
    """Raises `TransportError` for a scene that breaks the conditions of precomputed transport."""
    reasons = []
    for key in built.params.keys():  # noqa: SIM118  (no iterator)
        if key.endswith(("vertex_positions", "vertex_normals", "to_world")) and dr.grad_enabled(built.params[key]):
            reasons.append(f"its geometry must be fixed, but {key} is being learned")
        if key.endswith((".spec_trans.value", ".anisotropic.value")) and dr.any(mi.Float(built.params[key]) != 0):
            reasons.append(f"{key} must be 0, since the image is not linear in what it does")
    for shape in built.scene.shapes():
        if shape.bsdf().class_name() != "Principled":
            reasons.append(f"{shape.id()} must have the principled BSDF, but has {shape.bsdf().class_name()}")
    if reasons:
        raise TransportError(
            "this scene cannot be precomputed: " + "; ".join(reasons) + ". Change it, or set gan.renderer=mitsuba"
        )


def trace_basis(material: Material, built: BuiltScene, terms: Terms, *, spp: int, seed: int) -> Basis:
    """Renders the basis images of `built` with `spp` samples per pixel; raises `TransportError` if it has none."""
    require_linear(built)
    lights = learned_lights(material)
    radiances = [1.0 if lights else getattr(material.scene, name) for name in LIGHTS]
    size, n_lights = material.scene.size_px, max(1, len(lights))
    paths, spp = trace(built, size=size, spp=spp, seed=seed, radiances=radiances)
    dr.eval(paths)

    bsdfs = bsdf_dicts(material)
    black = {key: value for key, value in bsdfs[PARTICLE_BSDF].items() if key not in OPTIONAL}
    black["base_color"] = uniform(0)
    particle_bsdfs = [mi.load_dict({**black, **_as_dict(setting)}, optimize=False) for setting in terms.settings]
    support_bsdfs = [mi.load_dict({**bsdfs[STAGE_BSDF], "base_color": uniform(c)}, optimize=False) for c in (0, 1)]

    on_support, on_particles = (
        _fragments(paths[dr.compress((paths.incoming > 0) & here)], chosen, n_lights, spp)
        for here, chosen in ((paths.owner == 0, support_bsdfs), (paths.owner > 0, particle_bsdfs))
    )
    support = torch.zeros(n_lights, 2, size * size, device=on_support.pixel.device)
    support[on_support.owner, :, on_support.pixel] = on_support.values.T
    particle, light = on_particles.owner // n_lights, on_particles.owner % n_lights
    return Basis(on_particles.pixel.int(), particle.short(), light.byte(), on_particles.values, support)


def _fragments(paths: Paths, bsdfs: list[mi.BSDF], n_lights: int, spp: int) -> Fragments:
    """What each BSDF reflects of `paths`, `spp` a pixel; particle k (or the support, 0) has n_lights owners from
    k n_lights on, one for each light."""

    def radiances(some: Tensor) -> list[Tensor]:
        chosen = paths[mi.UInt32(some.int())]
        # Each BSDF is a known object, so that its code is inlined: one kernel without virtual calls for all of them.
        values = [chosen.reflected(bsdf) for bsdf in bsdfs]
        dr.eval(values)
        return [value.torch() for value in values]

    pixel, owner, light = (values.torch().long() for values in (paths.pixel, paths.owner, paths.light))
    owner = (owner - 1).clamp_min(0) * n_lights + (light if n_lights > 1 else 0)
    return add_up(radiances, pixel, owner, spp, n_images=len(bsdfs))


def _as_dict(setting: dict[str, float]) -> dict:
    """Mitsuba's description of a term's setting; the specular level is a number, the rest are textures."""
    return {key: value if key == "specular" else uniform(value) for key, value in setting.items()}
