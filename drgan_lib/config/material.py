"""What is imaged: dataset, patches, meshes, layout, scene, and the bounds of the learned parameters.

Lengths are in scene units (see `drgan_lib.scene.build`) unless the name says `_px` or `_nm`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from drgan_lib.config.base import IntRange, Range, Section

PARTICLE_PARAMETERS = (
    "roughness",
    "base_color",
    "sheen",
    "sheen_tint",
    "spec_tint",
    "metallic",
    "clearcoat",
    "flatness",
)
PARAMETERS = (*PARTICLE_PARAMETERS, "stage_base_color", "torus_radiance", "top_radiance", "noise_sigma")


def _count_range(value: IntRange) -> IntRange:
    if value[0] < 1:
        raise ValueError(f"expected at least 1, got {value[0]}")
    if value[0] > value[1]:
        raise ValueError(f"expected (low, high) with low <= high, got {value}; swap them")
    return value


class DatasetSettings(Section):
    """Where the micrographs come from: a registry in `data/`, a folder of the user's, or a rendered twin."""

    registry: str | None = None
    path: Path | None = None
    twin: TwinSettings | None = None
    pixel_size_nm: float | None = Field(None, gt=0, description="overrides what the file says")
    sample_rows: int | None = Field(None, gt=0, description="rows above the burnt-in data bar; None: all")
    licence: str = "unknown"
    citation: str = ""

    @model_validator(mode="after")
    def _has_a_source(self) -> DatasetSettings:
        if self.registry is None and self.path is None and self.twin is None:
            raise ValueError("no source of images: give dataset.path, dataset.registry or dataset.twin")
        return self


