"""PoseFlowNet: where in the source photo each pixel of the target pose is found.

In: the two poses' maps and the articulated candidates (`pose_maps.propose`). Out, coarse to fine:
flow, visibility and the target's mask. The flow at every scale is a per-pixel mixture over the
parts' candidates, whose prior weights the network corrects, plus a bounded residual. The network
never sees the photo's colours, only its matte: in experiments it ignored them, and what is not
looked at cannot differ between rendered and real people. Residuals are zero in the face: a head is
rigid, and a stretched face is not the person's.

The stages' names follow Zheng, Chen, Xu, Luo, "Pose Flow Learning From Person Images for Pose
Guided Synthesis" (IEEE TIP 2021); the mixture and the pose inputs are our own.

Axes: B batch, K parts, h w pixels of a level: 1/8, 1/4 and 1/2 of the crop.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from motion_transfer.generator.blocks import (
    activate,
    conv,
    double,
    double_features,
    residual_blocks,
    zero_conv,
)
from motion_transfer.generator.parts import PART_NAMES, mix
from motion_transfer.generator.pose_maps import (
    MAP_CHANNELS,
    Candidates,
    PoseMaps,
    SourceMaps,
)
from motion_transfer.generator.warp import resize_flow

NUM_PARTS = len(PART_NAMES)
_LOGIT_GAIN = 4.0


class FlowLevel(NamedTuple):
    """What is known at one scale.

    flow: (B, 2, h, w) backward, in pixels of this level: `out[y, x] = source[y + dy, x + dx]`.
    visibility: (B, 1, h, w) logit: the source shows what the target shows here.
    mask: (B, 1, h, w) logit: the target person covers this pixel.
    part_logits: (B, K, h, w) of the mixture.
    residual: (B, 2, h, w) the part of the flow that no candidate explains, pixels of the crop.
    """

    flow: torch.Tensor
    visibility: torch.Tensor
    mask: torch.Tensor
    part_logits: torch.Tensor
    residual: torch.Tensor


class PoseFlow(NamedTuple):
    """Coarse (1/8) to fine (1/2).

    levels: three of `FlowLevel`.
    """

    levels: tuple[FlowLevel, FlowLevel, FlowLevel]

    @property
    def finest(self) -> FlowLevel:
        """The level at half the crop's size."""
        return self.levels[-1]

    def full(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Flow (pixels of the crop), visibility and mask logits at the crop's size."""
        fine = self.finest
        size = (2 * fine.flow.shape[-2], 2 * fine.flow.shape[-1])
        return resize_flow(fine.flow, size), double(fine.visibility), double(fine.mask)


class PoseFlowNet(nn.Module):
    """See the file's first lines.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the crop.
        use_mixture: False leaves the parts' weights at their prior (for ablation).
        residual_torso: bound of the residual in torsos. What is learned on rendered people does
            not hold for real ones, whose joints lie elsewhere under their clothes: 0 suits photos.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, int, int, int] = (32, 80, 128, 192),
        use_mixture: bool = True,
        residual_torso: float = 0.15,
    ) -> None:
        super().__init__()
        a, b, c, d = widths
        self.use_mixture = use_mixture
        self.residual_torso = residual_torso
        self.source_stem = nn.Sequential(
            conv(MAP_CHANNELS + 4, b, stride=2), nn.LeakyReLU(0.1), residual_blocks(b, 1)
        )
        self.stem = conv(MAP_CHANNELS + 3 * NUM_PARTS + 6, a)
        self.encode_2 = residual_blocks(a, 1)
        self.down_4, self.encode_4 = conv(a, b, stride=2), residual_blocks(b, 1)
        self.join_4 = conv(2 * b, b)
        self.down_8, self.encode_8 = conv(b, c, stride=2), residual_blocks(c, 2)
        self.down_16, self.encode_16 = conv(c, d, stride=2), residual_blocks(d, 3)
        self.up_8, self.decode_8 = conv(d + c, c), residual_blocks(c, 2)
        self.up_4, self.decode_4 = conv(c + b, b), residual_blocks(b, 2)
        self.up_2, self.decode_2 = conv(b + a, a), residual_blocks(a, 1)
        outputs = NUM_PARTS + 4  # weights, residual, visibility, mask
        self.head_8, self.head_4, self.head_2 = (zero_conv(n, outputs) for n in (c, b, a))

    def encode_source(self, source: SourceMaps) -> torch.Tensor:
        """(B, C, h, w) at 1/4; depends on the photo alone, so it is computed once."""
        mask = functional.pixel_unshuffle(source.mask, 2)
        return self.source_stem(torch.cat([source.pose.maps, mask], 1))

    def forward(
        self, source_features: torch.Tensor, target: PoseMaps, candidates: Candidates
    ) -> PoseFlow:
        """Flow from target to source.

        Args:
            source_features: from `encode_source`, as many samples as targets (or one for all).
            target: maps of the target poses.
            candidates: from `pose_maps.propose`.
        """
        mask_prior, seen_prior, analytic = _analytic(candidates)
        x = torch.cat([target.maps, analytic], 1)
        if x.is_cpu or x.is_cuda:
            x = x.contiguous(memory_format=torch.channels_last)
        x2 = self.encode_2(activate(self.stem(x)))
        x4 = self.encode_4(activate(self.down_4(x2)))
        x4 = x4 + self.join_4(torch.cat([x4, source_features.expand_as(x4)], 1))
        x8 = self.encode_8(activate(self.down_8(x4)))
        x16 = self.encode_16(activate(self.down_16(x8)))
        y8 = self.decode_8(activate(self.up_8(torch.cat([double_features(x16), x8], 1))))
        y4 = self.decode_4(activate(self.up_4(torch.cat([double_features(y8), x4], 1))))
        y2 = self.decode_2(activate(self.up_2(torch.cat([double_features(y4), x2], 1))))
        raw8 = self.head_8(activate(y8)).float()
        raw4 = self.head_4(activate(y4)).float() + double(raw8)
        raw2 = self.head_2(activate(y2)).float() + double(raw4)
        fine_hw = (x2.shape[-2], x2.shape[-1])
        levels = [
            self._level(raw, candidates, mask_prior, seen_prior, fine_hw)
            for raw in (raw8, raw4, raw2)
        ]
        return PoseFlow((levels[0], levels[1], levels[2]))

    def _level(
        self,
        raw: torch.Tensor,
        candidates: Candidates,
        mask_prior: torch.Tensor,
        seen_prior: torch.Tensor,
        fine_hw: tuple[int, int],
    ) -> FlowLevel:
        step = fine_hw[0] // raw.shape[-2]

        def coarse(x: torch.Tensor) -> torch.Tensor:
            return x if step == 1 else functional.avg_pool2d(x, step)

        full_hw = (2 * fine_hw[0], 2 * fine_hw[1])
        logits = coarse(candidates.prior)
        if self.use_mixture:
            logits = logits + _LOGIT_GAIN * raw[:, :NUM_PARTS]
        blended, _ = mix(candidates.affine, logits, full_hw)
        limit = self.residual_torso * candidates.torso_px[:, None, None, None]
        residual = limit * torch.tanh(raw[:, NUM_PARTS : NUM_PARTS + 2])
        residual = residual * (1 - coarse(candidates.face))
        return FlowLevel(
            (blended + residual) / (2 * step),
            coarse(seen_prior) + _LOGIT_GAIN * raw[:, -2:-1],
            coarse(mask_prior) + _LOGIT_GAIN * raw[:, -1:],
            logits,
            residual,
        )


def _analytic(candidates: Candidates) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Prior logits of mask and visibility, and the network's analytic input channels."""
    height, width = candidates.prior.shape[-2:]
    prior_flow, weights = mix(candidates.affine, candidates.prior, (2 * height, 2 * width))
    hidden = (weights * candidates.hidden).sum(1, keepdim=True)
    inside = (weights * candidates.inside).sum(1, keepdim=True)
    mask = (4 * candidates.outline).clamp(-4, 4)
    seen = torch.minimum(torch.minimum(mask, 3 - 6 * hidden), 8 * inside - 4)
    size = candidates.torso_px[:, None, None, None]
    channels = [
        (candidates.prior / 4).clamp(-3, 3), candidates.inside, candidates.hidden,
        prior_flow / size, hidden, inside, candidates.face, mask / 4,
    ]  # fmt: skip
    return mask, seen, torch.cat(channels, 1)
