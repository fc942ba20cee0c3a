"""Patch discriminators with spectral normalisation, for pictures and short clips.

Each patch is judged by itself (Isola et al., CVPR 2017); spectral normalisation keeps the hinge
loss stable (Miyato et al., ICLR 2018). For clips the frames are stacked on the channel axis.

Axes: B batch, T frames, C channels, H W pixels.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from motion_transfer.generator.blocks import activate


class Judgement(NamedTuple):
    """What a discriminator says.

    logits: (B, 1, h, w) per patch; positive is real.
    features: of its layers, for feature matching.
    """

    logits: torch.Tensor
    features: tuple[torch.Tensor, ...]


class PatchDiscriminator(nn.Module):
    """Judges patches of a picture.

    Args:
        channels: of the picture and its conditions together.
        width: channels of the first layer.
        depth: layers of stride 2.
    """

    def __init__(self, *, channels: int, width: int = 48, depth: int = 3) -> None:
        super().__init__()
        widths = [channels, *(min(width * 2**k, 384) for k in range(depth))]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in itertools.pairwise(widths)
        )
        self.head = spectral_norm(nn.Conv2d(widths[-1], 1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> Judgement:
        """(B, C, H, W) -> logits and features."""
        features = []
        for layer in self.layers:
            x = activate(layer(x))
            features.append(x)
        return Judgement(self.head(x), tuple(features))


class MultiScaleDiscriminator(nn.Module):
    """The same at several scales (Wang et al., CVPR 2018).

    Args:
        channels: of the picture and its conditions together.
        width: channels of the first layer.
        scales: 1, 1/2, ... of the picture.
    """

    def __init__(self, *, channels: int, width: int = 48, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(channels=channels, width=width) for _ in range(scales)
        )

    def forward(self, x: torch.Tensor) -> list[Judgement]:
        """(B, C, H, W) -> one judgement per scale."""
        judgements = []
        for number, judge in enumerate(self.scales):
            judgements.append(judge(functional.avg_pool2d(x, 2**number) if number else x))
        return judgements


class ClipDiscriminator(nn.Module):
    """Judges T consecutive frames together.

    Args:
        channels: of a frame and its conditions.
        frames: T.
        width: channels of the first layer.
    """

    def __init__(self, *, channels: int, frames: int = 2, width: int = 48) -> None:
        super().__init__()
        self.frames = frames
        self.judge = PatchDiscriminator(channels=channels * frames, width=width)

    def forward(self, clip: torch.Tensor) -> Judgement:
        """(B, T, C, H, W) -> logits and features."""
        if clip.shape[1] != self.frames:
            raise ValueError(f"clip must have {self.frames} frames, got {clip.shape[1]}")
        return self.judge(rearrange(clip, "b t c h w -> b (t c) h w"))
