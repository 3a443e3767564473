"""What is imaged: dataset, patches, meshes, layout, scene, and the bounds of the learned parameters.

Lengths are in scene units (see `drgan_lib.scene.build`) unless the name says `_px` or `_nm`; pixels are those of the
working resolution, see `dataset.working_scale`.
"""

import math
import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from drgan_lib.config.base import ConfigError, Range, Section
from drgan_lib.config.dataset import DatasetSettings, TwinSettings
from drgan_lib.config.layout import CubeSettings, LayoutSettings, MeshSettings

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
# `brightness_spread` is how much the particles of an image differ, `facet_spread` how much the sides of one do, and
# `skin_spread` how uneven the median particle is: deviations of ln(brightness), see `drgan_lib.scene.uneven`.
PARAMETERS = (
    *PARTICLE_PARAMETERS,
    "stage_base_color",
    "torus_radiance",
    "top_radiance",
    "brightness_spread",
    "facet_spread",
    "skin_spread",
    "noise_sigma",
)
# What `gan.appearance=sem` learns in their place, see `drgan_lib.scene.electrons`, with the bounds where a material
# gives none: our choice.
SEM_BOUNDS = {
    "flat": (0.01, 0.8),
    "tilt": (0.0, 1.0),
    "sharpness": (0.5, 20.0),
    "edge_fine": (0.0, 0.6),
    "edge_coarse": (0.0, 0.6),
    "sky": (0.0, 0.8),
    "detector_x": (-0.5, 0.5),
    "detector_z": (-0.5, 0.5),
    "elevation": (0.0, 0.3),
    "thickness": (0.0, 0.4),
    "stage_flat": (0.0, 0.4),
    "stage_sky": (0.0, 0.4),
    "brightness_spread": (0.1, 0.4),
    "facet_spread": (0.0, 0.1),
    "skin_spread": (0.0, 0.2),
    "noise_sigma": (0.001, 0.1),
}
SEM_PARTICLE_PARAMETERS = tuple(SEM_BOUNDS)[:10]
APPEARANCES = {"principled": PARAMETERS, "sem": tuple(SEM_BOUNDS)}
LEAST = {"detector_x": -1, "detector_z": -1, "sharpness": 0.1}  # of a lower bound; 0 for the others
# What `gan.detector=poisson_gaussian` learns as well, see `drgan_lib.scene.detector`, with the bounds where a material
# gives none: our choice.
DETECTOR_BOUNDS = {"blur_px": (0.0, 2.0), "shot_noise": (0.0, 0.15), "line_noise": (0.0, 0.02)}


class PatchSettings(Section):
    """Which crops of the micrographs train the GAN (with particles) and supplement nnU-Net (without)."""

    size_px: int = Field(256, ge=32)
    stride_px: int = Field(64, ge=1)
    min_particles: int = Field(3, ge=1)
    max_train: int = Field(124, ge=1)
    n_background: int = Field(200, ge=0)
    max_similarity: float = Field(0.9, gt=0, le=1, description="correlation above which two patches are repeats")


PIXEL_STD_PX = 12**-0.5  # of the light that falls on one pixel: a point's image is no narrower


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
    filter_std_px: float = Field(0.5, ge=PIXEL_STD_PX, description="standard deviation of the image of a point")
    skin_unlike: float = Field(0.0, ge=0, le=2, description="how unlike the skins of particles are, see `skin_powers`")
    charge: float = Field(0.0, ge=0, le=1, description="how unlike charge makes particles (gan.appearance=sem)")
    stage_roughness: float = Field(0.5, ge=0)
    stage_specular: float = Field(0.0, ge=0)
    particle_specular: float = Field(0.5, ge=0)

    @property
    def half_field(self) -> float:
        """Half the width of the stage that the camera sees, in scene units."""
        return (self.camera_y - self.stage_y) * math.tan(math.radians(self.fov_deg) / 2)

    @model_validator(mode="after")
    def _camera_sees_the_stage(self) -> Self:
        if not self.stage_y < self.camera_y < self.top_y:
            raise ValueError(
                f"expected stage_y < camera_y < top_y, got {self.stage_y}, {self.camera_y}, {self.top_y}; "
                "the camera must see the stage and must not be hidden by the upper light"
            )
        return self


