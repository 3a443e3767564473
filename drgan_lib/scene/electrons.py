"""Secondary electrons: the image as a weighted sum of images of the geometry alone (`gan.appearance=sem`).

What a place sends to the detector is the sum of these terms, whose weights are learned, in units of full white. c is
the cosine between the surface's normal and the beam, d the median size of the particles.

- `flat`: 1, the level of a particle.
- `tilt`: more electrons escape where the beam grazes. From a straight track of `sharpness` k escape depths that loses
  energy evenly, f(c) = (1 - exp(-k c)) / (k c) escapes (Joy, J. Microsc. 147, 51, 1987). The image is f, scaled from 0
  face-on to 1 at grazing, at knots of k with a spline between them, as for the roughness in `terms`.
- `edge_fine`, `edge_coarse`: electrons leave through walls nearby, too: 1 - exp(-8 u / d) for a place that lies u above
  the Gaussian mean of its neighbourhood (as in Gwyddion; Necas and Klapetek, Cent. Eur. J. Phys. 10, 181, 2012).
  Of the electrons of `tilt`, `edge_fine` and `edge_coarse`, those that other particles catch are lost: rims are dark
  where particles meet.
- `sky`: V + `detector` . M. V is the part of the electrons, leaving with a cosine distribution, that no particle and no
  support catches; the first moments M of their directions make it the view of a detector to one side.
- `elevation`: the height above the support, over d.
- `thickness`: 1 - exp(-t / d) of the way t through the particle, which the beam crosses if it is small.

The support has a level, `stage_flat`, and `stage_sky`: shadows, and the darkening under particles.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Self

import numpy as np
import torch
from torch import Tensor

from drgan_lib.config import SEM_PARTICLE_PARAMETERS, Material
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.basis import Basis
from drgan_lib.scene.build import BuiltScene
from drgan_lib.scene.detector import spread
from drgan_lib.scene.film import add_up
from drgan_lib.scene.layout import size_distribution
from drgan_lib.scene.spline import LogSpline

KNOT_SPACING = 1.3  # in ln(sharpness); holds half a per cent of white, see tests/scene/test_electrons.py
EDGES_PX = (1.0, 4.0)  # standard deviations of the neighbourhoods of edges
EDGES_PER_SIZE = 8
ACROSS = 4  # rays across a pixel, and down, at most
DIRECTIONS = 4  # from each ray to the sky, at most; nothing else has grain, and this is smoothed within a particle


@dataclass(frozen=True)
class Electrons:
    """The images of a material, and their weights: what `Terms` is to the principled BSDF."""

    spline: LogSpline  # of the sharpness
    size: float  # d, in scene units

    own = SEM_PARTICLE_PARAMETERS  # which a particle may have a value of its own for

    @classmethod
    def of(cls, material: Material) -> Self:
        """The images that the material's parameters weigh."""
        return cls(LogSpline(*material.bounds["sharpness"], KNOT_SPACING), float(size_distribution(material).median))

    @property
    def knots(self) -> np.ndarray:
        """float64 [k]: sharpnesses at which the tilt is imaged."""
        return self.spline.knots

    @cached_property
    def settings(self) -> list[dict[str, float]]:
        """What each image of the particles shows, in the order of `weights`."""
        single = ("flat", "elevation", "thickness", "sky", "sky, to the right", "sky, downwards")
        tilts, edges = [{"tilt, sharpness": float(k)} for k in self.knots], [{"edge, px": std} for std in EDGES_PX]
        return [*({name: 1.0} for name in single), *tilts, *edges]

    def weights(self, values: dict[str, Tensor]) -> Tensor:
        """float32 [n_images, ...] of learned values [...]: the particles' image is the weighted sum of the basis."""
        single = torch.stack([values[name] for name in ("flat", "elevation", "thickness")])
        tilt = values["tilt"] * self.spline.weights(values["sharpness"])
        edges = torch.stack([values["edge_fine"], values["edge_coarse"]])
        return torch.cat([single, values["sky"] * _detector(values), tilt, edges]).float()

    def of_support(self, values: dict[str, Tensor]) -> Tensor:
        """float32 [4, ...] of learned values [...]: how much of each image of the support."""
        return torch.cat([values["stage_flat"][None], values["stage_sky"] * _detector(values)]).float()

    def support_images(self, stage: Tensor) -> dict[str, Tensor]:
        """What chapter 02 shows of the support's images [4, n]."""
        return dict(zip(("support", "its sky", "to the right", "downwards"), stage, strict=True))


def _detector(values: dict[str, Tensor]) -> Tensor:
    """[3, ...]: how much the sky counts, and each of its moments."""
    return torch.stack([torch.ones_like(values["sky"]), values["detector_x"], values["detector_z"]])


def tilt_yield(cosine: Tensor, sharpness: float) -> Tensor:
    """The image of the tilt, from 0 to 1, of cosines [...]."""
    paths = torch.tensor(sharpness), sharpness * cosine.clamp(1e-6, 1)
    face_on, here = (-torch.expm1(-path) / path for path in paths)
    return (here - face_on) / (1 - face_on)


def edge_yield(height: Tensor, std: float) -> Tensor:
    """The image of edges, from 0 to 1, of heights [h, w] over d; `std` is that of the neighbourhood, in its pixels."""
    return -torch.expm1(-EDGES_PER_SIZE * (height - spread(height, std)).clamp_min(0))


