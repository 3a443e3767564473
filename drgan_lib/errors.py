"""The base of all errors that this library raises for what its users can correct."""


class DrganError(Exception):
    """Something that cannot be used or made; the message says what was expected, what came, and what to do."""


class DataError(DrganError, ValueError):
    """Images that cannot be used; the message names the file, what was expected, and what to do."""
