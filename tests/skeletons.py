"""People drawn as skeletons, in metres and as a camera sees them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from motion_transfer.pose.skeleton import INDEX, JOINTS
from motion_transfer.pose.track import PoseTrack

FPS = Fraction(30)
HEAD_JOINTS = [j for j in range(INDEX["mouth_right"] + 1)]


def metres(
    *, arms: float = 1.0, legs: float = 1.0, angles: dict[str, float] | None = None,
    out_of_plane: dict[str, float] | None = None, turn: float = 0.0, sway: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """(33, 3) a person in metres, x right, y down, z away, feet on y = 0.

    `angles` turns limbs in the picture, in degrees from straight down, outwards; `out_of_plane`
    turns them towards the camera; `turn` turns the person about the vertical.
    """
    angles, out_of_plane = angles or {}, out_of_plane or {}
    points = np.zeros((33, 3))
    for side, sign in (("left", 1), ("right", -1)):  # the person's left is at the picture's right

        def along(part: str, length: float, sign: int = sign, side: str = side) -> np.ndarray:
            angle = np.deg2rad(angles.get(f"{side}_{part}", angles.get(part, 5)))
            depth = np.deg2rad(out_of_plane.get(f"{side}_{part}", out_of_plane.get(part, 0)))
            flat = np.array([sign * np.sin(angle), np.cos(angle), 0]) * np.cos(depth)
            return length * (flat + np.array([0, 0, -np.sin(depth)]))

        def put(name: str, place: np.ndarray, side: str = side) -> np.ndarray:
            points[INDEX[f"{side}_{name}"]] = place
            return place

        shoulder = put("shoulder", np.array([sign * 0.18, -0.5, 0]))
        elbow = put("elbow", shoulder + along("upper_arm", 0.28 * arms))
        wrist = put("wrist", elbow + along("lower_arm", 0.25 * arms))
        for k, finger in enumerate(("index", "pinky", "thumb")):
            put(finger, wrist + along("lower_arm", 0.07) + [0.01 * k, 0, 0])
        hip = put("hip", np.array([sign * 0.1, 0, 0]))
        knee = put("knee", hip + along("thigh", 0.42 * legs))
        ankle = put("ankle", knee + along("shin", 0.4 * legs))
        put("heel", ankle + np.array([0, 0.05, 0.04]))
        put("foot_index", ankle + np.array([sign * 0.05, 0.06, -0.15]))
    for j in HEAD_JOINTS:
        name = JOINTS[j]
        sign = 1 if "left" in name else -1 if "right" in name else 0
        points[j] = [sign * (0.07 if "ear" in name else 0.03), -0.72, -0.1 * ("ear" not in name)]
        points[j, 1] += 0.06 if "mouth" in name else -0.03 if "eye" in name else 0
    points[:, 0] += sway
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    points = points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return points


def lowest(points: np.ndarray) -> float:
    feet = [INDEX[f"{s}_{p}"] for s in ("left", "right") for p in ("heel", "foot_index")]
    return float(points[feet, 1].max())


def make_track(
    people: list[np.ndarray], *, px: float = 200.0, size_hw: tuple[int, int] = (480, 640),
    ground_px: float = 440.0, x_px: float = 320.0, lift_m: list[float] | None = None,
) -> PoseTrack:  # fmt: skip
    """People in metres as seen by a camera, each standing on the ground unless lifted."""
    lift = lift_m or [0.0] * len(people)
    xy, depth, world = [], [], []
    for points, up in zip(people, lift, strict=True):
        down = np.array([0, -lowest(points) - up])
        xy.append((points[:, :2] + down) * px + [x_px, ground_px])
        hips = (points[INDEX["left_hip"]] + points[INDEX["right_hip"]]) / 2
        depth.append((points[:, 2] - hips[2]) * px)
        world.append(points - hips)
    count = len(people)
    return PoseTrack(
        xy=np.array(xy, np.float32), depth=np.array(depth, np.float32),
        confidence=np.full((count, 33), 0.95, np.float32), world=np.array(world, np.float32),
        present=np.ones(count, bool), times_seconds=np.arange(count) / float(FPS),
        fps=FPS, size_hw=size_hw,
    )  # fmt: skip
