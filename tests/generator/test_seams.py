"""Where layers touch in the photo; layers' own tests look at the whole of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from puppet import COLOURS, PX, RADII, draw, pose

from motion_transfer.generator.limbs import HAND_LEFT, NAMES, extend_joints
from motion_transfer.generator.seams import finger_rims, same_cloth
from motion_transfer.generator.working import Working
from motion_transfer.pose.skeleton import INDEX


def test_cloth_beside_fingers_is_no_rim_of_them() -> None:
    # bug: the hand's key points lie on the robe too, and half of the chest is taken for fingers
    source = draw(pose({"left_upper_arm": 10, "left_lower_arm": -75}))
    joints = extend_joints(source.pose.xy[0].astype(float))
    work = Working.make(
        source.rgb, source.alpha, joints, PX, (0, 0, *source.alpha.shape[::-1]), 1.0
    )
    apart = np.abs(source.rgb.astype(int) - COLOURS["left_lower_arm"]).max(-1)
    labels = np.where(source.alpha > 0.5, NAMES.index("torso"), -1)
    labels[apart < 6] = NAMES.index("left_lower_arm")
    off = np.array([0, 1.2 * RADII["lower_arm"] * PX])  # the key points are, half of the hand
    aside = replace(work, joints=joints.copy())
    for joint in (INDEX["left_wrist"], HAND_LEFT):
        aside.joints[joint] += off
    labels[aside.hand_distance(["left_lower_arm"]) < 1] = NAMES.index("left_lower_arm")
    rims = finger_rims(aside, labels)
    shirt = np.abs(source.rgb.astype(int) - COLOURS["torso"]).max(-1) < 6
    assert rims[shirt].mean() < 0.001


def test_specks_of_a_like_colour_are_no_cloth() -> None:
    # bug: pores of a bare arm are printed on the shirt that it was before
    source = draw(pose())
    joints = extend_joints(source.pose.xy[0].astype(float))
    work = Working.make(source.rgb, source.alpha, joints, PX, (0, 0, 40, 40), 1.0)
    rgb = np.full((40, 40, 3), 200, np.uint8)
    known, hidden = (np.zeros((40, 40), bool) for _ in range(2))
    known[:, :10], hidden[:, 20:] = True, True
    rgb[:, :10] = rgb[5:20, 25:35] = (60, 60, 150)
    rgb[30::3, 20::3] = (60, 60, 150)
    found = same_cloth(replace(work, rgb=rgb), known, hidden)
    assert found[5:20, 25:35].all() and found.sum() == 150
