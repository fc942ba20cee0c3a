"""The ground truth is exact: flow carries colours, comes back, and lands on the same surface."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from motion_transfer.synth import truth
from motion_transfer.synth.camera import look_at
from motion_transfer.synth.light import Lighting
from motion_transfer.synth.motion import axis_turn, clip_pose
from motion_transfer.synth.render import (
    composite,
    encode_srgb,
    light_view,
    pose_body,
    rasterise,
)
from motion_transfer.synth.rig import KEYPOINTS, PART
from motion_transfer.synth.sheet import warp

SIZE = (256, 192)
FLAT = Lighting(
    ambient=np.array([[3.0] * 3] + [[0.0] * 3] * 8, np.float32),
    directions=np.zeros((0, 3), np.float32),
    colours=np.zeros((0, 3), np.float32),
)


def see(body, pose, factor=2, eye=(0.3, 1.2, 4.5), focal=420.0):
    camera = look_at(np.array(eye), np.array([0, 1.0, 0]), focal_px=focal, size_hw=SIZE)
    packed = pose_body(body, pose)
    view = rasterise(body, packed, camera, factor=factor)
    return packed, view, camera


def flat_picture(body, packed, view, camera):
    layer = light_view(body, packed, view, camera, FLAT, bump=0.0, gloss=np.zeros(5))
    return encode_srgb(composite(layer, np.zeros((*SIZE, 3), np.float32))), layer.alpha


def still(pose, body):
    """The pose above the origin."""
    return pose.moved(np.eye(3), -pose.positions[body.joint("Hips")] * (1, 0, 1))


def errors(body, first, second):
    """Colour, cycle and UV errors of the visible pixels of the second pose."""
    one, two = see(body, first), see(body, second)
    source, _ = flat_picture(body, *one)
    target, alpha = flat_picture(body, *two)
    flow, visible = truth.flow(body, two[1], one[1])
    back, _ = truth.flow(body, one[1], two[1])
    uv_one, uv_two = truth.surface(body, one[1]).uv, truth.surface(body, two[1]).uv
    seen = (visible > 0) & (alpha > 0.99)
    colour = np.abs(warp(source, flow) - target)[seen]
    cycle = np.linalg.norm(flow + warp(back, flow), axis=-1)[seen]
    uv = np.abs(warp(uv_one, flow) - uv_two).max(-1)[seen] * 1024
    return colour, cycle, uv, seen.sum()


def test_flow_of_the_doll_carries_its_colours(doll, wave):
    poses = [still(clip_pose(doll, wave, f), doll) for f in (3, 17)]
    colour, cycle, uv, count = errors(doll, *poses)
    assert count > 2000
    assert np.median(colour) <= 1.0
    assert np.median(cycle) <= 0.05
    assert np.median(uv) <= 2.5


def test_flow_of_an_avatar_carries_its_colours(assets):
    body = assets.body("Black_M_1_Casual")
    clip = assets.clip("05_11")
    found = [
        errors(body, *(still(clip_pose(body, clip, f), body) for f in pair))
        for pair in ((3, 30), (100, 40), (60, 140))
    ]
    colour, cycle, uv = (np.concatenate([f[k] for f in found]) for k in range(3))
    assert np.median(colour) <= 2.0
    assert np.median(cycle) <= 0.2
    assert (cycle < 2).mean() > 0.9
    assert np.median(uv) <= 2.5


def test_same_pose_has_zero_flow_and_is_all_visible(doll, wave):
    pose = still(clip_pose(doll, wave, 5), doll)
    _, view, _ = see(doll, pose)
    flow, visible = truth.flow(doll, view, view)
    body = truth.surface(doll, view).part > 0
    assert np.abs(flow).max() < 1e-3
    assert np.array_equal(visible > 0, body)


def test_whole_pixel_camera_shift_is_the_flow(doll, wave):
    """A principal point moved by (5, -3) moves every pixel by it: dx = +5 means "look right"."""
    pose = still(clip_pose(doll, wave, 5), doll)
    packed, view, camera = see(doll, pose)
    centre = (camera.centre_xy[0] + 5, camera.centre_xy[1] - 3)
    shifted = rasterise(doll, packed, dataclasses.replace(camera, centre_xy=centre))
    flow, visible = truth.flow(doll, view, shifted)
    seen = visible > 0
    assert np.allclose(flow[seen], (5, -3), atol=2e-3)


def test_an_arm_before_the_body_hides_it(doll):
    """The chest behind an arm is not visible, although the arm's own pixels are."""
    from motion_transfer.synth.motion import stance_pose

    apart = stance_pose(doll, {})
    across = stance_pose(
        doll, {"LeftArm": axis_turn((0, 1, 0), -1.5), "LeftForeArm": axis_turn((0, 1, 0), -3.0)}
    )
    one, two = see(doll, across), see(doll, apart)
    _, visible = truth.flow(doll, two[1], one[1])
    chest = truth.surface(doll, two[1]).part == PART["torso"]
    share = visible[chest].mean()
    assert 0.2 < share < 0.97


def test_supersampling_does_not_move_the_truth(doll, wave):
    """Flow and depth at pixel centres do not depend on the number of samples."""
    pose = still(clip_pose(doll, wave, 9), doll)
    depths = [truth.surface(doll, see(doll, pose, factor=f)[1]).depth for f in (1, 2, 3)]
    both = (depths[0] > 0) & (depths[1] > 0) & (depths[2] > 0)
    assert both.sum() > 2000
    for depth in depths[1:]:
        assert np.abs(depth - depths[0])[both].max() < 2e-3
        assert ((depth > 0) != (depths[0] > 0)).mean() < 1e-3


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_alpha_covers_the_silhouette(doll, wave, factor):
    """Coverage sums to the same area at every number of samples, and stays in place."""
    pose = still(clip_pose(doll, wave, 9), doll)
    packed, view, camera = see(doll, pose, factor=factor)
    _, alpha = flat_picture(doll, packed, view, camera)
    fine_packed, fine_view, _ = see(doll, pose, factor=9)
    _, fine = flat_picture(doll, fine_packed, fine_view, camera)
    assert abs(alpha.sum() / fine.sum() - 1) < 0.015
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for axis in (x, y):
        middle, fine_middle = (float((a * axis).sum() / a.sum()) for a in (alpha, fine))
        assert abs(middle - fine_middle) < 0.1


def test_key_points_lie_on_their_limbs(doll, wave):
    pose = still(clip_pose(doll, wave, 9), doll)
    packed, view, camera = see(doll, pose)
    points = truth.project_keypoints(truth.keypoints(doll, pose, packed), camera)
    part = truth.surface(doll, view).part
    for name, limb in (("left_knee", "left"), ("right_knee", "right")):
        x, y, _ = points[KEYPOINTS.index(name)]
        near = part[
            round(float(y)) - 3 : round(float(y)) + 4, round(float(x)) - 3 : round(float(x)) + 4
        ]
        assert np.isin(near, [PART[f"{limb}_upper_leg"], PART[f"{limb}_lower_leg"]]).mean() > 0.5
    assert (
        points[KEYPOINTS.index("left_shoulder"), 0] > points[KEYPOINTS.index("right_shoulder"), 0]
    )
    # The nose is nearer to the camera than the hips, so its depth is negative.
    assert points[KEYPOINTS.index("nose"), 2] < 0
