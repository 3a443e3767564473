"""One image and all that is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from drgan_lib.errors import DrganError


class SampleError(DrganError, ValueError):
    """A sample or a set of them that cannot be used; the message says what was expected and what came."""


@dataclass(frozen=True)
class Sample:
    """An image, what it shows and where it is from.

    Parameters
    ----------
    name : str
        Names the image within a set.
    image : float32 [h, w]
        Gray levels in [0, 1].
    pixel_size_nm : float or None
        Side of a pixel; None where it is not known.
    instances : int32 [h, w] or None
        One id above 0 per particle, 0 for background; None where nothing is known of the particles.
    confidence : float32 [n] or None
        How sure a segmenter is of each instance, in [0, 1], in the order of rising ids.
    parameters : mapping
        Numbers that made the image, as a renderer's parameters, by name.
    provenance : mapping
        Where the image is from, in values that JSON can hold.

    Raises `SampleError` for arrays of another kind or shape. Other types of the right kind are converted.
    """

    name: str
    image: np.ndarray
    pixel_size_nm: float | None = None
    instances: np.ndarray | None = None
    confidence: np.ndarray | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        image = np.asarray(self.image)
        if image.ndim != 2 or not np.issubdtype(image.dtype, np.floating):
            raise SampleError(
                f"{self.name}: expected a gray image of floats [h, w] in [0, 1], got {image.dtype} of shape "
                f"{image.shape}; divide gray levels by their full scale"
            )
        object.__setattr__(self, "image", image.astype(np.float32, copy=False))
        if self.instances is not None:
            ids = np.asarray(self.instances)
            if ids.shape != image.shape or not np.issubdtype(ids.dtype, np.integer):
                raise SampleError(
                    f"{self.name}: expected instances as integers of the image's shape {image.shape}, got {ids.dtype} "
                    f"of shape {ids.shape}"
                )
            object.__setattr__(self, "instances", ids.astype(np.int32, copy=False))

    @property
    def n_particles(self) -> int | None:
        """Number of particles in view; None where nothing is known of them."""
        return None if self.instances is None else len(np.unique(self.instances[self.instances > 0]))
