"""The trunk has shoulders where arms hung."""

from __future__ import annotations

import math

import numpy as np
import pytest
from puppet import COLOURS, PX, SIZE_HW, draw, pose, poses, raised
from skeletons import metres
from test_articulated import cut, render, whole

from motion_transfer.generator.layers import cut_layers
from motion_transfer.generator.limbs import extend_joints
from motion_transfer.generator.shoulders import find_shoulders, shoulders_share
from motion_transfer.generator.working import Layer
from motion_transfer.pose.skeleton import INDEX

SOURCE = draw(pose({"upper_arm": 10, "lower_arm": 5}))
JOINTS = extend_joints(SOURCE.pose.xy[0].astype(float))


def layers() -> dict[str, Layer]:
    shown = np.ones(33, bool)
    return cut_layers(SOURCE.rgb, SOURCE.alpha, SOURCE.pose.xy[0], shown, PX)[0]


def test_discs_of_the_arms_own_pixels() -> None:
    # bug: the colour of the other arm, or of the shirt; a disc as wide as a person
    found = find_shoulders(layers(), JOINTS)
    assert found is not None
    x0, y0, x1, y1 = found.box_xyxy
    y, x = np.mgrid[y0:y1, x0:x1]
    usual, covered = np.pi * (0.05 * PX) ** 2, np.zeros(y.shape, bool)
    for side in ("left", "right"):
        joint = JOINTS[INDEX[f"{side}_shoulder"]]
        away = np.hypot(x - joint[0], y - joint[1])
        covered |= away < 0.08 * PX
        assert 0.5 * usual < found.rgba[away < 0.08 * PX, 3].sum() < 1.3 * usual
        own = found.rgba[(away < 0.04 * PX) & (y > joint[1]), :3] * 255
        assert np.abs(np.median(own, 0) - COLOURS[f"{side}_upper_arm"]).max() < 20
    assert not found.rgba[~covered, 3].any()


def test_without_arms_or_trunk_there_are_none() -> None:
    cut_up = layers()
    assert find_shoulders({n: v for n, v in cut_up.items() if "upper" not in n}, JOINTS) is None
    assert find_shoulders({n: v for n, v in cut_up.items() if n != "torso"}, JOINTS) is None
    assert find_shoulders({n: v for n, v in cut_up.items() if n != "left_upper_arm"}, JOINTS)


def test_an_arm_that_is_elsewhere_leaves_its_shoulder() -> None:
    # bug: above a raised arm stands the corner of the shirt
    target = pose(raised(150))
    drawn = whole(render(SOURCE, target))
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    joint = target.xy[0, INDEX["left_shoulder"]]
    outer = (np.hypot(x - joint[0], y - joint[1]) < 0.04 * PX) & (y > joint[1] + 0.02 * PX)
    skin = np.abs(drawn[outer][:, :3] - COLOURS["left_upper_arm"]).max(-1) < 40
    assert skin.mean() > 0.6
    generator = cut(SOURCE)
    assert generator._shoulders is not None


@pytest.mark.parametrize(
    ("degrees", "share"), [(0, 1.0), (10, 1.0), (-27.5, 0.5), (45, 0.0), (-170, 0.0)]
)
def test_of_a_trunk_that_turns_they_are_gone(degrees: float, share: float) -> None:
    # bug: from the side a ball of skin stands out of the chest
    assert shoulders_share(math.radians(degrees)) == pytest.approx(share)


@pytest.mark.parametrize(("turn", "seen"), [(0, True), (80, False), (180, False)])
def test_they_are_drawn_on_a_front(turn: float, seen: bool) -> None:
    # bug: on a back, which is drawn mirrored, they are those of the other side
    generator = cut(SOURCE)
    track = poses([metres(angles={"upper_arm": 10, "lower_arm": 5}, turn=turn)])
    plan, _ = generator.plan(track, slice(0, 1))
    assert bool(generator._pieces(plan, "torso", 0)) == seen
