"""How many particles, how large, and where; and their shapes, one section per kind, chosen by `shape`.

A mesh has unit size and lies as it would on the support, y up (see `drgan_lib.scene.meshes`); ranges are drawn from
uniformly, a new value for each of the `count` meshes. Rods and wires have unit diameter, the others unit equivalent
diameter. Of rods and wires, `aspect` is length over diameter and `sides` the number of side faces: up to 8 prisms,
above that round. Their axis turns by `bend_deg`, less where the particle is so short that it would be bent more sharply
than to a radius of one diameter.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from drgan_lib.config.base import Counts, IntRange, Range, Section, Shares, ordered

LAWS = ("lognormal", "normal", "bimodal", "empirical")
ELONGATED = ("rod", "wire")  # their size is the diameter of the cross-section
SHAPES = ("cube", "sphere", "ellipsoid", "rod", "wire", "octahedron", "platelet", "grain")


class LogNormalSizes(Section):
    """ln(size) is normal with the standard deviation `sigma` around ln(`median`)."""

    law: Literal["lognormal"] = "lognormal"
    unit: Literal["scene", "px", "nm"] = "scene"
    median: float = Field(gt=0)
    sigma: float = Field(ge=0, le=1.5)


class NormalSizes(Section):
    """Normal distribution, truncated to sizes above a tenth of `mean`."""

    law: Literal["normal"] = "normal"
    unit: Literal["scene", "px", "nm"] = "scene"
    mean: float = Field(gt=0)
    std: float = Field(ge=0)


class BimodalSizes(Section):
    """A mixture of two normal distributions (each as `NormalSizes`); `share` of the particles are of the first."""

    law: Literal["bimodal"] = "bimodal"
    unit: Literal["scene", "px", "nm"] = "scene"
    mean: tuple[PositiveFloat, PositiveFloat]
    std: tuple[NonNegativeFloat, NonNegativeFloat]
    share: float = Field(0.5, gt=0, lt=1)


class EmpiricalSizes(Section):
    """The distribution in the user's table: a CSV file with the column `diameter_nm`, one row per measured particle."""

    law: Literal["empirical"] = "empirical"
    unit: Literal["nm"] = "nm"
    table: Path


SizeLaw = Annotated[LogNormalSizes | NormalSizes | BimodalSizes | EmpiricalSizes, Field(discriminator="law")]


class LayoutSettings(Section):
    """How many particles, how large, and where they lie.

    `placement`: anywhere, agglomerated around the seeds of a Poisson-disk process, or packed in a layer around them, at
    the nearest places of a triangular lattice, as spheres of one size arrange themselves. `space`: every particle on
    the stage (`planar`), on the stage or resting on others (`stacked`), or floating in a volume above the stage
    (`volume`). `orientation`: turned at random (`free`), or as the mesh lies on the stage (`lying`), turned about the
    vertical and half of them upside down.

    `clusters`, `seed_radius` and `tightness` shape agglomerates. `stacking` is the share of particles that are set onto
    others, where `space` allows it, and the rest lie beside them (what finds no place there, too, is set onto others);
    particles at random are stacked where they happen to fall. `sintering` is the share by which the particles of an
    agglomerate are drawn towards its centre: they grow into each other, as sintered grains do, and what of each is
    visible is its mask. `alignment` is the share of lying particles that point in one direction, as rods of a bundle
    do. These four are ranges, from which each layout draws a value; one number is the same in all.
    """

    n_particles: Counts = (12, 40)
    sizes: SizeLaw = LogNormalSizes(median=0.75, sigma=0.2)
    placement: Literal["random", "agglomerated", "packed"] = "agglomerated"
    space: Literal["planar", "stacked", "volume"] = "stacked"
    orientation: Literal["free", "lying"] = "free"
    alignment: Shares = (0.0, 0.0)
    clusters: Counts = (1, 5)
    seed_radius: float = Field(2.5, gt=0, description="least distance of cluster centres")
    tightness: Annotated[Shares, ordered(0.05)] = Field(0.8, description="1: particles touch; smaller: looser clusters")
    stacking: Shares = Field(0.3, description="share of particles set onto others")
    height: float = Field(3.0, gt=0, description="of the highest centre above the stage, in median sizes")
    sintering: Annotated[Shares, ordered(0, 0.9)] = (0.0, 0.0)
    field_margin: float = Field(1.1, gt=0, description="placement area in units of the field of view")

    @model_validator(mode="after")
    def _arranges_what_it_can(self) -> Self:
        if self.sintering[1] > 0 and self.placement != "agglomerated":
            raise ValueError(
                f"particles placed {self.placement} have no agglomerates to sinter in, but sintering is "
                f"{self.sintering}; set placement to agglomerated, or sintering to [0, 0]"
            )
        if self.placement == "packed" and self.space == "volume":
            raise ValueError("packed layers lie on the stage, but space is volume; set it to planar or stacked")
        if self.alignment[1] > 0 and self.orientation == "free":
            raise ValueError(
                f"only particles that lie are aligned, but orientation is free and alignment {self.alignment}; set "
                "orientation to lying, or alignment to [0, 0]"
            )
        return self


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


class GrainSettings(ShapeSettings):
    """Convex grains with `facets` flat places in random directions, and edges rounded by `roundness`.

    `aspect` is the longest over the shortest axis by which a grain is then stretched. The share `bumpy` has an
    uneven surface.
    """

    shape: Literal["grain"] = "grain"
    facets: Annotated[IntRange, ordered(6, 60)] = (8, 20)
    aspect: Annotated[Range, ordered(1)] = (1.0, 1.6)
    roundness: float = Field(0.6, gt=0, le=1)
    bumpy: float = Field(0.0, ge=0, le=1)


CompactSettings = (
    CubeSettings | SphereSettings | EllipsoidSettings | OctahedronSettings | PlateletSettings | GrainSettings
)
MeshSettings = Annotated[CompactSettings | RodSettings | WireSettings, Field(discriminator="shape")]
