"""The base of all errors that this library raises for what its users can correct."""


class DrganError(Exception):
    """Something that cannot be used or made; the message says what was expected, what came, and what to do."""
