"""Sleeves of the trunk's own cloth are cut from it along the crease."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from puppet import COLOURS, PX, SIZE_HW, cut, draw, pose

from motion_transfer.generator.articulated import Source
from motion_transfer.generator.limbs import extend_joints
from motion_transfer.generator.sleeves import cut_at_crease
from motion_transfer.generator.working import Working
from motion_transfer.pose.skeleton import INDEX

BESIDE = {"upper_arm": 3, "lower_arm": 3}  # arms that touch the shirt


def jacket(angles: dict[str, float]) -> tuple[Source, np.ndarray]:
    """A puppet in sleeves like its trunk, which they shade; (h, w) bool its arms."""
    source = draw(pose(angles))
    colours = [colour for name, colour in COLOURS.items() if "arm" in name]
    off = np.min([np.abs(source.rgb.astype(int) - colour).max(-1) for colour in colours], 0)
    off[: round(float(source.pose.xy[0, INDEX["left_shoulder"], 1]) - 0.06 * PX)] = 255  # the face
    arms = cv2.morphologyEx((off < 60).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) > 0
    trunk = np.abs(source.rgb.astype(int) - COLOURS["torso"]).max(-1) < 60
    away = cv2.distanceTransform((~arms).astype(np.uint8), cv2.DIST_L2, 5)
    shade = np.where(arms, 0.85, np.clip(0.3 + (away - 1) / 8, 0.3, 1))[..., None]
    rgb = np.where((arms | trunk)[..., None], COLOURS["torso"] * shade, source.rgb)
    rng = np.random.default_rng(0)
    return replace(
        source, rgb=(rgb + rng.normal(0, 3, rgb.shape)).clip(0, 255).astype(np.uint8)
    ), arms


def working(source: Source) -> Working:
    joints = extend_joints(source.pose.xy[0].astype(np.float64))
    box = (0, 0, SIZE_HW[1], SIZE_HW[0])
    return Working.make(source.rgb, source.alpha, joints, PX, box, 1.0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_sleeve_ends_at_the_crease(side: str) -> None:
    # bug: a strip of the jacket goes along with the arm, or half of its sleeve stays
    source, arms = jacket(BESIDE)
    layers, _ = cut(source)
    shown = np.zeros(SIZE_HW, bool)
    for kind in ("upper", "lower"):
        layer = layers[f"{side}_{kind}_arm"]
        x0, y0, x1, y1 = layer.box_xyxy
        shown[y0:y1, x0:x1] |= layer.rgba[..., 3] > 0.5
    shoulder, wrist = (source.pose.xy[0, INDEX[f"{side}_{j}"], 1] for j in ("shoulder", "wrist"))
    lines = slice(round(0.7 * shoulder + 0.3 * wrist), round(wrist))
    half = (
        slice(0, SIZE_HW[1] // 2) if side == "right" else slice(SIZE_HW[1] - 1, SIZE_HW[1] // 2, -1)
    )
    inner = [line * np.arange(line.shape[1]) for line in (shown[lines, half], arms[lines, half])]
    off = np.abs(inner[0].max(1) - inner[1].max(1))
    assert off.mean() < 1.5 and off.max() <= 4


def test_the_crease_is_followed_where_key_points_are_off() -> None:
    # bug: the seam is a line beside the bone, whatever the picture shows
    source, arms = jacket(BESIDE)
    work = working(source)
    moved = work.joints.copy()
    moved[[INDEX["right_elbow"], INDEX["right_wrist"]], 0] -= 0.015 * PX
    lab = cv2.cvtColor(source.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    right = arms.copy()
    right[:, SIZE_HW[1] // 2 :] = False
    trunk = (work.matte > 0.9) & ~arms & (np.abs(work.grid[..., 0] - SIZE_HW[1] / 2) < 0.1 * PX)
    found = cut_at_crease(replace(work, joints=moved), lab, "right", right, trunk)
    assert found is not None
    sleeve, other = found
    assert (sleeve & ~arms).sum() < 0.04 * sleeve.sum()
    # but for the rim, which holds the crease
    inside = cv2.erode(right.astype(np.uint8), np.ones((5, 5))) > 0
    assert (other & inside).sum() < 0.04 * inside.sum()


def test_bare_and_bent_arms_have_no_such_crease() -> None:
    # bug: the shadow of a bare arm on a shirt is taken for its edge; a bent one is cut across
    bare = draw(pose(BESIDE))
    bent, _ = jacket({"left_upper_arm": 20, "left_lower_arm": -60})
    for source in (bare, bent):
        work = working(source)
        lab = cv2.cvtColor(source.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
        arm = (work.distance["left_upper_arm"] < 0.3) | (work.distance["left_lower_arm"] < 0.3)
        trunk = np.abs(work.grid - (SIZE_HW[1] / 2, work.joints[INDEX["left_shoulder"], 1] + 60))
        assert cut_at_crease(work, lab, "left", arm, trunk.max(-1) < 15) is None
    straight, _ = jacket(BESIDE)
    work = working(straight)
    lab = cv2.cvtColor(straight.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    arm = (work.distance["left_upper_arm"] < 0.3) | (work.distance["left_lower_arm"] < 0.3)
    trunk = np.abs(work.grid - (SIZE_HW[1] / 2, work.joints[INDEX["left_shoulder"], 1] + 60))
    assert cut_at_crease(work, lab, "left", arm, trunk.max(-1) < 15) is not None
