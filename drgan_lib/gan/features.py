"""Image features for the Frechet distance and KID: Inception as in FID, or a named fallback that is at hand."""

from __future__ import annotations

import hashlib
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from pytorch_fid import inception
from torch import Tensor

from drgan_lib.config import GanSettings
from drgan_lib.files import atomic_path
from drgan_lib.gan.efficientnet import load_efficientnet_lite0

INCEPTION_FILE = inception.FID_WEIGHTS_URL.rsplit("/", 1)[-1]
INCEPTION_SHA256_PREFIX = INCEPTION_FILE.removesuffix(".pth").rsplit("-", 1)[-1]
CONNECT_TIMEOUT_S = 5
BATCH = 16
FID = "fid"
FALLBACK = "fd_efficientnet_lite0"


class FeatureError(RuntimeError):
    """The feature extractor that the settings ask for cannot be had."""


@dataclass(frozen=True)
class Features:
    """A feature extractor; `name` is how a Frechet distance on its features is called in every table."""

    name: str
    network: Callable[[Tensor], Tensor]
    device: torch.device

    @torch.no_grad()
    def extract(self, images: Tensor | np.ndarray) -> np.ndarray:
        """Features float32 [n, d] of grayscale images [n, h, w] in [0, 1], repeated to three channels."""
        images = torch.as_tensor(images, dtype=torch.float32)
        if images.ndim != 3:
            raise ValueError(f"expected images [n, h, w], got shape {tuple(images.shape)}")
        batches = (
            chunk.to(self.device)[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
            for chunk in images.split(BATCH)
        )
        return torch.cat([self.network(batch).float().cpu() for batch in batches]).numpy()


def choose_features(
    settings: GanSettings,
    *,
    earlier: str | None = None,
    device: str | torch.device = "cpu",
    log: Callable[[str], None] = print,
) -> Features:
    """The extractor that `settings.features` names; `auto` prefers Inception and says which one is in use.

    `earlier` is the name used by the epochs already evaluated: `auto` keeps to it, so that figures stay
    comparable. Inception's weights come from `settings.inception_weights`, torch hub's cache, or a download.
    Raises `FeatureError` where they are required and cannot be had.
    """
    device = torch.device(device)
    fallback_asked = settings.features == "auto" and earlier == FALLBACK
    if settings.features == "efficientnet_lite0" or fallback_asked:
        log(f"features: EfficientNet-Lite0; the Frechet distance is called {FALLBACK} and is not FID")
        return Features(FALLBACK, load_efficientnet_lite0().to(device).features, device)
    try:
        path = _inception_weights(settings.inception_weights)
    except (OSError, FeatureError) as error:
        if settings.features == "inception" or earlier == FID:
            raise FeatureError(
                f"FID needs Inception's weights, and they could not be had ({error}); download "
                f"{INCEPTION_FILE} ({inception.FID_WEIGHTS_URL}) and set gan.inception_weights to its path, "
                "or use gan.features=efficientnet_lite0 in a new run"
            ) from None
        log(
            f"features: EfficientNet-Lite0, because Inception's weights could not be had ({error}); the "
            f"Frechet distance is called {FALLBACK} and is not FID"
        )
        return Features(FALLBACK, load_efficientnet_lite0().to(device).features, device)
    log(f"features: Inception of pytorch-fid ({path.name}); the Frechet distance is FID")
    network = _load_inception(path).to(device)
    return Features(FID, lambda images: network(images)[0].flatten(1), device)


def _inception_weights(path: Path | None) -> Path:
    """Verified file of Inception's weights: at `path`, in torch hub's cache, or downloaded there."""
    if path is not None and not path.is_file():
        raise FeatureError(f"gan.inception_weights is {path}, which does not exist")
    path = path or Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if not path.is_file():
        request = urllib.request.urlopen(inception.FID_WEIGHTS_URL, timeout=CONNECT_TIMEOUT_S)
        with request as response, atomic_path(path) as temporary:
            with temporary.open("wb") as file:
                shutil.copyfileobj(response, file)
            _verify(temporary)
    _verify(path)
    return path


def _verify(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(INCEPTION_SHA256_PREFIX):
        raise FeatureError(
            f"{path} is not {INCEPTION_FILE}: its SHA-256 starts with {digest[:8]}, "
            f"expected {INCEPTION_SHA256_PREFIX}; remove it or name another file"
        )


def _load_inception(path: Path) -> torch.nn.Module:
    state = torch.load(path, map_location="cpu", weights_only=True)
    # pytorch-fid reads its weights by URL only, and without weights_only
    with patch.object(inception, "load_state_dict_from_url", lambda *_, **__: state):
        return inception.InceptionV3().eval()
