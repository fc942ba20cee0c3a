"""Poses: motion-capture clips carried over to a body, hand-made poses, finger curls."""

from __future__ import annotations

import dataclasses
import math

import numba
import numpy as np
from einops import rearrange

from motion_transfer.synth.body import Body


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """World rotations of some joints over time.

    Args:
        name: e.g. ``05_02``.
        rotations: (F, M, 4) float32, unit quaternions xyzw.
        root: (F, 3) float32, position of the hips in clip units, y up.
        joint_names: M names of the rig.
        child_names: M names; the bone to the child is turned onto `rest_directions`, empty if
            the rotation applies as it is.
        rest_directions: (M, 3) float32, direction of the bones at the clip's rest pose.
        leg_length: thigh plus shin in clip units.
        fps: frames per second.
    """

    name: str
    rotations: np.ndarray
    root: np.ndarray
    joint_names: tuple[str, ...]
    child_names: tuple[str, ...]
    rest_directions: np.ndarray
    leg_length: float
    fps: float = 30.0

    def __len__(self) -> int:
        return len(self.rotations)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pose:
    """What skinning needs: a vertex is the weighted sum of ``turn @ (v - rest) + position``.

    Args:
        turns: (J, 3, 3) float64, world rotation of each joint relative to rest.
        positions: (J, 3) float64, metres.
    """

    turns: np.ndarray
    positions: np.ndarray

    def moved(self, turn: np.ndarray, shift: np.ndarray) -> Pose:
        """The pose rotated by `turn` (3, 3) about the origin, then shifted."""
        return Pose(turns=turn @ self.turns, positions=self.positions @ turn.T + shift)


def axis_turn(axis: tuple[float, float, float] | np.ndarray, angle: float) -> np.ndarray:
    """(3, 3) rotation by `angle` radians about `axis` (Rodrigues)."""
    return np.asarray(_rodrigues(float(axis[0]), float(axis[1]), float(axis[2]), float(angle)))


@numba.njit(cache=True)
def _rodrigues(x, y, z, angle):
    length = math.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    c, s = math.cos(angle), math.sin(angle)
    t = 1 - c
    return np.array(
        [
            [c + t * x * x, t * x * y - s * z, t * x * z + s * y],
            [t * x * y + s * z, c + t * y * y, t * y * z - s * x],
            [t * x * z - s * y, t * y * z + s * x, c + t * z * z],
        ]
    )


def clip_pose(body: Body, clip: Clip, frame: float) -> Pose:
    """The pose of a body at a (fractional) frame of a clip.

    Args:
        body: who.
        clip: what.
        frame: in [0, len(clip) - 1]; between frames, rotations are blended linearly.

    Returns:
        The pose, hips where the clip has them, scaled to the body's legs.
    """
    low = min(int(frame), len(clip) - 1)
    high = min(low + 1, len(clip) - 1)
    share = frame - low
    a, b = clip.rotations[low].astype(float), clip.rotations[high].astype(float)
    b = np.where((a * b).sum(-1, keepdims=True) < 0, -b, b)
    quaternions = (1 - share) * a + share * b
    quaternions /= np.linalg.norm(quaternions, axis=-1, keepdims=True)
    turns = np.zeros((len(body.parents), 3, 3))
    given = np.zeros(len(body.parents), bool)
    if clip.name not in body.clip_rigs:
        body.clip_rigs[clip.name] = _clip_rig(body, clip)
    index, onto = body.clip_rigs[clip.name]
    turns[index] = _matrices(quaternions) @ onto
    given[index] = True
    rest = body.rest_joints
    scale = (rest[body.joint("LeftUpLeg"), 1] - rest[body.joint("LeftFoot"), 1]) / clip.leg_length
    root = ((1 - share) * clip.root[low] + share * clip.root[high]) * scale
    return solve(body, turns, given, root)