class Material(Section):
    """What is imaged. One YAML file per material in `drgan_lib/materials/`."""

    name: str = Field(description="names folders: letters, digits, _ . -")
    title: str
    dataset: DatasetSettings
    patches: PatchSettings = PatchSettings()
    meshes: MeshSettings = CubeSettings()
    layout: LayoutSettings = LayoutSettings()
    scene: SceneSettings = SceneSettings()
    bounds: dict[str, Range]
    twin: TwinSettings | None = None
    contour_px: int = Field(1, ge=1)
    min_area_px: int = Field(50, ge=0, description="smallest instance to count, in pixels of the file")

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        if not re.fullmatch(r"\w[\w.-]*", value):
            raise ValueError("expected letters, digits, _ . and -, with neither . nor - in front, as it names folders")
        return value

    @field_validator("bounds")
    @classmethod
    def _known_parameters(cls, value: dict[str, Range]) -> dict[str, Range]:
        known, needed = PARAMETERS, {"base_color", "stage_base_color", "noise_sigma"}
        if "flat" in value:
            known, needed = tuple(SEM_BOUNDS), SEM_BOUNDS.keys()
        known += tuple(DETECTOR_BOUNDS)
        for name, bounds in value.items():
            if name not in known:
                raise ValueError(f"unknown parameter {name!r}; known are {', '.join(known)}")
            if not LEAST.get(name, 0) <= bounds[0] < bounds[1]:
                raise ValueError(f"{name}: expected {LEAST.get(name, 0)} <= low < high, got {bounds}")
        if missing := needed - value.keys():
            raise ValueError(f"bounds are missing for {', '.join(sorted(missing))}")
        return {name: value[name] for name in known if name in value}

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the learned parameters, in the order of the regressor's outputs."""
        return tuple(self.bounds)

    @property
    def appearance(self) -> str:
        """What the parameters describe: `principled` surfaces under light, or secondary electrons, `sem`."""
        return "sem" if "flat" in self.bounds else "principled"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.patches.size_px != self.scene.size_px:
            raise ValueError(
                f"patches.size_px is {self.patches.size_px} but scene.size_px is {self.scene.size_px}; "
                "the discriminator compares the two, so set both to the same size"
            )
        if self.layout.sizes.unit == "nm" and self.dataset.pixel_size_nm is None:
            raise ValueError(
                "layout.sizes are in nm, but dataset.pixel_size_nm is not set; set it, or give sizes in px or scene"
            )
        if self.dataset.twin_of == self.name:
            self.require_twin()
        return self

    def require_twin(self) -> None:
        """`ConfigError` unless the section `twin` is there and its images can be made and cut into patches."""
        twin = self.twin
        if twin is None:
            raise ConfigError(f"dataset.twin_of names {self.name}, which has no section `twin`; describe it there")
        if self.appearance != "principled":
            raise ConfigError(
                f"the twin of {self.name} is rendered with gan.appearance=principled, got {self.appearance}; leave "
                "that out, or name the twin of another material in dataset.twin_of"
            )
        if unknown := twin.truth.keys() ^ (self.bounds.keys() - DETECTOR_BOUNDS.keys()):
            raise ConfigError(f"twin.truth and bounds must name the same parameters; differing: {sorted(unknown)}")
        for name, (mean, _) in twin.truth.items():
            low, high = self.bounds[name]
            if not low <= mean <= high:
                raise ConfigError(
                    f"twin.truth.{name}: expected a mean within the bounds, {low:g} to {high:g}, got "
                    f"{mean:g}; correct it, or widen bounds.{name}"
                )
        if twin.size_px < self.patches.size_px:
            raise ConfigError(
                f"twin.size_px: expected at least patches.size_px, which is {self.patches.size_px}, "
                f"got {twin.size_px}; patches are cut from the twin's images, so enlarge these"
            )
        largest = self.scene_unit_px * 2 * self.scene.stage_half_extent / self.layout.field_margin
        if twin.size_px > largest:
            raise ConfigError(
                f"twin.size_px: expected at most {math.floor(largest)}, got {twin.size_px}: particles would lie beyond "
                f"the stage; lower it or layout.field_margin, or raise scene.stage_half_extent"
            )

    @property
    def scene_unit_px(self) -> float:
        """Pixels per scene unit, at the height of the stage."""
        return self.scene.size_px / (2 * self.scene.half_field)

    def scene_units(self, unit: str) -> float:
        """Scene units per `unit`: scene, px or nm."""
        px = {"scene": self.scene_unit_px, "px": 1.0, "nm": 1.0 / (self.dataset.working_pixel_size_nm or math.nan)}[
            unit
        ]
        return px / self.scene_unit_px
