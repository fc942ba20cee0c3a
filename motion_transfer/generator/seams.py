"""Where layers touch in the photo: rims of fingers, mixed colours, a sleeve before its own cloth.

Labels are not exact to the pixel, and a pixel between two layers has the colours of both. What is
the wrong layer's there is filled in as if it were hidden.

Axes: h w working pixels. Colour distances are those of OpenCV's 8 bit CIELAB.
"""

from __future__ import annotations

import cv2
import numpy as np

from motion_transfer.generator.limbs import NAMES
from motion_transfer.generator.working import ENOUGH, Working, colour_distance

LIKE_FINGERS, LIKE_CLOTH = 25, 6
"""Pixels that look like a hand are its rims, but for those that look more surely like the cloth."""
NEAR_FINGERS_PX, MIXED_PX = 8, 2  # rims and mixed colours reach so far
MIXED, SAME_CLOTH = 8, 10
"""An arm's own colours differ by less, and those of two pieces of the same cloth."""
LEAST_PX = 5  # a piece of the same cloth is at least so wide


def finger_rims(work: Working, labels: np.ndarray) -> np.ndarray:
    """(h, w) bool: about the hands, what looks like them and is no part of an arm.

    A rim of a finger is enough to fill all that the hand hid with its colour.

    Args:
        work: the person.
        labels: (h, w) index into `NAMES`, -1 outside.
    """
    lab, rims = _lab(work), np.zeros(labels.shape, bool)
    for side in ("left", "right"):
        name = f"{side}_lower_arm"
        own = labels == NAMES.index(name)
        away = work.hand_distance([name])
        hand, core = own & (away < 1.2), own & (away < 0.7)
        near = _grown(hand, NEAR_FINGERS_PX) & (labels >= 0) & ~own
        cloth = np.isin(labels, [NAMES.index("torso"), NAMES.index("skirt")]) & ~near
        if core.sum() >= ENOUGH and near.any():
            found = colour_distance(lab, near, core) < LIKE_FINGERS
            if cloth.sum() >= ENOUGH:
                found &= colour_distance(lab, near, cloth) > LIKE_CLOTH
            rims[near] |= found
    return rims


def mixed_rim(work: Working, name: str, own: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """(h, w) bool: an arm's pixels beside what it hides, and in that one's colour or half of it.

    On a raised arm they are a line of shirt. Fingers are too thin to tell.

    Args:
        work: the person.
        name: of the arm.
        own: (h, w) bool, its pixels.
        behind: (h, w) bool, those of layers that it may hide.
    """
    near = _grown(behind, MIXED_PX)
    rim, inner = own & near & (work.hand_distance([name]) > 1.2), own & ~near
    if rim.any() and inner.sum() >= ENOUGH:
        rim[rim] = colour_distance(_lab(work), rim, inner) > MIXED
    return rim


def same_cloth(work: Working, known: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """(h, w) bool: of what a sleeve hides, where that looks like the cloth beneath it.

    Its folds look more like cloth than a smooth fill does.

    Args:
        work: the person.
        known: (h, w) bool, of the trunk or skirt what the photo shows.
        hidden: (h, w) bool, what arms hide of it.
    """
    alike = np.zeros(known.shape, np.uint8)
    if known.sum() >= ENOUGH and hidden.any():
        alike[hidden] = colour_distance(_lab(work), hidden, known) < SAME_CLOTH
    return cv2.morphologyEx(alike, cv2.MORPH_OPEN, np.ones((LEAST_PX, LEAST_PX), np.uint8)) > 0


def _lab(work: Working) -> np.ndarray:
    return cv2.cvtColor(work.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)


def _grown(mask: np.ndarray, px: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * px + 1,) * 2)) > 0
