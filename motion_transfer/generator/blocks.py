"""The layers that the three networks share."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def activate(x: torch.Tensor) -> torch.Tensor:
    """Leaky ReLU."""
    return functional.leaky_relu(x, 0.1)


def conv(inputs: int, outputs: int, *, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


def zero_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that gives zero before training."""
    layer = nn.Conv2d(inputs, outputs, 3, 1, 1)
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """Two convolutions added to the input; the identity before training, so no norm is needed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = zero_conv(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        return x + self.second(activate(self.first(activate(x))))


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    """A chain of residual blocks."""
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


def double(x: torch.Tensor) -> torch.Tensor:
    """Twice the size, bilinear."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def double_features(x: torch.Tensor) -> torch.Tensor:
    """Twice the size, nearest; a convolution follows that smooths."""
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def concat(*tensors: torch.Tensor) -> torch.Tensor:
    """Channels behind each other, in the smallest of the tensors' types and channels last.

    A convolution in half precision rounds its input anyway; joined in float32 that is twice the
    memory, and mixed memory formats are joined element by element.
    """
    dtype = min((t.dtype for t in tensors), key=lambda d: d.itemsize)
    return torch.cat([t.to(dtype, memory_format=torch.channels_last) for t in tensors], 1)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
