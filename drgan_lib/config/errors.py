"""What is wrong with settings, in one line each: the only place where pydantic's errors become messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ValidationError

from drgan_lib.config.base import ConfigError
from drgan_lib.config.layout import LAWS
from drgan_lib.config.shapes import SHAPES

KINDS = {"meshes": SHAPES, "sizes": LAWS}  # sections that come in kinds


@contextmanager
def readable_refusals(whole: str = "settings") -> Iterator[None]:
    """Turns a refusal of settings made in its body into a `ConfigError` that names each of them and what came.

    `whole` names what a check of several settings together was made on.
    """
    try:
        yield
    except ValidationError as error:
        lines = [f"{_place(e['loc']) or whole}: {_message(e)}{_got(e['input'])}" for e in error.errors()]
        raise ConfigError("settings refused:\n  " + "\n  ".join(lines)) from None


def _place(location: tuple[int | str, ...]) -> str:
    """Dotted name of a setting; pydantic also names the chosen kind of shape or law, which is not part of it."""
    sections = zip(("", *location), location, strict=False)
    return ".".join(str(part) for before, part in sections if part not in KINDS.get(before, ()))


def _message(error: dict[str, Any]) -> str:
    """The reason; those of this library's own checks come without pydantic's `Value error, `."""
    own = error.get("ctx", {}).get("error")
    return str(own) if isinstance(own, ValueError) else error["msg"]


def _got(value: Any) -> str:
    """The refused value, unless it is a whole section, which the message itself speaks about."""
    return "" if isinstance(value, dict | BaseModel) else f" (got {value!r:.80})"
