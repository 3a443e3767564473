"""Typed settings: what is imaged (`Material`), how much work is done (`Profile`), both in an `Experiment`."""

from drgan_lib.config.base import MATERIALS, PACKAGE, REGISTRIES, ROOT, ConfigError
from drgan_lib.config.dataset import DatasetSettings, TwinSettings
from drgan_lib.config.errors import readable_refusals
from drgan_lib.config.experiment import Experiment, load_experiment
from drgan_lib.config.files import materials
from drgan_lib.config.layout import (
    BimodalSizes,
    EmpiricalSizes,
    LayoutSettings,
    LogNormalSizes,
    NormalSizes,
    SizeLaw,
)
from drgan_lib.config.material import PARAMETERS, PARTICLE_PARAMETERS, Material, PatchSettings, SceneSettings
from drgan_lib.config.overrides import parse_overrides
from drgan_lib.config.profile import (
    PROFILES,
    GanSettings,
    Profile,
    SegmentationSettings,
    SynthesisSettings,
)
from drgan_lib.config.shapes import (
    ELONGATED,
    SHAPES,
    CubeSettings,
    EllipsoidSettings,
    MeshSettings,
    OctahedronSettings,
    PlateletSettings,
    RodSettings,
    ShapeSettings,
    SphereSettings,
    WireSettings,
)
from drgan_lib.config.twin import twin_settings, twin_source, user_files

__all__ = [
    "ELONGATED",
    "MATERIALS",
    "PACKAGE",
    "PARAMETERS",
    "PARTICLE_PARAMETERS",
    "PROFILES",
    "REGISTRIES",
    "ROOT",
    "SHAPES",
    "BimodalSizes",
    "ConfigError",
    "CubeSettings",
    "DatasetSettings",
    "EllipsoidSettings",
    "EmpiricalSizes",
    "Experiment",
    "GanSettings",
    "LayoutSettings",
    "LogNormalSizes",
    "Material",
    "MeshSettings",
    "NormalSizes",
    "OctahedronSettings",
    "PatchSettings",
    "PlateletSettings",
    "Profile",
    "RodSettings",
    "SceneSettings",
    "SegmentationSettings",
    "ShapeSettings",
    "SizeLaw",
    "SphereSettings",
    "SynthesisSettings",
    "TwinSettings",
    "WireSettings",
    "load_experiment",
    "materials",
    "parse_overrides",
    "readable_refusals",
    "twin_settings",
    "twin_source",
    "user_files",
]