class TwinSettings(Section):
    """Rendered stand-in micrographs: how many, how large, and the hidden law of their parameters.

    `truth` maps a parameter to (mean, standard deviation) of a normal law truncated to the material's bounds.
    """

    n_train: int = Field(8, ge=1)
    n_test: int = Field(2, ge=1)
    size_px: int = Field(512, ge=256)
    n_particles: IntRange = (60, 140)
    clusters: IntRange = (6, 14)
    spp: int = Field(36, ge=1)
    seed: int = 7
    truth: dict[str, tuple[float, float]]

    _counts = field_validator("n_particles", "clusters")(_count_range)

    @field_validator("truth")
    @classmethod
    def _has_a_width(cls, value: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (_, std) in value.items():
            if std <= 0:
                raise ValueError(f"{name}: expected (mean, standard deviation) with a deviation above 0, got {std}")
        return value


class PatchSettings(Section):
    """Which crops of the micrographs train the GAN (with particles) and supplement nnU-Net (without)."""

    size_px: int = Field(256, ge=32)
    stride_px: int = Field(64, ge=1)
    min_particles: int = Field(3, ge=1)
    max_train: int = Field(124, ge=1)
    n_background: int = Field(200, ge=0)
    max_similarity: float = Field(0.9, gt=0, le=1, description="correlation above which two patches are repeats")


class MeshSettings(Section):
    """Deformed, smoothed cubes, `count` different ones from one seed; or the mesh files of the folder `path`."""

    shape: Literal["cube"] = "cube"
    path: Path | None = Field(None, description="folder of PLY, OBJ, STL or glTF files to use instead")
    count: int = Field(40, ge=1)
    deformation: float = Field(0.3, ge=0, le=1)
    roundness: float = Field(0.65, ge=0, le=1)
    max_triangles: int = Field(1300, ge=12, le=5000)
    seed: int = 0


class LayoutSettings(Section):
    """How many particles, how large, and where: lognormal sizes, agglomerates of a Poisson-disk process."""

    n_particles: IntRange = (12, 40)
    mean_diameter: float = Field(0.75, gt=0, description="median equivalent diameter, scene units")
    size_sigma: float = Field(0.2, ge=0, description="sigma of ln(size)")
    clusters: IntRange = (1, 5)
    seed_radius: float = Field(2.5, gt=0, description="least distance of cluster centres")
    tightness: float = Field(0.8, gt=0, le=1, description="1: particles touch; smaller: looser clusters")
    stacking: float = Field(0.3, ge=0, le=1, description="share of particles that land partly on a neighbour")
    field_margin: float = Field(1.1, gt=0, description="placement area in units of the field of view")

    _counts = field_validator("n_particles", "clusters")(_count_range)


class SceneSettings(Section):
    """The paper's virtual scene: y is up, camera and a weak light above, a bright torus around the stage."""

    size_px: int = Field(256, ge=16)
    fov_deg: float = Field(40.0, gt=0, lt=180)
    camera_y: float = 6.0
    stage_y: float = -4.0
    stage_half_extent: float = Field(10.0, gt=0)
    torus_radius: float = Field(15.0, gt=0)
    torus_tube: float = Field(3.0, gt=0)
    torus_stretch: float = Field(2.0, gt=0)
    torus_y: float = 2.0
    torus_radiance: float = Field(1.0, ge=0)
    top_y: float = 8.0
    top_half_extent: float = Field(10.0, gt=0)
    top_radiance: float = Field(0.1, ge=0)
    spp: int = Field(121, ge=1)
    filter_std_px: float = Field(0.5, gt=0)
    stage_roughness: float = Field(0.5, ge=0)
    stage_specular: float = Field(0.0, ge=0)
    particle_specular: float = Field(0.5, ge=0)

    @model_validator(mode="after")
    def _camera_sees_the_stage(self) -> SceneSettings:
        if not self.stage_y < self.camera_y < self.top_y:
            raise ValueError(
                f"expected stage_y < camera_y < top_y, got {self.stage_y}, {self.camera_y}, {self.top_y}; "
                "the camera must see the stage and must not be hidden by the upper light"
            )
        return self


class Material(Section):
    """What is imaged. One YAML file per material in `drgan_lib/materials/`."""

    name: str = Field(pattern=r"^\w[\w.-]*$", description="names folders: letters, digits, _ . -")
    title: str
    dataset: DatasetSettings
    patches: PatchSettings = PatchSettings()
    meshes: MeshSettings = MeshSettings()
    layout: LayoutSettings = LayoutSettings()
    scene: SceneSettings = SceneSettings()
    bounds: dict[str, Range]
    contour_px: int = Field(1, ge=1)
    min_area_px: int = Field(50, ge=0, description="smallest instance that the instance metrics count")

    @field_validator("bounds")
    @classmethod
    def _known_parameters(cls, value: dict[str, Range]) -> dict[str, Range]:
        for name, bounds in value.items():
            if name not in PARAMETERS:
                raise ValueError(f"unknown parameter {name!r}; known are {', '.join(PARAMETERS)}")
            if not 0 <= bounds[0] < bounds[1]:
                raise ValueError(f"{name}: expected 0 <= low < high, got {bounds}")
        missing = {"base_color", "stage_base_color", "noise_sigma"} - value.keys()
        if missing:
            raise ValueError(f"bounds are missing for {', '.join(sorted(missing))}")
        return {name: value[name] for name in PARAMETERS if name in value}

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the learned parameters, in the order of the regressor's outputs."""
        return tuple(self.bounds)

    @model_validator(mode="after")
    def _patch_fits_the_scene(self) -> Material:
        if self.patches.size_px != self.scene.size_px:
            raise ValueError(
                f"patches.size_px is {self.patches.size_px} but scene.size_px is {self.scene.size_px}; "
                "the discriminator compares the two, so set both to the same size"
            )
        twin = self.dataset.twin
        if twin is None:
            return self
        if unknown := twin.truth.keys() ^ self.bounds.keys():
            raise ValueError(f"twin.truth and bounds must name the same parameters; differing: {sorted(unknown)}")
        if twin.size_px < self.patches.size_px:
            raise ValueError(
                f"dataset.twin.size_px: expected at least patches.size_px, which is {self.patches.size_px}, "
                f"got {twin.size_px}; patches are cut from the twin's images, so enlarge these"
            )
        return self
