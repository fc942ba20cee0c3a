"""Outlines as torn as those of cut-out photos.

A rendered person's matte is exact, so the puppet that is cut out of it has smooth sides. A photo's
is not: limbs that are taken apart have waves, notches and rags there. Drawings that are torn in
the same way, beside a truth that is not, teach to mend them.

Axes: B batch, H W pixels.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from motion_transfer.generator.warp import pixel_grid, sample

_RIM_PX = 4  # no farther from the outline is anything torn
_WAVES = ((4, 1.2), (9, 1.6))  # distance of the noise's nodes and its largest deviation, pixels
_PATCH_PX = 24  # some places are torn, some are not


def tear_rims(
    drawn: torch.Tensor, *, probability: float, generator: torch.Generator
) -> torch.Tensor:
    """Drawings with waves, notches and rags in places along their outlines.

    Args:
        drawn: (B, C, H, W), the fourth channel is alpha in [0, 1].
        probability: that a drawing is torn at all, in [0, 1].
        generator: of what is drawn.
    """
    batch, _, height, width = drawn.shape

    def noise(channels: int, spacing: int) -> torch.Tensor:
        nodes = (height // spacing + 1, width // spacing + 1)
        coarse = torch.randn(batch, channels, *nodes, generator=generator).to(drawn)
        return functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)

    def deviation(most: float) -> torch.Tensor:
        return most * torch.rand(batch, 1, 1, 1, generator=generator).to(drawn)

    moved = sum(deviation(most) * noise(2, spacing) for spacing, most in _WAVES)
    places = (4 * noise(1, _PATCH_PX)).clamp(0, 1)
    torn = torch.rand(batch, 1, 1, 1, generator=generator).to(drawn) < probability
    moved = moved * places * _rim(drawn[:, 3:4]) * torn
    return sample(drawn, pixel_grid(height, width, device=drawn.device) + moved)


def _rim(alpha: torch.Tensor) -> torch.Tensor:
    """(B, 1, H, W) in [0, 1], 1 along the outline, falling off on either side."""
    size = 2 * _RIM_PX + 1
    most, least = (s * functional.max_pool2d(s * alpha, size, 1, _RIM_PX) for s in (1, -1))
    return functional.avg_pool2d(most - least, 5, 1, 2)
