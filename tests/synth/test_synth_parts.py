"""Small pieces of the engine: parts, key points, tracker noise, camera looks, maps."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from motion_transfer.pose.skeleton import JOINTS
from motion_transfer.synth.body import Texture
from motion_transfer.synth.camera import look_at
from motion_transfer.synth.light import many_lights, project_environment
from motion_transfer.synth.motion import axis_turn, clip_pose, stance_pose
from motion_transfer.synth.photo import Look, random_look, take_photo
from motion_transfer.synth.render import decode_srgb, encode_srgb, pose_body
from motion_transfer.synth.rig import KEYPOINTS, PARTS, TEN_OF_PART, part_of_joint
from motion_transfer.synth.shape import Shape, reshape
from motion_transfer.synth.tracking import BLAZEPOSE_SOURCES, TrackerNoise, to_blazepose, track

SILENT = TrackerNoise(
    spread_scale=0, shift_scale=0, swap=0, missing=0, missing_limb=0, bias_torso=0,
    depth_torso=0, flip_depth=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("joint", "part"),
    [
        ("LeftForeArm", "left_lower_arm"),
        ("RightHandIndex2", "right_hand"),
        ("LeftToeBase", "left_foot"),
        ("Neck", "torso"),  # the neck moves with the trunk
        ("LeftEye", "head"),
        ("RightShoulder", "torso"),  # the collar bone, not the arm
        ("Hips", "torso"),
    ],
)
def test_joints_belong_to_parts(joint, part):
    assert PARTS[part_of_joint(joint)] == part


def test_feet_and_hands_take_the_other_limbs_number():
    """DensePose numbers feet and hands the other way round; merged by parity they cross over."""
    ten = dict(zip(PARTS, TEN_OF_PART.tolist(), strict=True))
    assert ten["left_foot"] == ten["right_lower_leg"] == 4
    assert ten["right_hand"] == ten["left_lower_arm"] == 8
    assert ten["hair"] == ten["head"] == 10


def test_blazepose_order_follows_the_pose_package():
    for name, sources in zip(JOINTS, BLAZEPOSE_SOURCES, strict=True):
        if name in KEYPOINTS:
            assert sources == (name,)
    points = np.arange(len(KEYPOINTS) * 2, dtype=float).reshape(-1, 2)
    mapped = to_blazepose(points)
    assert mapped.shape == (33, 2)
    assert np.allclose(mapped[JOINTS.index("left_hip")], points[KEYPOINTS.index("left_hip")])


def figure() -> np.ndarray:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 200, (2, len(KEYPOINTS), 3))
    points[:, KEYPOINTS.index("neck"), :2] = (100, 50)
    for side in ("left", "right"):
        points[:, KEYPOINTS.index(side + "_hip"), :2] = (100, 120)
    return points


def test_silent_tracker_reports_the_truth():
    points = figure()
    out = track(points, np.random.default_rng(0), SILENT)
    assert np.allclose(out[..., :3], points, atol=1e-3)
    assert (out[..., 3] > 0).all()


def test_tracker_noise_has_the_measured_spread():
    points = np.repeat(figure()[:1], 4000, 0)
    noise = TrackerNoise(swap=0, missing=0, missing_limb=0, bias_torso=0, shift_scale=0, tail=0)
    out = track(points, np.random.default_rng(1), noise)
    torso = max(
        70.0,
        *(
            np.linalg.norm(
                points[0, KEYPOINTS.index(s + "_knee"), :2]
                - points[0, KEYPOINTS.index(s + "_hip"), :2]
            )
            for s in ("left", "right")
        ),
    )
    error = out[:, KEYPOINTS.index("left_ankle"), :2] - points[:, KEYPOINTS.index("left_ankle"), :2]
    assert np.allclose(error.std(0) / torso, (0.033, 0.072), rtol=0.08)


def test_tracker_pulls_ears_inwards():
    """BlazePose puts ears on the face's side of the true ear, whichever way the person faces."""
    points = np.repeat(figure()[:1], 2, 0)
    left, right = (KEYPOINTS.index(s + "_shoulder") for s in ("left", "right"))
    points[0, [left, right], 0] = (130, 70)  # seen from the front
    points[1, [left, right], 0] = (70, 130)  # from behind
    noise = dataclasses.replace(SILENT, shift_scale=1.0)
    ear = KEYPOINTS.index("left_ear")
    moved = track(points, np.random.default_rng(0), noise)[:, ear, 0] - points[:, ear, 0]
    assert moved[0] < 0 < moved[1]


