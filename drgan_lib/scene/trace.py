"""Light paths: from the camera to a surface, from there to a place on a light; and what a BSDF reflects along them.

Both renderers draw the same paths with the same seed, so that the weighted sum of basis images equals the render with
automatic differentiation up to float rounding (tests/scene/test_transport.py). Paths end at the first surface: all
light is direct. A pixel's own paths are its only ones, as with Mitsuba's film filter `box`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.build import BuiltScene


@dataclass(frozen=True)
class Paths:
    """Light paths, with directions in the local frame of the surface."""

    pixel: mi.UInt32
    owner: mi.UInt32  # 0 for the support, k + 1 for particle k
    light: mi.UInt32  # index in LIGHTS
    incoming: mi.Float  # radiance over probability density; 0 where no light arrives
    wi: mi.Vector3f
    wo: mi.Vector3f

    def __getitem__(self, index: mi.UInt32) -> Self:
        """The paths of these numbers."""
        values = (getattr(self, field.name) for field in fields(self))
        return Paths(*(dr.gather(type(value), value, index) for value in values))

    def reflected(self, bsdf: mi.BSDF | mi.BSDFPtr, active: mi.Bool | bool = True) -> mi.Float:
        """Radiance that a BSDF, or one for each path, sends along the paths to the camera; 0 where not `active`."""
        si = dr.zeros(mi.SurfaceInteraction3f, dr.width(self.wo))
        si.wi = self.wi
        return (bsdf.eval(mi.BSDFContext(), si, self.wo, active) * self.incoming)[0]


def trace(
    built: BuiltScene, *, size: int, spp: int, seed: int, radiances: Sequence[mi.Float | float]
) -> tuple[Paths, int]:
    """Paths of all pixels, in their order, and how many each pixel has: `spp`, or as many more as the sampler needs.

    `radiances` are those of `LIGHTS`.
    """
    sensor = built.scene.sensors()[0]
    sampler = sensor.sampler().clone()
    sampler.set_sample_count(spp)
    spp = sampler.sample_count()
    sampler.set_samples_per_wavefront(spp)
    sampler.seed(seed, size * size * spp)
    pixel = dr.arange(mi.UInt32, size * size * spp) // spp
    position = mi.Vector2f(pixel % size, pixel // size) + sampler.next_2d()
    ray, _ = sensor.sample_ray(0.0, 0.5, position / size, mi.Point2f(0.5))
    si = built.scene.ray_intersect(ray, mi.RayFlags.All, True)
    found = built.lights.sample(si, sampler.next_2d(), si.is_valid())
    wo = si.to_local(found.direction)
    reached = (found.weight > 0) & (wo.z > 0)
    reached &= ~built.scene.ray_test(si.spawn_ray_to(found.point), reached)
    ring, top = map(mi.Float, radiances)
    incoming = dr.select(reached, found.weight * dr.select(found.light == 0, ring, top), 0)
    return Paths(pixel, built.owner(si), found.light, incoming, si.wi, wo), spp
