"""Which way people point."""

from __future__ import annotations

import numpy as np
import pytest
from skeletons import make_track, metres

from motion_transfer.generator.heading import (
    MOST_NOD,
    calm_turns,
    find_facing,
    find_turned,
    head_turn,
    steady_turns,
    torso_yaw,
)
from motion_transfer.generator.limbs import extend_joints
from motion_transfer.pose.skeleton import INDEX

PX = 200.0


def seen(turn: float) -> tuple[np.ndarray, np.ndarray]:
    track = make_track([metres(turn=turn)], px=PX)
    return extend_joints(track.xy.astype(np.float64)), track.depth


@pytest.mark.parametrize("turn", [0, 20, -45, 80, 130, -170])
def test_yaw_of_a_person_who_turns(turn: float) -> None:
    # bug: left for right, or a back taken for a front
    joints, depth = seen(turn)
    assert np.degrees(torso_yaw(joints, depth))[0] == pytest.approx(turn, abs=1)
    yaw, pitch = np.degrees(head_turn(joints, PX))[0]
    assert yaw == pytest.approx(turn, abs=6)
    assert pitch == pytest.approx(0, abs=10)


def test_a_head_that_nods() -> None:
    joints, _ = seen(0)
    level = head_turn(joints, PX)[0, 1]
    joints[:, INDEX["nose"], 1] += 0.05 * PX
    assert np.degrees(head_turn(joints, PX)[0, 1] - level) == pytest.approx(27, abs=3)


def test_a_head_that_leans_is_not_turned() -> None:
    # bug: the nose of a head that leans to the side is off its ears' column
    joints, _ = seen(0)
    angle = np.radians(40)
    lean = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = joints[:, [INDEX["left_shoulder"], INDEX["right_shoulder"]]].mean(1, keepdims=True)
    joints = (joints - middle) @ lean + middle
    assert np.degrees(head_turn(joints, PX)[0, 0]) == pytest.approx(0, abs=2)


def test_without_depth() -> None:
    # bug: NaN with a track of key points in the picture alone
    joints, depth = seen(30)
    assert torso_yaw(joints, np.full_like(depth, np.nan))[0] == 0


def test_facing_and_turned() -> None:
    facing = np.array([find_facing(seen(t)[0], PX)[0] for t in (0, 90, 180)])
    assert facing == pytest.approx([1, 0, -1], abs=0.05)
    values = np.array([0.5, -0.1, -0.3, -0.1, 0.1])
    assert find_turned(values, slice(0, 5), ()).tolist() == [False, False, True, True, False]
    assert find_turned(values[3:], slice(1, 2), (True,)).tolist() == [True, False]


def test_steady_over_the_wrap() -> None:
    # bug: the mean of 179 and -179 degrees is 0: a face flashes on the back of a head
    yaw = np.radians([178.0, 179.0, -179.0, -178.0, -177.0])
    found = steady_turns(np.stack([yaw, 0 * yaw], -1), slice(1, 4), 1.0)
    assert (np.abs(np.degrees(found[:, 0])) > 177).all()
    alone = steady_turns(np.stack([yaw, 0 * yaw], -1), slice(1, 4), 0.0)
    assert alone[:, 0] == pytest.approx(yaw[1:4])


def test_noise_shrinks_and_turns_stay() -> None:
    angles = np.radians([[1.0, 0.5, 2.0], [60.0, 60.0, -90.0]])
    calm = np.degrees(calm_turns(angles, np.radians([10.0, 5.0, 10.0])))
    assert np.abs(calm[0]).max() < 0.1
    assert calm[1] == pytest.approx([60, np.degrees(MOST_NOD), -90], abs=2)
