"""Whether the person stands as asked: distances of key points.

Axes: T frames, K key points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from motion_transfer.pose.skeleton import INDEX

KNOWN_CONFIDENCE = 0.5
BODY = tuple(
    INDEX[f"{side}_{name}"]
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)


class KeypointDistance(NamedTuple):
    """Per frame: `px` and `torsos` (T,) mean distance, `missing` (T,) share of joints not found."""

    px: np.ndarray
    torsos: np.ndarray
    missing: np.ndarray


def torso_px(xy: np.ndarray) -> np.ndarray:
    """(T,) distance of the middles of shoulders and hips; `xy` (T, 33, 2)."""
    middles = [
        xy[:, [INDEX[f"left_{name}"], INDEX[f"right_{name}"]]].mean(1)
        for name in ("shoulder", "hip")
    ]
    return np.linalg.norm(middles[0] - middles[1], axis=-1)


def keypoint_distance(
    found_xy: np.ndarray,
    found_confidence: np.ndarray,
    true_xy: np.ndarray,
    true_confidence: np.ndarray,
    *,
    least_torso_px: float = 1.0,
) -> KeypointDistance:
    """Average key-point distance and missing rate (Siarohin et al., CVPR 2019) of twelve joints.

    A joint counts where the truth knows it with confidence 0.5; it is missing where the result's
    confidence is below that, and then it is not in the mean, so read both together.

    Args:
        found_xy: (T, 33, 2) pixels, what a tracker finds in the result.
        found_confidence: (T, 33); 0 in frames without a person.
        true_xy: (T, 33, 2) pixels, where the joints should be.
        true_confidence: (T, 33).
        least_torso_px: floor of the unit, for torsos that point at the camera.

    Returns:
        Distances and missing rate; NaN in frames where nothing can be compared.
    """
    joints = list(BODY)
    wanted = (true_confidence[:, joints] >= KNOWN_CONFIDENCE) & np.isfinite(true_xy[:, joints, 0])
    there = wanted & (found_confidence[:, joints] >= KNOWN_CONFIDENCE)
    there &= np.isfinite(found_xy[:, joints, 0])
    apart = np.linalg.norm(np.nan_to_num(found_xy - true_xy)[:, joints], axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        px = (apart * there).sum(1) / there.sum(1)
        missing = 1 - there.sum(1) / wanted.sum(1)
    unit = np.maximum(np.nan_to_num(torso_px(true_xy)), least_torso_px)
    return KeypointDistance(px, px / unit, missing)
