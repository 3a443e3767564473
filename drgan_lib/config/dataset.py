"""Where micrographs come from: files, a public registry, or a digital twin, which is described here too."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from drgan_lib.config.base import IntRange, Range, Section, ordered


class DatasetSettings(Section):
    """Where the micrographs come from: a registry in `data/`, a folder of the user's, or the twin of a material; one.

    `subset` takes those rows of the registry whose column `material` has this value.
    """

    registry: str | None = None
    subset: str | None = None
    path: Path | None = None
    twin_of: str | None = Field(None, description="a material with a section `twin`, by its name")
    modality: Literal["SEM", "HIM"] = "SEM"
    pixel_size_nm: float | None = Field(None, gt=0, description="overrides what the file says")
    sample_rows: int | None = Field(None, gt=0, description="rows above the burnt-in data bar; None: all")
    licence: str = "unknown"
    citation: str = ""
    annotations: str = Field("", description="what is known of the test images, in words")

    @model_validator(mode="after")
    def _has_one_source(self) -> DatasetSettings:
        given = {name: getattr(self, name) for name in ("path", "registry", "twin_of")}
        given = [f"dataset.{name}={value}" for name, value in given.items() if value is not None]
        if not given:
            raise ValueError("no source of images: give dataset.path, dataset.registry or dataset.twin_of")
        if len(given) > 1:
            raise ValueError(f"expected one source of images, got {' and '.join(given)}; leave out all but one")
        if self.subset is not None and self.registry is None and self.path is None:
            raise ValueError(f"dataset.subset is {self.subset!r}, but there is no dataset.registry to take it from")
        return self


class TwinSettings(Section):
    """Rendered stand-in micrographs: how many, how large, and the hidden law of their parameters.

    `truth` maps a parameter to (mean, standard deviation) of a normal law truncated to the material's bounds. What
    follows it, the training does not model: ranges are drawn from uniformly, once per micrograph.
    """

    n_train: int = Field(8, ge=1)
    n_test: int = Field(2, ge=1)
    size_px: int = Field(512, ge=256)
    n_particles: IntRange = (60, 140)
    clusters: IntRange = (6, 14)
    spp: int = Field(36, ge=1)
    seed: int = Field(7, ge=0)
    truth: dict[str, tuple[float, float]]
    blur_px: Range = Field((0.0, 0.0), description="standard deviation of the beam's Gaussian point spread")
    dose: Range | None = Field(None, description="detected electrons per white pixel (Poisson noise); None: no end")
    line_noise: Range = Field((0.0, 0.0), description="standard deviation of the offset of a scan line")
    specks: tuple[int, int] = Field((0, 0), description="dirt on the stage: specks per micrograph")

    _counts = field_validator("n_particles", "clusters")(ordered(1))
    _amounts = field_validator("blur_px", "line_noise", "specks")(ordered(0))

    @field_validator("dose")
    @classmethod
    def _some_electrons(cls, value: Range | None) -> Range | None:
        return value if value is None else ordered(1)(value)

    @field_validator("truth")
    @classmethod
    def _has_a_width(cls, value: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (_, std) in value.items():
            if std <= 0:
                raise ValueError(f"{name}: expected (mean, standard deviation) with a deviation above 0, got {std}")
        return value