def smoothed(images: Tensor, owner: Tensor, step: int) -> Tensor:
    """`images` [n, h, w], each place the mean over the 3 x 3 around it, `step` apart, of the same `owner` [h, w]."""
    (h, w), steps = owner.shape, (0, step, 2 * step)
    around, owners = (torch.nn.functional.pad(x, (step,) * 4, value=-1) for x in (images, owner))
    total, count = torch.zeros_like(images), torch.zeros(h, w, device=images.device)
    for row, column in product(steps, steps):
        same = (owners[row : row + h, column : column + w] == owner).float()
        total.addcmul_(around[:, row : row + h, column : column + w], same)
        count += same
    return total / count


def trace_electrons(material: Material, built: BuiltScene, terms: Electrons, *, spp: int, seed: int) -> Basis:
    """The images of `built`, from a grid of rays in each pixel and directions from each of these to the sky.

    A pixel has about `spp` directions, of which there are no more than 64; `seed` chooses them.
    """
    size, across = material.scene.size_px, min(ACROSS, math.isqrt(spp))
    n_rays = across**2
    index = dr.arange(mi.UInt32, size * size * n_rays)
    pixel, column, row = index // n_rays, index % across, index // across % across
    # The grid is slightly turned, so that no two rays of a pixel are in line with its sides.
    within = mi.Point2f(column + (row + 0.5) / across, row + (column + 0.5) / across) / across
    place = (mi.Point2f(pixel % size, pixel // size) + within) / size
    ray, _ = built.scene.sensors()[0].sample_ray(0.0, 0.5, place, mi.Point2f(0.5))
    hit = built.scene.ray_intersect(ray)
    owner = built.owner(hit)
    dr.eval(hit, owner)

    height = ((hit.p.y - material.scene.stage_y) / terms.size).torch()
    thickness = -torch.expm1(-_through(built, hit, ray.d, owner).torch() / terms.size)
    means = _sky(built, hit, n_rays, min(DIRECTIONS, spp // n_rays), seed=seed)
    owner = owner.torch().long()

    def as_grid(rays: Tensor) -> Tensor:
        tiles = rays.view(-1, size, size, across, across).transpose(2, 3)
        return tiles.reshape(-1, size * across, size * across)

    def as_rays(grid: Tensor) -> Tensor:
        return grid.view(-1, size, across, size, across).transpose(2, 3).flatten(1)

    means = smoothed(as_grid(torch.stack([mean.torch() for mean in means])), as_grid(owner)[0], across)
    *sky, caught = as_rays(means)
    ones = torch.ones_like(height)
    left = 1 - 2 * caught / (1 + hit.sh_frame.n.y.torch())  # of what would leave the particle if it were alone
    tilts = [left * tilt_yield(hit.wi.z.torch(), float(sharpness)) for sharpness in terms.knots]
    edges = [left * as_rays(edge_yield(as_grid(height)[0], std * across))[0] for std in EDGES_PX]
    images = torch.stack([ones, height, thickness, *sky, *tilts, *edges])

    on_particles = torch.nonzero(owner)[:, 0]
    found = add_up(
        lambda some: images[:, on_particles[some]],
        on_particles // n_rays,
        owner[on_particles] - 1,
        n_rays,
        n_images=len(images),
    )
    stage = (torch.stack([ones, *sky]) * (owner == 0)).view(1, 4, size * size, n_rays).mean(dim=-1)
    no_light = torch.zeros_like(found.pixel).byte()
    return Basis(found.pixel.int(), found.owner.short(), no_light, found.values, stage)


def _sky(built: BuiltScene, hit: mi.SurfaceInteraction3f, n_rays: int, n: int, *, seed: int) -> list[mi.Float]:
    """V, M to the right (x) and downwards (z), and what particles catch, for each of the hits of `n_rays` per pixel.

    The `n` directions of each are drawn as electrons leave, by the cosine, so that these are plain means.
    """
    sampler = built.scene.sensors()[0].sampler().clone()
    sampler.set_sample_count(n_rays)
    sampler.set_samples_per_wavefront(n_rays)
    sampler.seed(seed, dr.width(hit.p))
    means = [mi.Float(0)] * 4
    for _ in range(n):
        direction = hit.sh_frame.to_world(mi.warp.square_to_cosine_hemisphere(sampler.next_2d()))
        upwards = direction.y > 0
        caught = upwards & built.scene.ray_test(hit.spawn_ray(direction), upwards)
        seen = upwards & ~caught
        parts = (seen, 1), (seen, direction.x), (seen, direction.z), (caught, 1)
        means = [mean + dr.select(where, part / n, 0) for mean, (where, part) in zip(means, parts, strict=True)]
        dr.eval(means)
    return means


def _through(built: BuiltScene, hit: mi.SurfaceInteraction3f, beam: mi.Vector3f, owner: mi.UInt32) -> mi.Float:
    """How far each ray runs from where it hits a particle to where it leaves it, neighbours grown into it included."""
    at, end, inside = hit, mi.Point3f(hit.p), owner > 0
    while dr.any(inside):
        at = built.scene.ray_intersect(at.spawn_ray(beam), mi.RayFlags.Minimal, False, inside)
        inside &= at.is_valid()
        end = dr.select(inside, at.p, end)
        inside &= (built.owner(at) != owner) | (dr.dot(at.n, beam) < 0)
        dr.eval(at, end, inside)
    return dr.norm(end - hit.p)
