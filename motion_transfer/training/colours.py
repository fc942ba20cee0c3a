"""People in other colours: nobody's shirt or skin has one to rely on.

Axes: B batch, N pictures of a person, H W pixels.
"""

from __future__ import annotations

import torch

_SWAPPED, _NEGATIVE = 0.3, 0.2  # probabilities


def draw_colours(
    batch: int, generator: torch.Generator, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gains, saturation, channels exchanged, negatives.

    Returns:
        Matrix (B, 3, 3) and offset (B, 3, 1, 1) for `recolour`.
    """
    chance = torch.rand(batch, 2, generator=generator)
    order = torch.rand(batch, 3, generator=generator).argsort(1)
    order = torch.where(chance[:, :1] < _SWAPPED, order, torch.arange(3))
    gain = 0.7 + 0.6 * torch.rand(batch, 3, 1, generator=generator)
    chroma = 0.5 + 0.8 * torch.rand(batch, 1, 1, generator=generator)
    matrix = gain * torch.eye(3)[order]
    matrix = (chroma * torch.eye(3) + (1 - chroma) / 3) @ matrix
    negative = (chance[:, 1] < _NEGATIVE)[:, None, None]
    matrix = torch.where(negative, -matrix, matrix)
    return matrix.to(device), negative.float().expand(-1, 3, -1)[..., None].to(device)


def recolour(
    rgb: torch.Tensor, alpha: torch.Tensor, matrix: torch.Tensor, offset: torch.Tensor
) -> torch.Tensor:
    """Colours (B, 3, H, W), multiplied by alpha (B, 1, H, W), in other colours."""
    found = torch.einsum("bij,bjhw->bihw", matrix, rgb) + offset * alpha
    return torch.minimum(found.clamp_min(0), alpha)


def other_colours(
    rgb: torch.Tensor, probability: float, generator: torch.Generator
) -> torch.Tensor:
    """Some of the people in other colours, each alike in all of their pictures.

    Args:
        rgb: (B, N, 3, H, W) uint8.
        probability: that a person is recoloured, in [0, 1].
        generator: of what is drawn.
    """
    matrix, offset = draw_colours(len(rgb), generator, rgb.device)
    kept = torch.rand(len(rgb), generator=generator).to(rgb.device) >= probability
    matrix = torch.where(kept[:, None, None], torch.eye(3, device=rgb.device), matrix)
    offset = torch.where(kept[:, None, None, None], 0.0, offset)
    flat = rgb.transpose(1, 2).flatten(2, 3).float() / 255
    found = recolour(flat, torch.ones_like(flat[:, :1]), matrix, offset)
    found = found.unflatten(2, (rgb.shape[1], rgb.shape[3])).transpose(1, 2)
    return (255 * found).round().byte()
