"""What makes particles of one image, and places on them, differ in brightness for reasons that the scene does not hold.

Charge and the tilt of the lattice differ from particle to particle, less between neighbours; surfaces are uneven below
what meshes show; facets, and twins in a crystal, part a particle into brighter and darker sides along a line that is no
edge of a particle. All factors are drawn from the seed of an image and have mean 0 in their logarithm. Their spreads
are parameters of a material; without them the factors are 1.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drgan_lib.config import Material
from drgan_lib.draws import normal, uniform
from drgan_lib.scene.detector import spread
from drgan_lib.scene.layout import Layout, in_image

# Streams of random numbers; 0 is the detector's noise, 1 dropout, 2 the ground, 4 scan lines.
BRIGHTNESS, SKIN, TURN, SHIFT, STEP, LINE, WHICH, POWER, CHARGE = 3, 5, 6, 7, 8, 9, 10, 11, 12
SKIN_PX, STEP_PX, LINE_PX = 1.5, 0.7, 1.0
ALIKE = 0.7  # as alike as neighbours in micrographs are, see book/appearance.md
FACETED, FARTHEST = 0.4, 0.5  # the share of particles with a line; how far it is from the middle, at most, in radii


def uneven(
    material: Material,
    parameters: Tensor,
    layouts: Sequence[Layout],
    fragments: Sequence[tuple[Tensor, Tensor]],
    *,
    seeds: Sequence[int],
) -> Tensor | float:
    """The factors of all `fragments`, float32 [n]: for each image particle and pixel, int64; 1 if nothing is uneven.

    `parameters` are physical values [b, n_parameters] of b images, with their `layouts` and `seeds`.
    """
    names, size, factors = material.parameters, material.scene.size_px, 1.0

    def of_fragments(rows: Sequence[Tensor], which: int) -> Tensor:
        return torch.cat([row[fragment[which]] for row, fragment in zip(rows, fragments, strict=True)])

    if "brightness_spread" in names:
        factors = of_fragments(brightness(material, parameters, layouts, seeds=seeds), 0)
    if "facet_spread" in names:
        pixel = torch.cat([pixel for _, pixel in fragments])
        lines = of_fragments(facets(material, parameters, layouts, seeds=seeds), 0).T
        factors = factors * across(lines, pixel // size, pixel % size)
    if "skin_spread" in names:
        fields = of_fragments(skin(material, parameters, seeds=seeds).flatten(1), 1)
        factors = factors * fields ** of_fragments(skin_powers(material, layouts, seeds=seeds, like=parameters), 0)
    return factors


def brightness(
    material: Material, parameters: Tensor, layouts: Sequence[Layout], *, seeds: Sequence[int]
) -> list[Tensor]:
    """Factors of the light of each particle, float32 [len(layout)] for each of b layouts, differentiable.

    The logarithms are normal, of the deviation `brightness_spread`, and those of neighbours are alike: each is a sum
    of independent numbers of all particles, with weights that fall with the distance in the image, as a Gaussian of
    `ALIKE` times the distance of two that touch.
    """
    alike = _alike(material, layouts, seeds, BRIGHTNESS, parameters)
    return _of_each((_spread_of("brightness_spread", material, parameters)[:, None] * alike).exp(), layouts)


def charge(material: Material, layouts: Sequence[Layout], *, seeds: Sequence[int], like: Tensor) -> list[Tensor]:
    """How many times as bright charge makes each particle, float32 [len(layout)] for each layout, as `brightness`.

    The deviation of the logarithms is `scene.charge`; the factors are on the device of `like`.
    """
    return _of_each((material.scene.charge * _alike(material, layouts, seeds, CHARGE, like)).exp(), layouts)


def charged(light: Tensor, factors: Tensor, areas: Tensor) -> Tensor:
    """The `light` [n] of fragments of one image with `factors` [n] of `charge`; they cover `areas` [n] of their pixels.

    A factor below 1 leaves that part of the light. One above 1 adds the same everywhere, in units of the mean level, so
    that contrast within the particle stays what it was: of bright particles in micrographs it is no higher than of
    others, and seams in bright heaps are faint (book/appearance.md).
    """
    level = light.sum() / areas.sum().clamp_min(1)
    return light * factors.clamp(max=1) + level * areas * (factors - 1).clamp(min=0)


def skin(material: Material, parameters: Tensor, *, seeds: Sequence[int]) -> Tensor:
    """Factors of the light of particles at each pixel, float32 [b, h, w], differentiable.

    The logarithms are a Gaussian random field that is as smooth as white noise under a Gaussian of `SKIN_PX`, of the
    deviation `skin_spread`.
    """
    deviation, size = _spread_of("skin_spread", material, parameters), material.scene.size_px
    white = _drawn(normal, seeds, size**2, SKIN, parameters).view(-1, size, size)
    field = spread(white, SKIN_PX) * (2 * math.pi**0.5 * SKIN_PX)  # of deviation 1
    return (deviation[:, None, None] * field).exp()


def skin_powers(material: Material, layouts: Sequence[Layout], *, seeds: Sequence[int], like: Tensor) -> list[Tensor]:
    """Powers to which each particle takes the skin, float32 [len(layout)] for each layout, on the device of `like`.

    They are log-normal, of median 1 and the deviation `scene.skin_unlike`.
    """
    drawn = material.scene.skin_unlike * _drawn(normal, seeds, max(map(len, layouts)), POWER, like)
    return _of_each(drawn.exp(), layouts)


def facets(material: Material, parameters: Tensor, layouts: Sequence[Layout], *, seeds: Sequence[int]) -> list[Tensor]:
    """The line across each particle, float32 [len(layout), 5] for each of b layouts, differentiable; see `across`.

    It is straight, in any direction, at most `FARTHEST` radii from the middle. On the share `FACETED` of particles, the
    brightness differs between its sides, and on the line itself, by factors whose logarithms are normal, of the
    deviation `facet_spread`; on the others it does not.
    """
    row, column, radius = _places(material, layouts, parameters.device)
    deviation, longest = _spread_of("facet_spread", material, parameters), row.shape[1]
    turn, shift, which = (_drawn(uniform, seeds, longest, stream, parameters) for stream in (TURN, SHIFT, WHICH))
    strength = deviation[:, None] * (which < FACETED)
    step, line = (strength * _drawn(normal, seeds, longest, stream, parameters) for stream in (STEP, LINE))
    rows, columns = (math.pi * turn).sin(), (math.pi * turn).cos()
    offset = rows * row + columns * column + FARTHEST * (2 * shift - 1) * radius
    lines = torch.stack([rows, columns, offset, step, line], dim=2)
    return _of_each(lines, layouts)


def across(line, row, column, *, library=torch):
    """The factor at places `row`, `column` in px: `line` holds its normal (row, column), offset, and two logarithms.

    The first logarithm is that of one side over the other, the second that of the line itself. Everything may be a
    tensor of PyTorch or, with `library=drjit`, of Dr.Jit.
    """
    to_row, to_column, offset, step, bright = line
    away = to_row * row + to_column * column - offset
    return library.exp(step / 2 * library.tanh(away / STEP_PX) + bright * library.exp(-((away / LINE_PX) ** 2) / 2))


def _alike(material: Material, layouts: Sequence[Layout], seeds: Sequence[int], stream: int, like: Tensor) -> Tensor:
    """float32 [b, n]: a normal number of deviation 1 for each particle, those of neighbours alike."""
    row, column, radius = _places(material, layouts, like.device)
    own = _drawn(normal, seeds, row.shape[1], stream, like)
    squares = (row[:, :, None] - row[:, None]).square() + (column[:, :, None] - column[:, None]).square()
    touching = (radius[:, :, None] + radius[:, None]).clamp_min(1)
    weights = (-squares / (2 * (ALIKE * touching).square())).exp() * (radius > 0)[:, None]
    return (weights @ own[:, :, None])[:, :, 0] / weights.norm(dim=2).clamp_min(1e-9)


def _places(material: Material, layouts: Sequence[Layout], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column and radius of each particle in the image, px, float32 [b, n] each; 0 where layouts have fewer."""
    places = np.zeros((len(layouts), max(map(len, layouts)), 3), np.float32)
    for own, layout in zip(places, layouts, strict=True):
        own[: len(layout), :2] = in_image(layout.transforms[:, :3], material)
        own[: len(layout), 2] = layout.transforms[:, 3] * material.scene_unit_px / 2
    return torch.from_numpy(places).to(device).unbind(dim=2)


def _of_each(values: Tensor, layouts: Sequence[Layout]) -> list[Tensor]:
    """[len(layout), ...] of each layout from [b, n, ...], without what only longer ones have."""
    return [own[: len(layout)] for own, layout in zip(values, layouts, strict=True)]


def _spread_of(name: str, material: Material, parameters: Tensor) -> Tensor:
    """float32 [b]: the parameter `name`, or 0 where the material has none."""
    names = material.parameters
    return parameters[:, names.index(name)] if name in names else parameters.new_zeros(len(parameters))


def _drawn(draw, seeds: Sequence[int], n: int, stream: int, like: Tensor) -> Tensor:
    return draw(torch.tensor(seeds, device=like.device), n, stream=stream)
