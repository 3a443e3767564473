"""Typed settings: what is imaged (`Material`), how much work is done (`Profile`), both in an `Experiment`."""

from drgan_lib.config.base import MATERIALS, ROOT, ConfigError
from drgan_lib.config.experiment import Experiment, load_experiment, materials, parse_overrides
from drgan_lib.config.material import (
    PARAMETERS,
    PARTICLE_PARAMETERS,
    DatasetSettings,
    LayoutSettings,
    Material,
    MeshSettings,
    PatchSettings,
    SceneSettings,
    TwinSettings,
)
from drgan_lib.config.profile import PROFILES, GanSettings, Profile, SegmentationSettings, SynthesisSettings

__all__ = [
    "MATERIALS",
    "PARAMETERS",
    "PARTICLE_PARAMETERS",
    "PROFILES",
    "ROOT",
    "ConfigError",
    "DatasetSettings",
    "Experiment",
    "GanSettings",
    "LayoutSettings",
    "Material",
    "MeshSettings",
    "PatchSettings",
    "Profile",
    "SceneSettings",
    "SegmentationSettings",
    "SynthesisSettings",
    "TwinSettings",
    "load_experiment",
    "materials",
    "parse_overrides",
]
