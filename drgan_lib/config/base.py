"""What all settings share: frozen models that refuse unknown keys, and the error that names a refused one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from drgan_lib.errors import DrganError

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent  # of a clone
MATERIALS, REGISTRIES = PACKAGE / "materials", PACKAGE / "registries"
Range = tuple[float, float]
IntRange = tuple[int, int]


class ConfigError(DrganError, ValueError):
    """A setting that cannot be used; the message says what was expected, what came, and what to do."""


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def ordered(low: float, high: float = float("inf")) -> Callable:
    """A validator of pairs: (a, b) with low <= a <= b <= high."""

    def check(value: tuple) -> tuple:
        if not low <= value[0] or not value[1] <= high:
            bound = f"at least {low}" if high == float("inf") else f"values from {low} to {high}"
            raise ValueError(f"expected {bound}, got {value}")
        if value[0] > value[1]:
            raise ValueError(f"expected (low, high) with low <= high, got {value}; swap them")
        return value

    return check
