"""SourceParser and GarmentNet: which garment is where, in the photo and in the target pose.

The parser labels the photo's pixels once. GarmentNet takes features of that map at three scales,
each warped by the flow of its own scale and gated by visibility, and decodes them with the target
pose into the target's garment map and outline, coarse to fine. Names after Zheng, Chen, Xu, Luo,
"Pose Flow Learning From Person Images for Pose Guided Synthesis" (IEEE TIP 2021).

Axes: B batch, C channels, P garment classes of `synth.rig.PARSE`, h w pixels of a level (1/8, 1/4
or 1/2 of the crop), S source photos of one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from motion_transfer.generator.blocks import (
    activate,
    concat,
    conv,
    double,
    double_features,
    residual_blocks,
    zero_conv,
)
from motion_transfer.generator.pose_flow_net import PoseFlow
from motion_transfer.generator.pose_maps import MAP_CHANNELS
from motion_transfer.generator.warp import warp

NUM_CLASSES = 9
_CHOICE = 2.0  # how sharply the photo that shows a pixel best is preferred


class Garment(NamedTuple):
    """The target's garments.

    coarse: parse logits (B, P, h, w) at 1/8 and 1/4.
    parse: (B, P, h, w) logits at 1/2.
    alpha: (B, 1, h, w) logit of the target's outline at 1/2.
    """

    coarse: tuple[torch.Tensor, torch.Tensor]
    parse: torch.Tensor
    alpha: torch.Tensor


def merge_warped(
    features: Sequence[torch.Tensor],
    flows: Sequence[torch.Tensor],
    visibility: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Warp the features of S photos and let the photo speak that shows a pixel best.

    Args:
        features: S of (B, C, h, w).
        flows: S of (B, 2, h, w), pixels of this size.
        visibility: S of (B, 1, h, w) logits.

    Returns:
        (B, C, h, w) gated by visibility: 0 where no photo shows the pixel; and the logit
        (B, 1, h, w) that any does.
    """
    warped = [
        warp(f.float().expand(len(flow), -1, -1, -1), flow)
        for f, flow in zip(features, flows, strict=True)
    ]
    if len(warped) == 1:
        return warped[0] * torch.sigmoid(visibility[0]), visibility[0]
    logits = torch.stack(list(visibility))  # (S, B, 1, h, w)
    weights = torch.softmax(_CHOICE * logits, 0) * torch.sigmoid(logits)
    return (torch.stack(warped) * weights).sum(0), logits.amax(0)


