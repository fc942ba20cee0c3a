"""Overlaps of masks and label maps, and errors of flow.

Axes: B pictures, H W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch


def iou(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Intersection over union of boolean masks (B, ...), (B,); NaN where both are empty."""
    found, truth = found.flatten(1).bool(), truth.flatten(1).bool()
    return (found & truth).sum(1) / (found | truth).sum(1)


def f1_score(
    found: torch.Tensor, truth: torch.Tensor, *, where: torch.Tensor | None = None
) -> torch.Tensor:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    Args:
        found: (B, ...) bool.
        truth: (B, ...) bool.
        where: (B, ...) bool, the pixels that count; None: all.

    Returns:
        (B,); NaN where neither has a pixel.
    """
    found, truth = found.flatten(1).bool(), truth.flatten(1).bool()
    if where is not None:
        found, truth = found & where.flatten(1).bool(), truth & where.flatten(1).bool()
    return 2 * (found & truth).sum(1) / (found.sum(1) + truth.sum(1))


def mean_iou(found: torch.Tensor, truth: torch.Tensor, *, classes: Iterable[int]) -> torch.Tensor:
    """Mean intersection over union of those classes that a picture's truth or result shows.

    Args:
        found: (B, H, W) integer labels.
        truth: (B, H, W) integer labels.
        classes: the labels that count.

    Returns:
        (B,).
    """
    shares = torch.stack([iou(found == k, truth == k) for k in classes])
    return shares.nanmean(0)


def end_point_error(flow: torch.Tensor, truth: torch.Tensor, *, mask: torch.Tensor) -> torch.Tensor:
    """Mean length of the difference of two flows (Baker et al., IJCV 2011), pixels.

    Args:
        flow: (B, 2, H, W) in pixels.
        truth: the same shape.
        mask: (B, 1, H, W) bool, where it is known.

    Returns:
        (B,); NaN where nothing is known.
    """
    length = (flow - truth).norm(dim=1, keepdim=True)
    return torch.where(mask.bool(), length, 0).sum((1, 2, 3)) / mask.bool().sum((1, 2, 3))
