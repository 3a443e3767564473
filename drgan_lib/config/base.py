"""What all settings share: frozen models that refuse unknown keys, and the error that names each refused one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from drgan_lib.errors import DrganError

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent  # of a clone
MATERIALS, REGISTRIES = PACKAGE / "materials", PACKAGE / "registries"
KINDS = ("meshes", "sizes")  # sections that come in kinds
Range = tuple[float, float]
IntRange = tuple[int, int]


class ConfigError(DrganError, ValueError):
    """A setting that cannot be used; the message says what was expected, what came, and what to do."""


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def ordered(low: float, high: float = float("inf")) -> AfterValidator:
    """For pairs, in `Annotated`: (a, b) with low <= a <= b <= high."""

    def check(value: tuple) -> tuple:
        if not low <= value[0] or not value[1] <= high:
            bound = f"at least {low}" if high == float("inf") else f"values from {low} to {high}"
            raise ValueError(f"expected {bound}, got {value}")
        if value[0] > value[1]:
            raise ValueError(f"expected (low, high) with low <= high, got {value}; swap them")
        return value

    return AfterValidator(check)


Counts = Annotated[IntRange, ordered(1)]
Amounts = Annotated[Range, ordered(0)]
Shares = Annotated[Range, ordered(0, 1), BeforeValidator(lambda v: (v, v) if isinstance(v, int | float) else v)]


@contextmanager
def readable_refusals(whole: str = "settings") -> Iterator[None]:
    """Turns a refusal of settings made in its body into a `ConfigError` that names each of them and what came.

    `whole` names what a check of several settings together was made on.
    """
    try:
        yield
    except ValidationError as error:
        raise ConfigError("\n  ".join(["settings refused:", *(_line(e, whole) for e in error.errors())])) from None


def _line(error: dict[str, Any], whole: str) -> str:
    """Dotted name of a setting, the reason, and what came, unless that is a section, of which the reason speaks."""
    # pydantic also names the chosen kind of a section, and puts `Value error, ` before this library's own reasons.
    place = [str(part) for before, part in zip(("", *error["loc"]), error["loc"], strict=False) if before not in KINDS]
    own, value = error.get("ctx", {}).get("error"), error["input"]
    got = "" if isinstance(value, dict | BaseModel) else f" (got {value!r:.80})"
    return f"{'.'.join(place) or whole}: {own if isinstance(own, ValueError) else error['msg']}{got}"