def _clip_rig(body: Body, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Rig joints of the clip's joints, and what turns the body's rest bones onto the clip's."""
    rest = body.rest_joints
    index = np.array([body.joint(name) for name in clip.joint_names])
    onto = np.tile(np.eye(3), (len(index), 1, 1))
    for k, child in enumerate(clip.child_names):
        if child and np.any(clip.rest_directions[k]):
            bone = rest[body.joint(child)] - rest[index[k]]
            onto[k] = turn_onto(bone, clip.rest_directions[k].astype(float))
    return index, onto


def stance_pose(body: Body, turns: dict[str, np.ndarray]) -> Pose:
    """A hand-made pose: the world rotations of some joints; the others follow their parents."""
    matrices = np.zeros((len(body.parents), 3, 3))
    given = np.zeros(len(body.parents), bool)
    root = int(np.flatnonzero(body.parents < 0)[0])
    matrices[root] = np.eye(3)
    given[root] = True
    for name, turn in turns.items():
        matrices[body.joint(name)] = turn
        given[body.joint(name)] = True
    return solve(body, matrices, given, body.rest_joints[root].astype(float))


def solve(body: Body, turns: np.ndarray, given: np.ndarray, root: np.ndarray) -> Pose:
    """Forward kinematics: joints that are not given keep their parent's rotation.

    Args:
        body: supplies the skeleton.
        turns: (J, 3, 3) world rotations relative to rest.
        given: (J,) bool, which of them hold.
        root: (3,) position of the root, metres.
    """
    turns = np.ascontiguousarray(turns, dtype=np.float64).copy()
    positions = np.zeros((len(turns), 3))
    _solve(
        body.joint_order, body.parents, body.rest_joints.astype(np.float64), given,
        np.asarray(root, np.float64), turns, positions,
    )  # fmt: skip
    return Pose(turns=turns, positions=positions)


def curl_fingers(
    body: Body, pose: Pose, flexion: tuple[float, float], noise: np.ndarray | None = None
) -> Pose:
    """Bend the fingers (the clips have no finger motion).

    Args:
        body: who.
        pose: what to change.
        flexion: radians per finger joint for the left and the right hand; 0 is flat.
        noise: (2, 5) radians added per finger, thumb last.
    """
    noise = np.zeros((2, 5)) if noise is None else noise
    turns, given = pose.turns.copy(), np.ones(len(pose.turns), bool)
    rest = body.rest_joints
    for side, (name, sign) in enumerate((("Left", 1.0), ("Right", -1.0))):
        across = rest[body.joint(name + "HandIndex1")] - rest[body.joint(name + "HandPinky1")]
        if np.linalg.norm(across) < 1e-6:
            continue
        hand = turns[body.joint(name + "Hand")]
        for number, finger in enumerate(("Index", "Middle", "Ring", "Pinky", "Thumb")):
            amount = flexion[side] + noise[side, number]
            bend = axis_turn(across, sign * amount * (0.25 if finger == "Thumb" else 1.0))
            total = np.eye(3)
            for k in "1234":
                joint = f"{name}Hand{finger}{k}"
                if joint not in body.joint_names:
                    continue
                if k != "4":
                    total = total @ bend
                turns[body.joint(joint)] = hand @ total
    root = int(np.flatnonzero(body.parents < 0)[0])
    return solve(body, turns, given, pose.positions[root])


def _matrices(quaternions: np.ndarray) -> np.ndarray:
    """Unit quaternions (N, 4) xyzw to rotations (N, 3, 3)."""
    x, y, z, w = quaternions.T
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return rearrange(np.stack(rows, -1), "n (a b) -> n a b", a=3)


def turn_onto(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The shortest rotation that takes one direction onto another."""
    start = start / np.sqrt(start @ start)
    end = end / np.sqrt(end @ end)
    (a, b, c), (x, y, z) = start, end
    p, q, r = b * z - c * y, c * x - a * z, a * y - b * x
    cross = np.array([[0, -r, q], [r, 0, -p], [-q, p, 0]])
    return np.eye(3) + cross + cross @ cross / max(1 + start @ end, 1e-6)


@numba.njit(cache=True)
def _solve(order, parents, rest, given, root, turns, positions):
    for j in order:
        parent = parents[j]
        if parent < 0:
            positions[j] = root
            continue
        if not given[j]:
            turns[j] = turns[parent]
        for a in range(3):
            positions[j, a] = positions[parent, a]
            for b in range(3):
                positions[j, a] += turns[parent, a, b] * (rest[j, b] - rest[parent, b])
