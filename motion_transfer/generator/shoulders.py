"""The round ends of upper arms, as the trunk has them.

When an arm is raised, there is still a shoulder where it hung: the trunk alone ends there in a
corner of its shirt. They go where the trunk goes, but do not turn in depth with its surface, which
would smear them over the back; they are gone when it is turned far, and arms hide its sides.

Coordinates are pixels of the photo, (x, y), an integer is a pixel centre.
"""

from __future__ import annotations

import math

import numpy as np

from motion_transfer.generator.limbs import LIMBS, half_widths
from motion_transfer.generator.working import Layer

_PLACES = (0.2, 0.3, 0.4)  # shares of an upper arm where its width is measured
_SOFT = 0.15  # of the radius
_TURN = (math.radians(15), math.radians(40))
"""Of the trunk against the photo, from which shoulders are seen less, and not at all."""


def find_shoulders(layers: dict[str, Layer], joints: np.ndarray) -> Layer | None:
    """Both shoulders in one layer.

    Args:
        layers: the person's.
        joints: (38, 2) as from `limbs.extend_joints`.

    Returns:
        Discs of the upper arms' own pixels about the joints; None without a trunk or arms.
    """
    arms = [n for n in ("left_upper_arm", "right_upper_arm") if n in layers]
    if "torso" not in layers or not arms:
        return None
    boxes = np.array([layers[name].box_xyxy for name in arms])
    (x0, y0), (x1, y1) = boxes[:, :2].min(0).tolist(), boxes[:, 2:].max(0).tolist()
    rgba = np.zeros((y1 - y0, x1 - x0, 4), np.float32)
    visible = np.zeros(rgba.shape[:2], np.float32)
    for name, (left, top, right, bottom) in zip(arms, boxes.tolist(), strict=True):
        layer = layers[name]
        corner = np.array([left, top])
        start, end = (joints[j] - corner for j in LIMBS[name].main)
        found = half_widths(layer.rgba[..., 3] > 0.5, start, end, _PLACES)
        radius = float(np.median(found)) if found else 0.0
        y, x = np.mgrid[: bottom - top, : right - left]
        away = np.hypot(x - start[0], y - start[1]) / max(radius, 1e-6)
        disc = layer.rgba[..., 3] * np.clip((1 - away) / _SOFT, 0, 1)
        window = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
        own = disc > rgba[window][..., 3]
        rgba[window][own] = np.dstack([layer.rgba[..., :3], disc])[own]
        visible[window][own] = layer.visible[own]
    if not rgba[..., 3].any():
        return None
    return Layer(name="torso", box_xyxy=(x0, y0, x1, y1), rgba=rgba, visible=visible)


def shoulders_share(yaw: float) -> float:
    """How much of them is seen, [0, 1], of a trunk that is turned from the photo's by radians."""
    return min(1.0, max(0.0, (_TURN[1] - abs(yaw)) / (_TURN[1] - _TURN[0])))