def test_missing_joints_have_no_confidence():
    out = track(figure(), np.random.default_rng(2), TrackerNoise(missing=1.0))
    assert (out[..., 3] == 0).all()


def test_srgb_round_trip():
    codes = np.arange(256, dtype=np.uint8)
    assert np.abs(encode_srgb(decode_srgb(codes)) - codes).max() < 0.5


def test_plain_look_changes_nothing():
    codes = np.random.default_rng(0).integers(0, 256, (16, 12, 3), dtype=np.uint8)
    assert np.abs(take_photo(decode_srgb(codes), Look()).astype(int) - codes).max() <= 1


def test_random_looks_stay_pictures():
    linear = np.full((64, 48, 3), 0.2, np.float32)
    for seed in range(20):
        out = take_photo(linear, random_look(np.random.default_rng(seed), (64, 48)))
        assert out.shape == linear.shape
        assert out.dtype == np.uint8


def test_even_sky_lights_every_side_alike():
    sky = np.full((32, 64, 3), 0.7, np.float32)
    coefficients = project_environment(sky)
    assert np.allclose(coefficients[0] * 0.282095, 0.7, rtol=2e-2)
    assert np.abs(coefficients[1:]).max() < 2e-2
    lights = many_lights(sky, 64)
    facing = np.clip(lights.directions @ np.array([0, 1, 0]), 0, None)
    assert np.allclose((facing @ lights.colours)[0], 0.7, rtol=0.05)


def test_camera_projects_pixel_centres_onto_their_rays():
    camera = look_at(
        np.array([0.4, 1.3, 3.0]), np.array([0, 1.0, 0]), focal_px=300, size_hw=(64, 48), roll=0.1
    )
    rays = camera.rays()
    points = camera.position + 2.5 * rays[[10, 50], [40, 5]]
    assert np.allclose(camera.project(points), [[40, 10, 2.5], [5, 50, 2.5]], atol=1e-3)


def test_turning_an_arm_moves_only_that_arm(doll):
    rest = pose_body(doll, stance_pose(doll, {}))
    turned = pose_body(doll, stance_pose(doll, {"LeftArm": axis_turn((0, 0, 1), -1.0)}))
    moved = np.linalg.norm(turned[:, :3] - rest[:, :3], axis=1) > 1e-5
    assert set(np.unique(doll.part[moved])) == {
        PARTS.index("left_upper_arm"),
        PARTS.index("left_lower_arm"),
    }
    assert np.allclose(np.linalg.norm(turned[:, 3:6], axis=1), 1, atol=1e-4)


def test_bones_keep_their_length(doll, wave):
    pose = clip_pose(doll, wave, 12.5)
    for j, parent in enumerate(doll.parents):
        if parent >= 0:
            length = np.linalg.norm(pose.positions[j] - pose.positions[parent])
            rest = np.linalg.norm(doll.rest_joints[j] - doll.rest_joints[parent])
            assert np.isclose(length, rest)


def test_longer_legs_move_joints_and_skin_alike(doll):
    longer = reshape(doll, Shape(leg_scale=1.1))
    knee, hip = doll.joint("LeftLeg"), doll.joint("LeftUpLeg")
    assert np.isclose(longer.rest_joints[hip, 1], 1.1 * doll.rest_joints[hip, 1])
    assert np.isclose(longer.rest_joints[knee, 1], 1.1 * doll.rest_joints[knee, 1])
    shin = doll.part == PARTS.index("left_lower_leg")
    assert np.allclose(longer.vertices[shin, 1], 1.1 * doll.vertices[shin, 1], atol=1e-5)


def test_texture_says_what_is_wrong():
    with pytest.raises(
        ValueError, match=r"colour must be uint8 \(H, W, 4\), got uint8 \(4, 4, 3\)"
    ):
        Texture(
            colour=np.zeros((4, 4, 3), np.uint8), normal=np.zeros((4, 4, 3), np.uint8),
            wig=np.zeros((4, 4, 4), np.uint8), label=np.zeros((4, 4), np.uint8),
        )  # fmt: skip


def test_engine_runs_on_a_bare_machine():
    """Importing the engine pulls in no media library, tracker or web server.

    (numba imports scipy by itself where it is installed.)
    """
    code = """
import importlib, pkgutil, sys
import motion_transfer.synth as synth
for module in pkgutil.iter_modules(synth.__path__):
    importlib.import_module(f"motion_transfer.synth.{module.name}")
banned = "av decord skimage ai_edge_litert onnxruntime gradio pymatting imageio_ffmpeg"
print([name for name in banned.split() if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
