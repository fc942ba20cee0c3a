"""Read BVH motion capture as clips."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from motion_transfer.synth.motion import Clip

SOURCES = {
    "Hips": "Hips", "Spine": "LowerBack", "Spine1": "Spine", "Spine2": "Spine1",
    "Neck": "Neck1", "Head": "Head",
    **{
        side + joint: side + joint
        for side in ("Left", "Right")
        for joint in ("Shoulder", "Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot")
    },
}  # fmt: skip
"""Joints of the rig, and the BVH joints (names of the CMU conversions) that turn them."""
_CHILDREN = {
    "Arm": ("ForeArm", "ForeArm"), "ForeArm": ("Hand", "Hand"),
    "Hand": ("HandMiddle1", "FingerBase"), "UpLeg": ("Leg", "Leg"), "Leg": ("Foot", "Foot"),
    "Foot": ("ToeBase", "ToeBase"),
}  # fmt: skip
"""The bone that a limb's rotation must carry: child on the rig, child in the BVH."""


def read_bvh(path: str | os.PathLike[str], *, fps: float = 30.0) -> Clip:
    """Read a BVH file, resampled by dropping frames.

    Args:
        path: the file; its joints must have the names in `SOURCES` (missing ones follow their
            parents).
        fps: frames per second of the clip.

    Raises:
        ValueError: the file is not BVH, or lacks the hips or the legs.
    """
    text = Path(path).read_text(errors="replace")
    hierarchy, found, motion = text.partition("MOTION")
    if not found:
        raise ValueError(f"{path} is not a BVH file: it has no MOTION block")
    names, parents, offsets, channels = _read_hierarchy(hierarchy)
    for needed in ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot"):
        if needed not in names:
            raise ValueError(
                f"{path}: joint {needed!r} is missing; rename the joints like those of the CMU "
                f"conversions, got {', '.join(names[:8])}, ..."
            )
    lines = motion.strip().splitlines()
    interval = float(lines[1].split(":")[1])
    values = np.array([[float(v) for v in line.split()] for line in lines[2:] if line.strip()])
    values = values[:: max(1, round(1 / (fps * interval)))]
    turns, root = _world_turns(values, parents, channels)
    rest = np.zeros((len(names), 3))
    for j, parent in enumerate(parents):
        rest[j] = offsets[j] + (rest[parent] if parent >= 0 else 0)
    joints = [joint for joint, source in SOURCES.items() if source in names]
    quaternions = [_quaternions(turns[:, names.index(SOURCES[joint])]) for joint in joints]
    children, directions = [], np.zeros((len(joints), 3), np.float32)
    for k, joint in enumerate(joints):
        side = next((s for s in ("Left", "Right") if joint.startswith(s)), "")
        own, theirs = _CHILDREN.get(joint.removeprefix(side), ("", ""))
        children.append(side + own if own else "")
        if own and side + theirs in names:
            bone = rest[names.index(side + theirs)] - rest[names.index(SOURCES[joint])]
            if np.linalg.norm(bone) > 1e-6:
                directions[k] = bone / np.linalg.norm(bone)
    legs = [np.linalg.norm(offsets[names.index(name)]) for name in ("LeftLeg", "LeftFoot")]
    return Clip(
        name=Path(path).stem,
        rotations=np.stack(quaternions, 1).astype(np.float32),
        root=root.astype(np.float32),
        joint_names=tuple(joints),
        child_names=tuple(children),
        rest_directions=directions,
        leg_length=float(sum(legs)),
        fps=fps,
    )


def _read_hierarchy(
    text: str,
) -> tuple[list[str], list[int], list[np.ndarray], list[list[str]]]:
    """Names, parents, offsets and channels of the joints; end sites are skipped."""
    names: list[str] = []
    parents: list[int] = []
    offsets: list[np.ndarray] = []
    channels: list[list[str]] = []
    stack: list[int] = []
    at_end_site = False
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] in ("ROOT", "JOINT"):
            parents.append(stack[-1] if stack else -1)
            stack.append(len(names))
            names.append(words[1])
            offsets.append(np.zeros(3))
            channels.append([])
        elif words[0] == "End":
            at_end_site = True
        elif words[0] == "OFFSET" and not at_end_site:
            offsets[stack[-1]] = np.array([float(word) for word in words[1:4]])
        elif words[0] == "CHANNELS":
            channels[stack[-1]] = words[2:]
        elif words[0] == "}":
            if at_end_site:
                at_end_site = False
            else:
                stack.pop()
    return names, parents, offsets, channels


def _world_turns(
    values: np.ndarray, parents: list[int], channels: list[list[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (F, J, 3, 3) and positions (F, 3) of the root."""
    frames = len(values)
    turns = np.empty((frames, len(parents), 3, 3))
    root = np.zeros((frames, 3))
    column = 0
    for j, parent in enumerate(parents):
        turn = np.tile(np.eye(3), (frames, 1, 1))
        for channel in channels[j]:
            axis = "XYZ".index(channel[0].upper())
            if channel.lower().endswith("position"):
                if parent < 0:
                    root[:, axis] = values[:, column]
            else:
                turn = turn @ _about(axis, np.radians(values[:, column]))
            column += 1
        turns[:, j] = turn if parent < 0 else turns[:, parent] @ turn
    return turns, root


def _about(axis: int, angles: np.ndarray) -> np.ndarray:
    """(F, 3, 3) rotations about a coordinate axis."""
    out = np.tile(np.eye(3), (len(angles), 1, 1))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    out[:, a, a] = out[:, b, b] = np.cos(angles)
    out[:, b, a] = np.sin(angles)
    out[:, a, b] = -np.sin(angles)
    return out


def _quaternions(turns: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) to unit quaternions (F, 4) xyzw, w not negative."""
    m = turns
    squares = np.stack(
        [
            1 + m[:, 0, 0] - m[:, 1, 1] - m[:, 2, 2],
            1 - m[:, 0, 0] + m[:, 1, 1] - m[:, 2, 2],
            1 - m[:, 0, 0] - m[:, 1, 1] + m[:, 2, 2],
            1 + m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2],
        ],
        -1,
    )
    # The four products with the largest component are exact for any rotation.
    xy, xz, yz = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    xw, yw, zw = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    table = np.stack(
        [
            np.stack([squares[:, 0], xy, xz, xw], -1),
            np.stack([xy, squares[:, 1], yz, yw], -1),
            np.stack([xz, yz, squares[:, 2], zw], -1),
            np.stack([xw, yw, zw, squares[:, 3]], -1),
        ],
        1,
    )
    out = table[np.arange(len(m)), squares.argmax(1)]
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return np.where(out[:, 3:] < 0, -out, out)
