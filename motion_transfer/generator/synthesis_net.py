"""SynthesisNet: the picture, copied from the photo where it is visible and painted elsewhere.

Features of the photo at four scales are warped by the flow of each scale, gated by visibility, and
decoded with the target's pose and garment map. Out come RGB, alpha and a copy gate: where the gate
is open the result *is* the warped photo, at whatever resolution the photo has. For what no photo
shows, every garment class carries a code: mean features and colour of its pixels in the photo,
spread over the class's pixels in the target (as SEAN does, Zhu et al., CVPR 2020).

Axes: B batch, C channels, P garment classes, H W pixels of the crop, S photos of one person.
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
from motion_transfer.generator.garment_net import NUM_CLASSES, Garment, merge_warped
from motion_transfer.generator.pose_flow_net import PoseFlow
from motion_transfer.generator.pose_maps import MAP_CHANNELS
from motion_transfer.generator.warp import warp


class Appearance(NamedTuple):
    """A photo's looks, computed once.

    rgb: (B, 3, H, W) in [0, 1].
    features: (B, C, h, w) at 1/8, 1/4, 1/2 and 1.
    code_sum: (B, P, C) features and colour of each class, summed over its pixels.
    code_mass: (B, P, 1) number of those pixels.
    """

    rgb: torch.Tensor
    features: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
    code_sum: torch.Tensor
    code_mass: torch.Tensor


class Synthesis(NamedTuple):
    """The generated person.

    rgb: (B, 3, H, W) in about [0, 1], the person's own colour (not multiplied by alpha).
    alpha: (B, 1, H, W) logit.
    gate: (B, 1, H, W) in [0, 1], 1 where `rgb` is copied.
    generated: (B, 3, H, W) what is painted where the gate is closed.
    copied: (B, 3, H, W) the warped photo.
    """

    rgb: torch.Tensor
    alpha: torch.Tensor
    gate: torch.Tensor
    generated: torch.Tensor
    copied: torch.Tensor


class SynthesisNet(nn.Module):
    """See the file's first lines.

    Args:
        source_widths: channels of the photo's features at 1, 1/2, 1/4 and 1/8.
        widths: channels of the decoder at 1, 1/2, 1/4, 1/8 and 1/16.
        use_copy: False paints everything (for ablation).
    """

    def __init__(
        self,
        *,
        source_widths: tuple[int, int, int, int] = (16, 32, 64, 128),
        widths: tuple[int, int, int, int, int] = (16, 48, 96, 160, 208),
        use_copy: bool = True,
    ) -> None:
        super().__init__()
        s1, s2, s4, s8 = source_widths
        a, b, c, d, e = widths
        self.use_copy = use_copy
        self.source_1 = conv(4, s1)
        self.source_2 = nn.Sequential(conv(s1, s2, stride=2), residual_blocks(s2, 1))
        self.source_4 = nn.Sequential(conv(s2, s4, stride=2), residual_blocks(s4, 1))
        self.source_8 = nn.Sequential(conv(s4, s8, stride=2), residual_blocks(s8, 1))
        self.code = nn.Conv2d(s4 + 3, 32, 1)
        self.context_2 = conv(MAP_CHANNELS + NUM_CLASSES + 2 + 32 + 3, b)
        self.context_4, self.context_8 = conv(b, c, stride=2), conv(c, d, stride=2)
        self.join_8 = conv(s8 + d + 1, d)
        self.down_16, self.decode_16 = conv(d, e, stride=2), residual_blocks(e, 2)
        self.up_8, self.decode_8 = conv(e + d, d), residual_blocks(d, 2)
        self.join_4, self.decode_4 = conv(s4 + c + d + 1, c), residual_blocks(c, 2)
        self.join_2, self.decode_2 = conv(s2 + b + c + 1, b), residual_blocks(b, 2)
        self.join_1 = conv(s1 + b + 3 + 1, a)
        self.decode_1 = residual_blocks(a, 1)
        self.head = zero_conv(a, 5)

    def encode_source(
        self, rgb: torch.Tensor, alpha: torch.Tensor, parse: torch.Tensor
    ) -> Appearance:
        """Encode a photo.

        Args:
            rgb: (B, 3, H, W) in [0, 1].
            alpha: (B, 1, H, W).
            parse: (B, P, H/2, W/2) probabilities.
        """
        picture = torch.cat([2 * rgb - 1, alpha], 1).contiguous(memory_format=torch.channels_last)
        x1 = activate(self.source_1(picture))
        x2 = activate(self.source_2(x1))
        x4 = activate(self.source_4(x2))
        x8 = activate(self.source_8(x4))
        small = functional.avg_pool2d(rgb, 4)
        values = torch.cat([x4.float(), small], 1).flatten(2)  # (B, C, N)
        member = functional.avg_pool2d(parse.float(), 2) * functional.avg_pool2d(alpha, 4)
        member = member.flatten(2)  # (B, P, N)
        sums = (member[:, :, None] * values[:, None]).sum(-1)
        return Appearance(rgb, (x8, x4, x2, x1), sums, member.sum(-1, keepdim=True))

    def forward(
        self,
        sources: Sequence[Appearance],
        flows: Sequence[PoseFlow],
        garment: Garment,
        target_maps: torch.Tensor,
    ) -> Synthesis:
        """Paint the target.

        Args:
            sources: per photo, from `encode_source`.
            flows: per photo, from PoseFlowNet.
            garment: from GarmentNet.
            target_maps: (B, `MAP_CHANNELS`, H/2, W/2).
        """
        full = [f.full() for f in flows]
        full_flows, full_seen = [f[0] for f in full], [f[1] for f in full]

        def merged(level: int) -> tuple[torch.Tensor, torch.Tensor]:
            fine = level == 3
            return merge_warped(
                [s.features[level] for s in sources],
                full_flows if fine else [f.levels[level].flow for f in flows],
                full_seen if fine else [f.levels[level].visibility for f in flows],
            )

        parse = torch.softmax(garment.parse, 1)
        codes, colour = self._spread_codes(sources, parse)
        around = torch.tanh(torch.cat([garment.alpha, merged(2)[1]], 1) / 4)
        k2 = activate(self.context_2(torch.cat([target_maps, parse, around, codes, colour], 1)))
        k4 = activate(self.context_4(k2))
        k8 = activate(self.context_8(k4))

        def join(level: int, *others: torch.Tensor) -> torch.Tensor:
            features, visible = merged(level)
            return concat(features, *others, torch.tanh(visible / 4))

        y8 = activate(self.join_8(join(0, k8)))
        y16 = self.decode_16(activate(self.down_16(y8)))
        y8 = self.decode_8(activate(self.up_8(torch.cat([double_features(y16), y8], 1))))
        y4 = self.decode_4(activate(self.join_4(join(1, k4, double_features(y8)))))
        y2 = self.decode_2(activate(self.join_2(join(2, k2, double_features(y4)))))
        copied, seen = _copy(sources, full_flows, full_seen)
        base = double(colour)
        y1 = self.decode_1(activate(self.join_1(join(3, double_features(y2), copied))))
        raw = self.head(activate(y1)).float()
        generated = base + raw[:, :3]
        gate = torch.sigmoid(seen + 4 * raw[:, 3:4])
        if not self.use_copy:
            gate = torch.zeros_like(gate)
        rgb = generated + gate * (copied - generated)
        return Synthesis(rgb, double(garment.alpha) + 4 * raw[:, 4:], gate, generated, copied)

    def _spread_codes(
        self, sources: Sequence[Appearance], parse: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Class codes (B, 32, h, w) and mean colours (B, 3, h, w) where the target's classes are.

        A class that no photo shows gets the mean of the person.
        """
        sums = torch.stack([s.code_sum for s in sources]).sum(0)
        mass = torch.stack([s.code_mass for s in sources]).sum(0)
        person = sums[:, 1:].sum(1, keepdim=True) / mass[:, 1:].sum(1, keepdim=True).clamp_min(1)
        code = (sums + 2 * person) / (mass + 2)  # (B, P, C)
        code, colour = code.expand(len(parse), -1, -1), code[..., -3:].expand(len(parse), -1, -1)
        shorter = self.code(code.transpose(1, 2)[..., None]).float()[..., 0]  # (B, 32, P)
        body = torch.cat([torch.zeros_like(parse[:, :1]), parse[:, 1:]], 1)
        body = body / body.sum(1, keepdim=True).clamp_min(1e-4)
        with torch.autocast(parse.device.type, enabled=False):  # not rounded to 8 bits
            return (
                torch.einsum("bcp,bphw->bchw", shorter, parse),
                torch.einsum("bpc,bphw->bchw", colour, body),
            )


def _copy(
    sources: Sequence[Appearance], flows: Sequence[torch.Tensor], seen: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The warped photos (B, 3, H, W), not gated, and the logit that any shows the pixel."""
    warped = [
        warp(s.rgb.expand(len(f), -1, -1, -1), f, padding="border")
        for s, f in zip(sources, flows, strict=True)
    ]
    if len(warped) == 1:
        return warped[0], seen[0]
    logits = torch.stack(list(seen))
    weights = torch.softmax(4 * logits, 0)
    return (torch.stack(warped) * weights).sum(0), logits.amax(0)
