"""Traces the basis images of a layout: one pass of rays, and every term's BSDF evaluated on the same hits.

The pass draws exactly the samples that Mitsuba's `direct` integrator draws with the same seed, so that the weighted sum
of the basis equals Mitsuba's image up to float rounding (tests/scene/test_transport.py).
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from drgan_lib.config import Material
from drgan_lib.errors import DrganError
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.build import OPTIONAL, PARTICLE_BSDF, SCENE_KEYS, STAGE_BSDF, BuiltScene, bsdf_dicts, uniform
from drgan_lib.scene.film import Fragments, add_up
from drgan_lib.scene.terms import Terms

LIGHTS = ("torus_radiance", "top_radiance")


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
    integrator = " ".join(str(built.scene.integrator()).split())
    if integrator != "DirectIntegrator[ emitter_samples = 1, bsdf_samples = 0 ]":
        reasons.append(
            f"light must come directly from the lights, sampled there only, but its integrator is {integrator}"
        )
    for key in built.params.keys():  # noqa: SIM118  (no iterator)
        if key.endswith(("vertex_positions", "vertex_normals", "to_world")) and dr.grad_enabled(built.params[key]):
            reasons.append(f"its geometry must be fixed, but {key} is being learned")
        if key.endswith((".spec_trans.value", ".anisotropic.value")) and dr.any(mi.Float(built.params[key]) != 0):
            reasons.append(f"{key} must be 0, since the image is not linear in what it does")
    for shape in built.scene.shapes():
        if not shape.is_emitter() and shape.bsdf().class_name() != "Principled":
            reasons.append(f"{shape.id()} must have the principled BSDF, but has {shape.bsdf().class_name()}")
    if reasons:
        raise TransportError(
            "this scene cannot be precomputed: " + "; ".join(reasons) + ". Change it, or set gan.renderer=mitsuba"
        )


def trace_basis(material: Material, built: BuiltScene, terms: Terms, *, spp: int, seed: int) -> Basis:
    """Renders the basis images of `built` with `spp` samples per pixel; raises `TransportError` if it has none."""
    require_linear(built)
    lights = learned_lights(material)
    for key in (key for name in lights for key in SCENE_KEYS[name]):
        built.params[key] = mi.Float(1)
    built.params.update()
    size = material.scene.size_px
    hits = _trace(built, size=size, spp=spp, seed=seed, apart=bool(lights))

    bsdfs = bsdf_dicts(material)
    black = {key: value for key, value in bsdfs[PARTICLE_BSDF].items() if key not in OPTIONAL}
    black["base_color"] = uniform(0)
    particle_bsdfs = [mi.load_dict({**black, **_as_dict(setting)}, optimize=False) for setting in terms.settings]
    support_bsdfs = [mi.load_dict({**bsdfs[STAGE_BSDF], "base_color": uniform(c)}, optimize=False) for c in (0, 1)]

    n_lights = max(1, len(lights))
    support = torch.zeros(n_lights, 2, size * size, device=hits.total.device)
    part = hits.fragments(support_bsdfs, hits.owner == 0)
    support[part.owner, :, part.pixel] = part.values.T
    part = hits.fragments(particle_bsdfs, hits.owner > 0)
    particle, light = part.owner // n_lights, part.owner % n_lights
    return Basis(part.pixel.int(), particle.short(), light.byte(), part.values, support)


@dataclass(frozen=True)
class _Hits:
    """Samples that see a light: directions in the local frame, light that comes in, and whom they belong to."""

    total: Tensor  # [h w]: how many samples lie in each pixel, lit or not
    pixel: Tensor  # [m]: that of each lit one
    owner: Tensor  # [m]: 0 for the support, k + 1 for particle k
    light: Tensor  # [m]
    n_lights: int
    incoming: mi.Float
    wi: mi.Vector3f
    wo: mi.Vector3f

    def fragments(self, bsdfs: list[mi.BSDF], which: Tensor) -> Fragments:
        """What `bsdfs` reflect at the samples `which`; particle k and light l have the owner k n_lights + l."""
        chosen = which.nonzero()[:, 0]
        owner = (self.owner[chosen] - 1).clamp_min(0) * self.n_lights + self.light[chosen]
        return add_up(
            lambda some: self._radiance(bsdfs, chosen[some]), self.pixel[chosen], owner, self.total, n_images=len(bsdfs)
        )

    def _radiance(self, bsdfs: list[mi.BSDF], chosen: Tensor) -> Tensor:
        """Radiance [len(bsdfs), m] that each BSDF reflects at the samples `chosen` [m]."""
        index = mi.UInt32(chosen.int())
        si = dr.zeros(mi.SurfaceInteraction3f, len(chosen))
        si.wi = dr.gather(mi.Vector3f, self.wi, index)
        wo, incoming = dr.gather(mi.Vector3f, self.wo, index), dr.gather(mi.Float, self.incoming, index)
        context = mi.BSDFContext()
        # Each BSDF is a known object, so that its code is inlined: one kernel without virtual calls for all of them.
        values = [(bsdf.eval(context, si, wo) * incoming)[0] for bsdf in bsdfs]
        dr.eval(values)
        return torch.stack([value.torch() for value in values])


def _trace(built: BuiltScene, *, size: int, spp: int, seed: int, apart: bool) -> _Hits:
    """The samples of `mi.render(..., integrator=direct, spp=spp, seed=seed)`, up to the BSDF."""
    scene, sensor = built.scene, built.scene.sensors()[0]
    sampler = sensor.sampler().clone()
    sampler.set_sample_count(spp)
    spp = sampler.sample_count()
    sampler.set_samples_per_wavefront(spp)
    sampler.seed(seed, size * size * spp)
    index = dr.arange(mi.UInt32, size * size * spp) // spp
    position = mi.Vector2f(index % size, index // size) + sampler.next_2d()
    ray, _ = sensor.sample_ray(0.0, 0.5, position / size, mi.Point2f(0.5))
    si = scene.ray_intersect(ray, mi.RayFlags.All, True)
    if dr.any(si.is_valid() & si.shape.is_emitter()):
        raise TransportError(
            "this scene cannot be precomputed: the camera sees a light. Lower scene.fov_deg or raise "
            "scene.stage_half_extent, or set gan.renderer=mitsuba"
        )
    found, radiance = scene.sample_emitter_direction(si, sampler.next_2d(si.is_valid()), True, si.is_valid())
    wi, wo, incoming, owner = si.wi, si.to_local(found.d), radiance[0], built.owner(si)
    light = dr.zeros(mi.UInt32, len(index))
    if apart:
        above = next(emitter for emitter in scene.emitters() if emitter.get_shape().id() == "top_light")
        light = dr.select(found.emitter == mi.EmitterPtr(above), mi.UInt32(1), light)
    # A sample at the very end of its pixel may be rounded into the next one, or out of the image.
    column, row = mi.UInt32(position.x), mi.UInt32(position.y)
    pixel, inside = row * size + column, (column < size) & (row < size)
    dr.eval(pixel, inside, wi, wo, incoming, owner, light)
    lit = dr.compress((incoming > 0) & si.is_valid() & inside)
    return _Hits(
        total=torch.bincount(dr.gather(mi.UInt32, pixel, dr.compress(inside)).torch().long(), minlength=size * size),
        pixel=dr.gather(mi.UInt32, pixel, lit).torch().long(),
        owner=dr.gather(mi.UInt32, owner, lit).torch().long(),
        light=dr.gather(mi.UInt32, light, lit).torch().long(),
        n_lights=2 if apart else 1,
        incoming=dr.gather(mi.Float, incoming, lit),
        wi=dr.gather(mi.Vector3f, wi, lit),
        wo=dr.gather(mi.Vector3f, wo, lit),
    )


def _as_dict(setting: dict[str, float]) -> dict:
    """Mitsuba's description of a term's setting; the specular level is a number, the rest are textures."""
    return {key: value if key == "specular" else uniform(value) for key, value in setting.items()}
