"""glTF characters become bodies that can be posed and rendered, with exact ground truth."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pygltflib", reason="the extra 'synth-assets' is not installed")

from characters import BONES, write_character
from test_truth import errors, see, still

from motion_transfer.synth.assets import Assets
from motion_transfer.synth.gltf import PARENT, read_gltf, rig_name
from motion_transfer.synth.motion import clip_pose, curl_fingers
from motion_transfer.synth.rig import PART
from motion_transfer.synth.truth import keypoints


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mixamorig:LeftUpLeg", "LeftUpLeg"),
        ("mixamorigRightHandThumb1", "RightHandThumb1"),
        ("LeftToeBase", "LeftToeBase"),
        ("leftUpperArm", "LeftArm"),  # VRM
        ("rightLittleProximal", "RightHandPinky1"),
        ("J_Bip_C_UpperChest", "Spine2"),  # VRoid
        ("J_Bip_L_LowerLeg", "LeftLeg"),
        ("upperarm_l", "LeftArm"),  # Unreal
        ("spine_01", "Spine"),
        ("thigh.R", "RightUpLeg"),  # Blender
        ("Bip01_L_Calf", "LeftLeg"),
        ("pelvis", "Hips"),
        ("LeftUpLegTwist", None),
        ("HairJoint", None),
    ],
)
def test_joint_names_are_understood(name, expected):
    assert rig_name(name) == expected


def test_every_joint_of_the_rig_knows_itself():
    for name in PARENT:
        assert rig_name(name) == name


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"style": "vrm"},
        {"back": True},  # as VRM 0 characters stand
        {"arm_degrees": 45.0},  # A-pose
        {"leave_scale": 100.0},  # centimetres
    ],
)
def test_rest_pose_is_the_same_however_it_was_exported(tmp_path, how):
    body = read_gltf(write_character(tmp_path / "box.glb", **how))
    assert body.name == "box"
    hands = {s: body.rest_joints[body.joint(s + "Hand")] for s in ("Left", "Right")}
    assert np.allclose(hands["Left"], (0.70, 1.45, 0), atol=2e-2)
    assert np.allclose(hands["Right"], (-0.70, 1.45, 0), atol=2e-2)
    assert abs(np.ptp(body.vertices[:, 1]) - 1.78) < 0.02
    assert abs(body.vertices[:, 1].min()) < 1e-4
    toes = body.vertices[body.part == PART["left_foot"]]
    assert toes[:, 2].max() > 0.15
    assert np.allclose(body.weights.sum(1), 1)
    for name, _, start, end, _ in BONES:
        own = body.vertices[body.joints[:, 0] == body.joint(name)]
        assert np.allclose(own.mean(0)[1:], (np.array(start) + end)[1:] / 2, atol=0.03), name


def test_missing_joints_are_named(tmp_path):
    path = write_character(tmp_path / "x.glb", without=("LeftForeArm", "RightLeg"))
    with pytest.raises(ValueError, match="no joints found for LeftForeArm, RightLeg; rename"):
        read_gltf(path)
    (tmp_path / "y.glb").write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"y\.glb"):
        read_gltf(tmp_path / "y.glb")
    (tmp_path / "z.glb").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"z\.glb is not a glTF"):
        read_gltf(tmp_path / "z.glb")


def test_ground_truth_of_a_character_is_right(tmp_path, wave):
    write_character(tmp_path / "gltf" / "boxes.glb", arm_degrees=30)
    assets = Assets(tmp_path)
    assert assets.body_names("train") == ["boxes"]
    body = assets.body("boxes")
    poses = [still(curl_fingers(body, clip_pose(body, wave, f), (0.4, 0.4)), body) for f in (3, 17)]
    colour, cycle, uv, count = errors(body, *poses)
    assert count > 2000
    assert np.median(colour) <= 2.0
    assert np.median(cycle) <= 0.05
    assert np.median(uv) <= 2.5
    packed, _, _ = see(body, poses[0])
    assert np.isfinite(keypoints(body, poses[0], packed)).all()
