"""Shapes of the particles: one section per kind, chosen by `shape`.

A mesh has unit size and lies as it would on the support, y up (see `drgan_lib.scene.meshes`); ranges are drawn from
uniformly, a new value for each of the `count` meshes. Rods and wires have unit diameter, the others unit equivalent
diameter. Of rods and wires, `aspect` is length over diameter and `sides` the number of side faces: up to 8 prisms,
above that round. Their axis turns by `bend_deg`, less where the particle is so short that it would be bent more sharply
than to a radius of one diameter.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from drgan_lib.config.base import IntRange, Range, Section, ordered


class ShapeSettings(Section):
    """`count` different meshes from one `seed`; or, whatever the shape, the mesh files of the folder `path`."""

    path: Path | None = Field(None, description="folder of mesh files to use instead, in the unit size of `shape`")
    count: int = Field(40, ge=1)
    max_triangles: int = Field(1300, ge=12, le=5000, description="triangle budget of one mesh")
    seed: int = Field(0, ge=0)


class CubeSettings(ShapeSettings):
    """Cubes, deformed by their corners, blended with a sphere by `roundness`, and smoothed."""

    shape: Literal["cube"] = "cube"
    deformation: float = Field(0.3, ge=0, le=1)
    roundness: float = Field(0.65, ge=0, le=1)


class SphereSettings(ShapeSettings):
    """Spheres, made slightly uneven by `deformation`, the standard deviation of ln(radius)."""

    shape: Literal["sphere"] = "sphere"
    deformation: float = Field(0.02, ge=0, le=0.3)


class EllipsoidSettings(ShapeSettings):
    """Ellipsoids; `aspect` is the longest over the shortest axis, the middle one lies between."""

    shape: Literal["ellipsoid"] = "ellipsoid"
    aspect: Annotated[Range, ordered(1)] = (1.2, 2.0)


class RodSettings(ShapeSettings):
    """Cylinders, or prisms as of ZnO, with caps: `cap` 0 is flat and 1 a half sphere."""

    shape: Literal["rod"] = "rod"
    aspect: Annotated[Range, ordered(1)] = (3.0, 6.0)
    cap: Annotated[Range, ordered(0, 1)] = (0.3, 1.0)
    bend_deg: Annotated[Range, ordered(0, 180)] = (0.0, 0.0)
    sides: int = Field(24, ge=3, le=64)


class WireSettings(ShapeSettings):
    """Wires, their ends thinner by `taper`; five sides make the prisms that silver grows to."""

    shape: Literal["wire"] = "wire"
    aspect: Annotated[Range, ordered(2)] = (15.0, 40.0)
    taper: Annotated[Range, ordered(0, 0.95)] = (0.0, 0.4)
    bend_deg: Annotated[Range, ordered(0, 180)] = (0.0, 60.0)
    sides: int = Field(12, ge=3, le=64)


class OctahedronSettings(ShapeSettings):
    """Wulff-like polyhedra: octahedra with cut tips, `truncation` 0 being whole and 1 a cuboctahedron."""

    shape: Literal["octahedron"] = "octahedron"
    truncation: Annotated[Range, ordered(0, 1)] = (0.2, 0.8)
    deformation: float = Field(0.05, ge=0, le=0.3, description="relative spread of the facets' distances")


class PlateletSettings(ShapeSettings):
    """Flat, slightly uneven prisms: `aspect` is width over thickness, `sides` the range of their corners' number.

    `roundness` 0 is a rim with sharp edges, 1 a half-round one.
    """

    shape: Literal["platelet"] = "platelet"
    aspect: Annotated[Range, ordered(1)] = (4.0, 8.0)
    sides: Annotated[IntRange, ordered(3, 12)] = (3, 6)
    roundness: float = Field(0.3, ge=0, le=1)


CompactSettings = CubeSettings | SphereSettings | EllipsoidSettings | OctahedronSettings | PlateletSettings
MeshSettings = Annotated[CompactSettings | RodSettings | WireSettings, Field(discriminator="shape")]
ELONGATED = ("rod", "wire")  # their size is the diameter of the cross-section
SHAPES = ("cube", "sphere", "ellipsoid", "rod", "wire", "octahedron", "platelet")
