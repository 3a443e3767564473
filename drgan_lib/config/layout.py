"""How many particles, how large, and where."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from drgan_lib.config.base import Counts, Section


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
LAWS = ("lognormal", "normal", "bimodal", "empirical")


class LayoutSettings(Section):
    """How many particles, how large, and where they lie.

    `placement`: anywhere, or agglomerated around the seeds of a Poisson-disk process. `space`: every particle on the
    stage (`planar`), on the stage or resting on others (`stacked`), or floating in a volume above the stage
    (`volume`). `orientation`: turned at random (`free`), or as the mesh lies on the stage (`lying`), turned about the
    vertical and half of them upside down.

    `clusters`, `seed_radius` and `tightness` shape agglomerates, and `stacking` those that are stacked; particles at
    random are stacked where they happen to fall onto others.
    """

    n_particles: Counts = (12, 40)
    sizes: SizeLaw = LogNormalSizes(median=0.75, sigma=0.2)
    placement: Literal["random", "agglomerated"] = "agglomerated"
    space: Literal["planar", "stacked", "volume"] = "stacked"
    orientation: Literal["free", "lying"] = "free"
    clusters: Counts = (1, 5)
    seed_radius: float = Field(2.5, gt=0, description="least distance of cluster centres")
    tightness: float = Field(0.8, gt=0, le=1, description="1: particles touch; smaller: looser clusters")
    stacking: float = Field(0.3, ge=0, le=1, description="share of particles set partly onto a neighbour")
    height: float = Field(3.0, gt=0, description="of the highest centre above the stage, in median sizes")
    field_margin: float = Field(1.1, gt=0, description="placement area in units of the field of view")
