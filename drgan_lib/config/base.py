"""What all settings share: frozen models that refuse unknown keys, and the error that names a refused one."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).resolve().parents[2]
MATERIALS = ROOT / "drgan_lib" / "materials"
Range = tuple[float, float]
IntRange = tuple[int, int]


class ConfigError(ValueError):
    """A setting that cannot be used; the message says what was expected, what came, and what to do."""


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
