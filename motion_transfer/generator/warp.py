"""The only place that samples images: backward warping by flow.

Flow is (B, 2, H, W) as (dx, dy) in pixels: `out[y, x] = image[y + dy, x + dx]`. A position's
integer is a pixel centre, so `align_corners=False` with half a pixel added is exact.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def sample(image: torch.Tensor, xy: torch.Tensor, *, padding: str = "zeros") -> torch.Tensor:
    """Bilinear look-up at absolute positions.

    Args:
        image: (B, C, H, W).
        xy: (B, 2, h, w) positions in pixels of `image`, as (x, y).
        padding: "zeros" or "border", what lies outside.

    Returns:
        (B, C, h, w).
    """
    height, width = image.shape[-2:]
    x = (2 * xy[:, 0] + 1) / width - 1
    y = (2 * xy[:, 1] + 1) / height - 1
    return functional.grid_sample(
        image, torch.stack([x, y], -1), mode="bilinear", padding_mode=padding, align_corners=False
    )


def pixel_grid(height: int, width: int, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """(1, 2, H, W) the position of each pixel's centre."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=device),
        torch.arange(width, dtype=torch.float32, device=device),
        indexing="ij",
    )
    return torch.stack([x, y])[None]


def warp(image: torch.Tensor, flow: torch.Tensor, *, padding: str = "zeros") -> torch.Tensor:
    """Backward warp: `out[y, x] = image[y + dy, x + dx]`.

    Args:
        image: (B, C, H, W).
        flow: (B, 2, H, W) in pixels of `image`.
        padding: "zeros" or "border".
    """
    grid = pixel_grid(*flow.shape[-2:], device=flow.device)
    return sample(image, grid.to(flow.dtype) + flow, padding=padding)


def resize_flow(flow: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    """Resample a flow to another resolution and scale its vectors with it."""
    height, width = flow.shape[-2:]
    resized = functional.interpolate(flow, size_hw, mode="bilinear", align_corners=False)
    factor = flow.new_tensor([size_hw[1] / width, size_hw[0] / height])
    return resized * factor[:, None, None]
