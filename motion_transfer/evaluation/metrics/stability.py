"""Flicker and wandering backgrounds: what changes from frame to frame beyond the motion.

Axes: B pairs of consecutive frames, H W pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from motion_transfer.generator.warp import warp

AGREEMENT_PX = 1.5


def warping_error(
    now: torch.Tensor, then: torch.Tensor, flow: torch.Tensor, *, mask: torch.Tensor
) -> torch.Tensor:
    """Mean absolute difference of a frame and its neighbour carried onto it (after Lai et al.,
    "Learning Blind Video Temporal Consistency", ECCV 2018, equation 7, there squared).

    Args:
        now: (B, 3, H, W) in [0, 1], frame t.
        then: (B, 3, H, W), frame t + 1.
        flow: (B, 2, H, W) pixels, from t to t + 1: what is at p in `now` is at p + flow in `then`.
        mask: (B, 1, H, W) bool, where the flow is known and nothing is hidden.

    Returns:
        (B,); NaN where the mask is empty.
    """
    difference = (warp(then, flow, padding="border") - now).abs().mean(1, keepdim=True)
    on = mask.to(difference.dtype)
    return (difference * on).sum((1, 2, 3)) / on.sum((1, 2, 3))


def background_change(
    now: torch.Tensor, then: torch.Tensor, *, still: torch.Tensor
) -> torch.Tensor:
    """Mean absolute difference of two frames where nothing should move.

    Args:
        now: (B, 3, H, W) in [0, 1].
        then: (B, 3, H, W).
        still: (B, 1, H, W) bool, pixels that no person covers in either.

    Returns:
        (B,); NaN where no pixel is still.
    """
    return torch.where(still.bool(), (now - then).abs(), 0).sum((1, 2, 3)) / (
        3 * still.bool().sum((1, 2, 3))
    )


def estimate_flow(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Dense inverse search flow (Kroeger et al., ECCV 2016), no learning.

    Args:
        now: (H, W, 3) uint8.
        then: (H, W, 3) uint8.

    Returns:
        (2, H, W) float32 pixels, from `now` to `then`.
    """
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (now, then)]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    empty = np.zeros((*grey[0].shape, 2), np.float32)  # what to start from
    flow = search.calc(grey[0], grey[1], empty)
    return np.ascontiguousarray(flow.transpose(2, 0, 1))


def flow_agreement(there: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """(B, 1, H, W) bool: going there and back ends within 1.5 px of the start, so it is not hidden.

    Args:
        there: (B, 2, H, W) flow from one frame to another.
        back: (B, 2, H, W) flow from that to the first.
    """
    rest = there + warp(back, there, padding="border")
    return rest.norm(dim=1, keepdim=True) < AGREEMENT_PX
