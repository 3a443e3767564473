"""Typed settings: what is imaged (`Material`), how much work is done (`Profile`), both in an `Experiment`."""

from drgan_lib.config.base import MATERIALS, PACKAGE, REGISTRIES, ROOT, ConfigError, readable_refusals
from drgan_lib.config.dataset import DatasetSettings, TwinSettings
from drgan_lib.config.experiment import Experiment, load_experiment, twin_settings, twin_source, user_files
from drgan_lib.config.layout import (
    ELONGATED,
    SHAPES,
    BimodalSizes,
    CubeSettings,
    EllipsoidSettings,
    EmpiricalSizes,
    GrainSettings,
    LayoutSettings,
    LogNormalSizes,
    MeshSettings,
    NormalSizes,
    OctahedronSettings,
    PlateletSettings,
    RodSettings,
    ShapeSettings,
    SizeLaw,
    SphereSettings,
    WireSettings,
)
from drgan_lib.config.material import (
    APPEARANCES,
    DETECTOR_BOUNDS,
    PARAMETERS,
    PARTICLE_PARAMETERS,
    PIXEL_STD_PX,
    SEM_BOUNDS,
    SEM_PARTICLE_PARAMETERS,
    Material,
    PatchSettings,
    SceneSettings,
)
from drgan_lib.config.overrides import materials, parse_overrides
from drgan_lib.config.profile import (
    PROFILES,
    GanSettings,
    Profile,
    SegmentationSettings,
    SynthesisSettings,
)
