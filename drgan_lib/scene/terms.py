"""The principled BSDF as a weighted sum: which images a material needs, and how much of each a parameter vector takes.

With direct light on fixed geometry the image is a sum over the terms of the BSDF (Burley, Physically based shading at
Disney, 2012), and in monochrome each term is linear in every learned parameter but roughness:

- diffuse and flat diffuse: proportional to the base color, and a polynomial of second degree in the roughness, so that
  three images at any three roughnesses hold it exactly (Lagrange's formula)
- sheen and clearcoat: proportional to their parameters
- specular, tinted specular, metallic: no polynomial in the roughness; images at knots, evenly spaced in ln(roughness),
  and the cubic spline through them, which has a continuous first and second derivative

The specular level is not among them: it acts through the index of refraction in Fresnel's formula, which no finite
sum of images holds.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from drgan_lib.config import DETECTOR_BOUNDS, PARTICLE_PARAMETERS, Material
from drgan_lib.scene.spline import LogSpline

ROUGHNESS = "roughness"
CONSTANT_BELOW = 1e-3**0.5  # Mitsuba's principled BSDF keeps alpha = roughness^2 at 0.001 or more
KNOT_SPACING = 0.2  # in ln(roughness); holds half a per cent of the image's maximum, see tests/scene/test_transport.py
FIXED_ROUGHNESS = 0.5  # of a material that does not learn it, as in `bsdf_dicts`
OPTIONAL_TERMS = ("flatness", "spec_tint", "metallic", "sheen", "clearcoat")


@dataclass(frozen=True)
class Terms:
    """The basis images of a material: settings of the particles' BSDF per image, and the weights of the images."""

    learned: tuple[str, ...]
    low: float  # least and greatest roughness
    high: float

    own = PARTICLE_PARAMETERS  # which a particle may have a value of its own for

    @classmethod
    def of(cls, material: Material) -> Self:
        """The terms that the material's learned parameters can ask for."""
        learned = tuple(name for name in material.parameters if name not in DETECTOR_BOUNDS)
        return cls(learned, *material.bounds.get(ROUGHNESS, (FIXED_ROUGHNESS, FIXED_ROUGHNESS)))

    @cached_property
    def spline(self) -> LogSpline:
        """Through the roughnesses at which the specular terms are rendered."""
        return LogSpline(max(self.low, CONSTANT_BELOW), max(self.high, CONSTANT_BELOW), KNOT_SPACING)

    @property
    def knots(self) -> np.ndarray:
        """float64 [k]: roughnesses at which the specular terms are rendered."""
        return self.spline.knots

    @cached_property
    def nodes(self) -> np.ndarray:
        """float64 [1 or 3]: roughnesses at which the diffuse terms are rendered."""
        return np.array([self.low]) if self.low == self.high else np.linspace(self.low, self.high, 3)

    @cached_property
    def settings(self) -> list[dict[str, float]]:
        """Per basis image what differs from a BSDF that is black, in the order of `weights`."""
        of_roughness = {"lagrange": self.nodes, "spline": self.knots}
        return [
            setting | ({ROUGHNESS: roughness} if kind else {})
            for _, setting, kind, _ in self._table(dict.fromkeys(OPTIONAL_TERMS, 0.0), 0.0)
            for roughness in of_roughness.get(kind, [None])
        ]

    def weights(self, values: dict[str, Tensor]) -> Tensor:
        """float32 [n_images, ...] of learned values [...]: the particles' image is the weighted sum of the basis."""
        base = values["base_color"]
        roughness = values.get(ROUGHNESS, torch.full_like(base, FIXED_ROUGHNESS))
        of_roughness = {"lagrange": self._lagrange(roughness), "spline": self.spline.weights(roughness)}
        optional = {name: values.get(name, torch.zeros_like(base)) for name in OPTIONAL_TERMS}
        table = self._table(optional, base)
        return torch.cat([share * of_roughness[kind] if kind else share[None] for _, _, kind, share in table]).float()

    def of_support(self, values: dict[str, Tensor]) -> Tensor:
        """float32 [2, ...] of learned values [...]: how much of the black and of the white support."""
        white = values["stage_base_color"]
        return torch.stack([1 - white, white])

    def support_images(self, stage: Tensor) -> dict[str, Tensor]:
        """What chapter 02 shows of the support's images [2, n]."""
        return {"support, white less black": stage[1] - stage[0]}

    def _table(self, values: dict[str, Tensor], base: Tensor) -> list[tuple]:
        """(parameter it needs, setting of the BSDF, how it depends on the roughness, share in the sum) of each term."""
        flatness, tint, metallic, sheen, clearcoat = (values[name] for name in OPTIONAL_TERMS)
        diffuse = (1 - metallic) * base
        white = {"base_color": 1.0, "specular": 0.0}
        table = [
            ("base_color", white, "lagrange", diffuse * (1 - flatness)),
            ("flatness", white | {"flatness": 1.0}, "lagrange", diffuse * flatness),
            ("sheen", {"sheen": 1.0, "specular": 0.0}, None, (1 - metallic) * sheen),
            ("clearcoat", {"clearcoat": 1.0, "specular": 0.0}, None, clearcoat),
            ("base_color", {}, "spline", (1 - metallic) * (1 - tint)),
            ("spec_tint", {"spec_tint": 1.0}, "spline", (1 - metallic) * tint),
            ("metallic", {"metallic": 1.0}, "spline", metallic * (1 - base)),
            ("metallic", {"metallic": 1.0, "base_color": 1.0}, "spline", metallic * base),
        ]
        return [term for term in table if term[0] == "base_color" or term[0] in self.learned]

    def _lagrange(self, roughness: Tensor) -> Tensor:
        """[len(nodes), ...]: Lagrange's polynomials through the nodes."""
        x = roughness.double()
        rows = []
        for j, node in enumerate(self.nodes):
            others = np.delete(self.nodes, j)
            rows.append(torch.stack([torch.ones_like(x), *((x - o) / (node - o) for o in others)]).prod(dim=0))
        return torch.stack(rows)
