"""The networks of DiffRenderGAN and their loss: a regressor of scene parameters, and a PatchGAN.

The generator is the regressor with the renderer behind it: a layout goes in, scene parameters come out, the renderer
makes the image. Its randomness is the dropout of the regressor, so dropout stays active whenever images are sampled.
A seed means the same random numbers on every device, and whatever else is in the batch.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from drgan_lib.config import GanSettings, Material
from drgan_lib.draws import uniform
from drgan_lib.scene import Layout, Renderer
from drgan_lib.scene.detector import WHITE, detect

Log = Callable[[str], None]
DROPOUT = 1  # stream of random numbers; 0 is the detector's noise


def xavier(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """`layer` with the paper's initialisation: Xavier (Glorot and Bengio 2010) weights, no bias."""
    nn.init.xavier_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Generator(nn.Module):
    """Regressor from a layout to scene parameters, and the image that the renderer makes of them.

    4 x (dropout, linear, ReLU) + linear + sigmoid with weight normalisation, as in the paper. The last bias is set so
    that every parameter starts near `settings.initial_position` within its bounds.
    """

    def __init__(self, material: Material, settings: GanSettings) -> None:
        super().__init__()
        self._made_of = material, settings
        self.names = material.parameters
        self.n_max = material.layout.n_particles[1]
        self.dropout = settings.dropout
        low, high = torch.tensor(list(material.bounds.values())).T
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        self.register_buffer("white", torch.tensor(WHITE))  # what share of an image may be white
        widths = [4 * self.n_max] + 4 * [settings.hidden] + [len(self.names)]
        layers = [xavier(nn.Linear(n, m)) for n, m in pairwise(widths)]
        nn.init.constant_(layers[-1].bias, math.log(settings.initial_position / (1 - settings.initial_position)))
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)

    def __reduce__(self):
        """Weights with a norm of their own cannot be pickled, but what they are made of can: for workers."""
        return _generator_of, (*self._made_of, self.state_dict())

    def regress(self, vectors: Tensor, *, seeds: Tensor) -> Tensor:
        """Positions in [0, 1] within the bounds [b, n_parameters] of layout vectors [b, 4 * n_max]; seeds int64 [b]."""
        x, widths = vectors, [layer.in_features for layer in self.layers[:-1]]
        kept = (uniform(seeds, sum(widths), stream=DROPOUT) > self.dropout).float() / (1 - self.dropout)
        for layer, keep in zip(self.layers, kept.split(widths, dim=1), strict=False):
            x = F.relu(layer(x * keep))
        return torch.sigmoid(self.layers[-1](x))

    def to_physical(self, positions: Tensor) -> Tensor:
        """Parameters in the units of their bounds, from positions in [0, 1]; both [..., n_parameters]."""
        return self.low + positions * (self.high - self.low)

    def to_positions(self, parameters: Tensor) -> Tensor:
        """Inverse of `to_physical`."""
        return (parameters - self.low) / (self.high - self.low)

    def sample(self, renderer: Renderer, layouts: Sequence[Layout], *, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Synthetic micrographs [b, 1, h, w] in [0, 1] of b layouts, and their physical parameters [b, n_parameters].

        Images are as `detect` records them, with the learned values of the detector. Each of the `seeds` (0 to
        2**32 - 1) fixes dropout, ray tracing and noise of its image, whatever the others are.
        """
        device = self.low.device
        vectors = np.stack([layout.vector(self.n_max) for layout in layouts])
        vectors = torch.as_tensor(vectors, dtype=torch.float32, device=device)
        parameters = self.to_physical(self.regress(vectors, seeds=torch.tensor(seeds, device=device)))
        light = renderer.images(parameters, layouts, seeds=seeds)
        values = dict(zip(self.names, parameters.T, strict=True))
        return detect(light, values, seeds=seeds, white=self.white)[:, None], parameters


def _generator_of(material: Material, settings: GanSettings, state: dict[str, Tensor]) -> Generator:
    generator = Generator(material, settings)
    generator.load_state_dict(state)
    return generator


class PatchDiscriminator(nn.Module):
    """PatchGAN as CycleGAN uses it (Isola et al. 2017): one score per patch, 70 px with 3 layers.

    Instance instead of batch normalisation, so that each image is judged on its own. Images [b, 1, h, w] in [0, 1] go
    in, scores [b, 1, h', w'] come out: 1 for real, 0 for synthetic.
    """

    def __init__(self, *, layers: int = 3, channels: int = 64) -> None:
        super().__init__()
        widths = [channels * min(2**i, 8) for i in range(layers + 1)]
        modules = [nn.Conv2d(1, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for i, (n_in, n_out) in enumerate(pairwise(widths), start=1):
            convolution = nn.Conv2d(n_in, n_out, 4, stride=2 if i < layers else 1, padding=1)
            modules += [convolution, nn.InstanceNorm2d(n_out), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*modules, nn.Conv2d(widths[-1], 1, 4, stride=1, padding=1))
        for module in self.model:
            if isinstance(module, nn.Conv2d):
                xavier(module)

    def forward(self, images: Tensor) -> Tensor:
        return self.model(2 * images - 1)


def lsgan_loss(scores: Tensor, target: float) -> Tensor:
    """Mean squared distance of the scores to `target` (1 real, 0 synthetic), Mao et al. (2017)."""
    return (scores - target).square().mean()
