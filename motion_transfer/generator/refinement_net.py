"""RefinementNet: what a drawn person still lacks to be a picture of one.

Sees the puppet's drawing and the pose, and says where outline and colour are wrong: seams at the
joints, rags, holes, halos, stretched texture. It draws nothing anew: where its gate stays open the
drawing is kept, at whatever resolution that has. A second stage that corrects the first one's
picture is from Ma et al., "Pose Guided Person Image Generation" (NeurIPS 2017).

Nothing changes in what is `held`: faces and hair, and in training skirts too, since those of the
rendered people that it learns from are stuck to the legs.

Axes: B batch, H W pixels of the crop, multiples of 16.
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
from motion_transfer.generator.pose_maps import MAP_CHANNELS

_OPEN = 3.0
"""The gate's logit before training: the drawing is kept."""
_HELD_PX = 4
CLOSES_PX = 2
"""Gaps and notches up to twice as wide are closed, and an outline grows nowhere else: how much
farther a body reaches is a guess, which looks like haze."""


class Refinement(NamedTuple):
    """What is to be done to a drawing.

    painted: (B, 3, H, W) in about [0, 1], the person's own colour where the gate is closed.
    gate: (B, 1, H, W) in [0, 1], 1 where the drawing's own colour stays.
    step: (B, 1, H, W) to add to alpha.
    """

    painted: torch.Tensor
    gate: torch.Tensor
    step: torch.Tensor


class RefinementNet(nn.Module):
    """See the file's first lines.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16.
    """

    def __init__(self, *, widths: tuple[int, int, int, int] = (32, 64, 112, 160)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.first, self.pose = conv(4 * 8, a), conv(MAP_CHANNELS, a)
        self.encode_2 = residual_blocks(a, 1)
        self.down_4, self.encode_4 = conv(a, b, stride=2), residual_blocks(b, 2)
        self.down_8, self.encode_8 = conv(b, c, stride=2), residual_blocks(c, 2)
        self.down_16, self.encode_16 = conv(c, d, stride=2), residual_blocks(d, 3)
        self.up_8, self.decode_8 = conv(d + c, c), residual_blocks(c, 1)
        self.up_4, self.decode_4 = conv(c + b, b), residual_blocks(b, 1)
        self.up_2, self.decode_2 = conv(b + a, a), residual_blocks(a, 1)
        self.head = zero_conv(a, 4 * 5)

    def forward(
        self, drawn: torch.Tensor, target_maps: torch.Tensor, held: torch.Tensor
    ) -> Refinement:
        """Look at a drawing.

        Args:
            drawn: (B, 5, H, W) colour multiplied by alpha, alpha, and how much of it a photo shows.
            target_maps: (B, `MAP_CHANNELS`, H/2, W/2).
            held: (B, 1, H, W) in [0, 1], 1 where nothing may change.
        """
        base = spread_colours(drawn[:, :4])
        seen = functional.pixel_unshuffle(torch.cat([drawn, base], 1) * 2 - 1, 2)
        seen = seen.contiguous(memory_format=torch.channels_last)
        maps = target_maps.contiguous(memory_format=torch.channels_last)
        x2 = self.encode_2(self.first(seen) + self.pose(maps))
        x4 = self.encode_4(self.down_4(activate(x2)))
        x8 = self.encode_8(self.down_8(activate(x4)))
        x16 = self.encode_16(self.down_16(activate(x8)))
        y8 = self.decode_8(self._join(self.up_8, x16, x8))
        y4 = self.decode_4(self._join(self.up_4, y8, x4))
        y2 = self.decode_2(self._join(self.up_2, y4, x2))
        raw = functional.pixel_shuffle(self.head(activate(y2)).float(), 2)
        wide = functional.max_pool2d(held, (1, 2 * _HELD_PX + 1), 1, (0, _HELD_PX))
        free = 1 - functional.max_pool2d(wide, (2 * _HELD_PX + 1, 1), 1, (_HELD_PX, 0))
        gate = torch.sigmoid(_OPEN + 4 * raw[:, 3:4])
        alpha = drawn[:, 3:4].float()
        step = torch.minimum(free * raw[:, 4:], close_gaps(alpha) - alpha)
        return Refinement(base + raw[:, :3], 1 - free * (1 - gate), step)

    @staticmethod
    def _join(layer: nn.Module, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        return layer(activate(torch.cat([double_features(coarse), fine], 1)))


def close_gaps(alpha: torch.Tensor) -> torch.Tensor:
    """A matte (B, 1, H, W), dilated and then eroded by `CLOSES_PX`."""
    size = 2 * CLOSES_PX + 1
    grown = functional.max_pool2d(alpha, size, 1, CLOSES_PX)
    return -functional.max_pool2d(-grown, size, 1, CLOSES_PX)


def spread_colours(rgba: torch.Tensor) -> torch.Tensor:
    """A picture's colours, carried on to where it has none.

    A pyramid of means, filled from coarse to fine (pull-push; Gortler et al., "The Lumigraph",
    SIGGRAPH 1996).

    Args:
        rgba: (B, 4, H, W) colour multiplied by alpha, and alpha; H and W multiples of 16.

    Returns:
        (B, 3, H, W).
    """
    levels = [rgba]
    while min(levels[-1].shape[-2:]) > 1 and len(levels) < 7:
        levels.append(functional.avg_pool2d(levels[-1], 2, ceil_mode=True))
    colour = levels[-1][:, :3] / levels[-1][:, 3:].clamp_min(1e-3)
    for level in reversed(levels[:-1]):
        own = level[:, :3] / level[:, 3:].clamp_min(1e-3)
        height, width = level.shape[-2:]
        colour = torch.lerp(
            double(colour)[..., :height, :width], own, (4 * level[:, 3:]).clamp(0, 1)
        )
    return colour


def apply_refinement(
    rgba: torch.Tensor, painted: torch.Tensor, gate: torch.Tensor, step: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A drawing with its refinement, at any resolution.

    Args:
        rgba: (B, 4, H, W) colour multiplied by alpha, and alpha.
        painted: (B, 3, H, W), see `Refinement`.
        gate: (B, 1, H, W).
        step: (B, 1, H, W).

    Returns:
        The person's own colour (B, 3, H, W), and alpha (B, 1, H, W), which may be outside of
        [0, 1].
    """
    alpha = rgba[:, 3:]
    own = rgba[:, :3] / alpha.clamp_min(1e-2)
    # a thin rim has hardly any colour of its own
    return torch.lerp(painted, own, gate * (4 * alpha).clamp(0, 1)), alpha + step