class SourceParser(nn.Module):
    """Labels the photo: RGB, matte and pose maps to garment logits at half the crop's size.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the crop.
    """

    def __init__(self, *, widths: tuple[int, int, int, int] = (32, 48, 96, 128)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = conv(4, 24, stride=2)
        self.join = conv(24 + MAP_CHANNELS, a)
        self.encode_2 = residual_blocks(a, 1)
        self.down_4, self.encode_4 = conv(a, b, stride=2), residual_blocks(b, 1)
        self.down_8, self.encode_8 = conv(b, c, stride=2), residual_blocks(c, 1)
        self.down_16, self.encode_16 = conv(c, d, stride=2), residual_blocks(d, 2)
        self.up_8, self.decode_8 = conv(d + c, c), residual_blocks(c, 1)
        self.up_4, self.decode_4 = conv(c + b, b), residual_blocks(b, 1)
        self.up_2, self.decode_2 = conv(b + a, a), residual_blocks(a, 1)
        self.head = zero_conv(a, NUM_CLASSES)

    def forward(self, rgb: torch.Tensor, alpha: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Label a photo.

        Args:
            rgb: (B, 3, H, W) in [0, 1].
            alpha: (B, 1, H, W).
            maps: (B, `MAP_CHANNELS`, H/2, W/2) of the photo's pose.

        Returns:
            (B, P, H/2, W/2) logits.
        """
        picture = torch.cat([2 * rgb - 1, alpha], 1).contiguous(memory_format=torch.channels_last)
        x = torch.cat([activate(self.stem(picture)), maps], 1)
        x2 = self.encode_2(activate(self.join(x)))
        x4 = self.encode_4(activate(self.down_4(x2)))
        x8 = self.encode_8(activate(self.down_8(x4)))
        x16 = self.encode_16(activate(self.down_16(x8)))
        y8 = self.decode_8(activate(self.up_8(torch.cat([double_features(x16), x8], 1))))
        y4 = self.decode_4(activate(self.up_4(torch.cat([double_features(y8), x4], 1))))
        y2 = self.decode_2(activate(self.up_2(torch.cat([double_features(y4), x2], 1))))
        body = functional.avg_pool2d(alpha, 2)
        outside = torch.cat([5 - 10 * body, torch.zeros_like(body).expand(-1, 8, -1, -1)], 1)
        return self.head(activate(y2)).float() + outside


class GarmentNet(nn.Module):
    """See the file's first lines.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the crop.
    """

    def __init__(self, *, widths: tuple[int, int, int] = (24, 64, 128)) -> None:
        super().__init__()
        a, b, c = widths
        self.source_2 = conv(NUM_CLASSES + 1, a)
        self.source_4, self.source_8 = conv(a, b, stride=2), conv(b, c, stride=2)
        self.pose_2 = conv(MAP_CHANNELS + 2, a)
        self.pose_4, self.pose_8 = conv(a, b, stride=2), conv(b, c, stride=2)
        self.join_8, self.decode_8 = conv(2 * c + 2, c), residual_blocks(c, 3)
        self.join_4, self.decode_4 = conv(c + 2 * b + 2, b), residual_blocks(b, 2)
        self.join_2, self.decode_2 = conv(b + 2 * a + 2, a), residual_blocks(a, 2)
        self.head_8, self.head_4 = zero_conv(c, NUM_CLASSES), zero_conv(b, NUM_CLASSES)
        self.head_2 = zero_conv(a, NUM_CLASSES + 1)

    def encode_source(self, parse: torch.Tensor, alpha: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Features of a photo's garment map, coarse to fine, then the map itself.

        Args:
            parse: (B, P, H/2, W/2) probabilities.
            alpha: (B, 1, H, W).
        """
        x = torch.cat([parse, functional.avg_pool2d(alpha, 2)], 1)
        x2 = activate(self.source_2(x.contiguous(memory_format=torch.channels_last)))
        x4 = activate(self.source_4(x2))
        return activate(self.source_8(x4)), x4, x2, parse

    def forward(
        self,
        sources: Sequence[tuple[torch.Tensor, ...]],
        flows: Sequence[PoseFlow],
        target_maps: torch.Tensor,
    ) -> Garment:
        """Garment map of the target.

        Args:
            sources: per photo, from `encode_source`.
            flows: per photo, from PoseFlowNet.
            target_maps: (B, `MAP_CHANNELS`, H/2, W/2).
        """
        mask = torch.stack([f.finest.mask for f in flows]).mean(0)
        merged = [
            merge_warped(
                [s[k] for s in sources],
                [f.levels[k].flow for f in flows],
                [f.levels[k].visibility for f in flows],
            )
            for k in range(3)
        ]
        copied, seen = merge_warped(
            [s[3] for s in sources],
            [f.finest.flow for f in flows],
            [f.finest.visibility for f in flows],
        )
        around = torch.tanh(torch.cat([mask, seen], 1) / 4)
        p2 = activate(self.pose_2(torch.cat([target_maps, around], 1)))
        p4 = activate(self.pose_4(p2))
        p8 = activate(self.pose_8(p4))

        def join(level: int, *others: torch.Tensor) -> torch.Tensor:
            features, visible = merged[level]
            here = functional.interpolate(mask, features.shape[-2:], mode="area")
            return concat(features, *others, torch.tanh(visible / 4), torch.tanh(here / 4))

        y8 = self.decode_8(activate(self.join_8(join(0, p8))))
        y4 = self.decode_4(activate(self.join_4(join(1, p4, double_features(y8)))))
        y2 = self.decode_2(activate(self.join_2(join(2, p2, double_features(y4)))))
        raw8 = self.head_8(activate(y8)).float()
        raw4 = self.head_4(activate(y4)).float() + double(raw8)
        raw2 = self.head_2(activate(y2)).float()
        # what the warped map says, and background outside of the outline
        start = 4 * copied
        start = torch.cat([start[:, :1] - mask.clamp(-6, 6), start[:, 1:]], 1)
        parse = raw2[:, :-1] + double(raw4) + start
        coarse = (
            raw8 + functional.avg_pool2d(start, 4), raw4 + functional.avg_pool2d(start, 2),
        )  # fmt: skip
        return Garment(coarse, parse, mask + 4 * raw2[:, -1:])
