"""Where micrographs come from: files, a public registry, or a digital twin, which is described here too."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from drgan_lib.config.base import Amounts, Counts, IntRange, Range, Section, ordered


class DatasetSettings(Section):
    """Where the micrographs come from: a registry in `data/`, a folder of the user's, or the twin of a material; one.

    `subset` takes those rows of the registry whose column `material` has this value. Patches, layouts and networks are
    made for images of `working_scale` times as many pixels across, in which particles should have 20 to 60 px; test
    micrographs and results keep the pixels of the files, as do `pixel_size_nm` and `sample_rows`.
    """

    registry: str | None = None
    subset: str | None = None
    path: Path | None = None
    twin_of: str | None = Field(None, description="a material with a section `twin`, by its name")
    modality: Literal["SEM", "HIM"] = "SEM"
    pixel_size_nm: float | None = Field(None, gt=0, description="overrides what the file says")
    sample_rows: int | None = Field(None, gt=0, description="rows above the burnt-in data bar; None: all")
    working_scale: float = Field(1.0, ge=0.1, le=4, description="pixels to work with, per pixel of the file")
    licence: str = "unknown"
    citation: str = ""
    annotations: str = Field("", description="what is known of the test images, in words")

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = {name: getattr(self, name) for name in ("path", "registry", "twin_of")}
        given = [f"dataset.{name}={value}" for name, value in given.items() if value is not None]
        if not given:
            raise ValueError("no source of images: give dataset.path, dataset.registry or dataset.twin_of")
        if len(given) > 1:
            raise ValueError(f"expected one source of images, got {' and '.join(given)}; leave out all but one")
        if self.subset is not None and self.registry is None and self.path is None:
            raise ValueError(f"dataset.subset is {self.subset!r}, but there is no dataset.registry to take it from")
        if self.twin_of is not None and self.working_scale != 1:
            raise ValueError(
                f"dataset.working_scale is {self.working_scale}, but a twin is rendered at the working resolution; "
                "leave it out"
            )
        return self

    @property
    def working_pixel_size_nm(self) -> float | None:
        """The side of a pixel at the working resolution."""
        return None if self.pixel_size_nm is None else self.pixel_size_nm / self.working_scale


def _has_a_width(value: Range) -> Range:
    if value[1] <= 0:
        raise ValueError(f"expected (mean, standard deviation) with a deviation above 0, got {value[1]}")
    return value


class TwinSettings(Section):
    """Rendered stand-in micrographs: how many, how large, and the hidden distribution of their parameters.

    `truth` maps a parameter to (mean, standard deviation) of a normal distribution truncated to the material's bounds.
    Ranges of what follows it are drawn from uniformly, once per micrograph; the paper's training models none of that.
    """

    n_train: int = Field(8, ge=1)
    n_test: int = Field(2, ge=1)
    size_px: int = Field(512, ge=256)
    n_particles: Counts = (60, 140)
    clusters: Counts = (6, 14)
    spp: int = Field(36, ge=1)
    seed: int = Field(7, ge=0)
    truth: dict[str, Annotated[Range, AfterValidator(_has_a_width)]]
    blur_px: Amounts = Field((0.0, 0.0), description="standard deviation of the beam's Gaussian point spread")
    dose: Annotated[Range, ordered(1)] | None = Field(
        None, description="electrons per white pixel, for Poisson noise; None: no end"
    )
    line_noise: Amounts = Field((0.0, 0.0), description="standard deviation of the offset of a scan line")
    specks: Annotated[IntRange, ordered(0)] = Field((0, 0), description="dirt on the support: specks per micrograph")
