"""Drawing key points for people to look at."""

from __future__ import annotations

import cv2
import numpy as np

from motion_transfer.pose.skeleton import BONES, JOINTS

LEFT, RIGHT, MIDDLE = (255, 170, 60), (90, 220, 255), (240, 240, 240)
DRAWN_CONFIDENCE = 0.05


def draw_pose(rgb: np.ndarray, xy: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Draw one person's skeleton; the person's left is orange, the right is blue.

    Args:
        rgb: (H, W, 3) uint8.
        xy: (33, 2) pixels; NaN is left out.
        confidence: (33,) in [0, 1]; joints that are not shown (0) are left out, doubtful are thin.

    Returns:
        (H, W, 3) uint8, a new picture.
    """
    image = rgb.copy()
    width = max(2, round(max(rgb.shape[:2]) / 250))
    shown = np.isfinite(xy).all(-1) & (confidence >= DRAWN_CONFIDENCE)
    points = np.round(np.nan_to_num(xy) * 8).astype(int)
    for a, b in BONES:
        if shown[a] and shown[b]:
            thick = width if min(confidence[a], confidence[b]) > 0.5 else max(1, width // 2)
            cv2.line(image, tuple(points[a]), tuple(points[b]), _colour(a, b), thick,
                     cv2.LINE_AA, 3)  # fmt: skip
    for joint in np.flatnonzero(shown).tolist():
        cv2.circle(image, tuple(points[joint]), width * 8, _colour(joint, joint), -1,
                   cv2.LINE_AA, 3)  # fmt: skip
    return image


def _colour(a: int, b: int) -> tuple[int, int, int]:
    sides = {"left" in JOINTS[j] for j in (a, b) if "left" in JOINTS[j] or "right" in JOINTS[j]}
    if len(sides) != 1:
        return MIDDLE
    return LEFT if sides.pop() else RIGHT
