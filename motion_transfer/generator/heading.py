"""Which way a person's trunk and head point.

Yaw is about the axis of the trunk or head: 0 towards the camera, positive to the right of the
picture; pitch is positive downwards. Both in radians.

Axes: T frames, 38 joints as of `limbs.extend_joints`, 33 of them with depth.
"""

from __future__ import annotations

import numpy as np
import torch

from motion_transfer.generator.limbs import eyes_and_mouth
from motion_transfer.generator.motion import unit
from motion_transfer.pose.retarget import HEAD, MIDHIP, NECK
from motion_transfer.pose.skeleton import INDEX

MOST_TURN, MOST_NOD = np.radians(85), np.radians(10)
"""A head does not turn further against the trunk, nor is it nodded further against the photo."""
_TRUNK = ("shoulder", "hip")
_NOSE_M, _EARS_M = 0.105, 0.13  # the nose from between the ears; the ears from each other


def find_facing(joints: np.ndarray, scale: float | np.ndarray) -> np.ndarray:
    """(T,) 1 for a person who faces the camera, -1 for one seen from behind.

    Args:
        joints: (T, 38, 2) pixels.
        scale: pixels for a metre.
    """
    width = joints[:, INDEX["left_shoulder"], 0] - joints[:, INDEX["right_shoulder"], 0]
    hips = joints[:, INDEX["left_hip"], 0] - joints[:, INDEX["right_hip"], 0]
    return np.clip((width + hips) / (0.55 * scale), -1, 1)


def find_turned(facing: np.ndarray, wanted: slice, before: tuple[bool, ...]) -> np.ndarray:
    """(T,) bool: whether a frame shows the person's other side, with hysteresis.

    Then the whole picture of the person is kept the same way round: what was the limb at the left
    of the photo stays at the left, outer edges stay outside. There is nothing better to show.

    Args:
        facing: (T,) against the photo.
        wanted: frames of the block.
        before: what was found for the frames before it.
    """
    result = np.zeros(len(facing), bool)
    lead = wanted.start - len(before)
    for frame, value in enumerate(facing):
        if lead <= frame < wanted.start:
            result[frame] = before[frame - lead]
            continue
        was = result[frame - 1] if frame else False
        result[frame] = value < (0.0 if was else -0.2)
    return result


def head_up(joints: torch.Tensor) -> torch.Tensor:
    """(T, 2) unit vector to the crown: from the mouth to the eyes, steadied by the neck.

    Args:
        joints: (T, 38, 2).
    """
    eyes, mouth = eyes_and_mouth(joints)
    return unit(0.6 * unit(eyes - mouth) + 0.4 * unit(joints[:, HEAD] - joints[:, NECK]))


def torso_yaw(joints: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(T,) yaw of shoulders and hips; 0 where depth is not known.

    Args:
        joints: (T, 38, 2) pixels.
        depth: (T, 33) pixels, greater is farther.
    """
    up = joints[:, NECK] - joints[:, MIDHIP]
    right = _right(up)
    across = sum(joints[:, INDEX[f"left_{p}"]] - joints[:, INDEX[f"right_{p}"]] for p in _TRUNK)
    away = sum(depth[:, INDEX[f"left_{p}"]] - depth[:, INDEX[f"right_{p}"]] for p in _TRUNK)
    return np.arctan2(np.nan_to_num(away), (across * right).sum(-1))


def head_turn(joints: np.ndarray, scale: float | np.ndarray) -> np.ndarray:
    """(T, 2) yaw and pitch, from where the nose lies between the ears, and how far these are apart.

    Both are seen in the picture, so it takes no depth, which for a face is mostly noise.

    Args:
        joints: (T, 38, 2) pixels.
        scale: pixels for a metre.
    """
    left, right = joints[:, INDEX["left_ear"]], joints[:, INDEX["right_ear"]]
    up = head_up(torch.from_numpy(joints)).numpy()
    nose = joints[:, INDEX["nose"]] - (left + right) / 2
    aside, across = ((v * _right(up)).sum(-1) for v in (nose, left - right))
    down = -(nose * up).sum(-1) / (_NOSE_M * scale)
    yaw = np.arctan2(aside / _NOSE_M, across / _EARS_M)
    return np.stack([yaw, np.arcsin(np.clip(down, -1, 1))], -1)


def _right(up: np.ndarray) -> np.ndarray:
    """(T, 2) unit vectors to the right of the picture for an upright (T, 2) `up`."""
    turned = np.stack([-up[:, 1], up[:, 0]], -1)
    return turned / np.maximum(np.linalg.norm(turned, axis=-1, keepdims=True), 1e-6)


def steady_turns(angles: np.ndarray, wanted: slice, strength: float) -> np.ndarray:
    """(T', 2) of the wanted frames, averaged with two neighbours on either side.

    Args:
        angles: (T, 2) yaw and pitch; the yaw may wrap.
        wanted: frames.
        strength: 0 keeps them, 1 weighs neighbours like the frame itself.
    """
    frames = np.arange(len(angles))[wanted]
    directions = np.exp(1j * angles)
    total = directions[frames].copy()
    for step in (-2, -1, 1, 2):
        total += strength * directions[np.clip(frames + step, 0, len(angles) - 1)]
    return np.angle(total)


def calm_turns(angles: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Turns that are too small to be told from the tracker's noise shrink towards none.

    Args:
        angles: (T, 3) yaw, pitch and the trunk's yaw against the photo.
        noise: (3,) of them; a turn of this much is halved.

    Returns:
        (T, 3), the pitch within `MOST_NOD`.
    """
    calm = angles * angles**2 / (angles**2 + noise**2)
    calm[:, 1] = MOST_NOD * np.tanh(calm[:, 1] / MOST_NOD)
    return calm
