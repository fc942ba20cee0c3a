"""BVH motion becomes clips."""

from __future__ import annotations

import numpy as np
import pytest

from motion_transfer.synth.bvh import read_bvh
from motion_transfer.synth.motion import axis_turn, clip_pose

BVH = """HIERARCHY
ROOT Hips
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
 JOINT LeftUpLeg
 {
  OFFSET 1 -1 0
  CHANNELS 3 Zrotation Yrotation Xrotation
  JOINT LeftLeg
  {
   OFFSET 0 -7 0
   CHANNELS 3 Zrotation Yrotation Xrotation
   JOINT LeftFoot
   {
    OFFSET 0 -8 0
    CHANNELS 3 Zrotation Yrotation Xrotation
    End Site
    {
     OFFSET 0 0 1
    }
   }
  }
 }
 JOINT LeftArm
 {
  OFFSET 2 6 0
  CHANNELS 3 Zrotation Yrotation Xrotation
  End Site
  {
   OFFSET 3 0 0
  }
 }
}
MOTION
Frames: 4
Frame Time: 0.0166667
0 17 0  0 90 0  0 0 0  0 0 0  0 0 0  90 0 0
0 17 0  0 90 0  0 0 0  0 0 0  0 0 0  90 0 0
0 17 3  0 0 0  20 30 40  0 0 0  0 0 0  0 0 0
0 17 3  0 0 0  20 30 40  0 0 0  0 0 0  0 0 0
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "step.bvh"
    file.write_text(BVH)
    return file


def test_clip_has_half_the_frames_of_60_fps(path):
    clip = read_bvh(path)
    assert len(clip) == 2
    assert clip.leg_length == 15
    assert np.allclose(clip.root, [[0, 17, 0], [0, 17, 3]])
    assert np.allclose(np.linalg.norm(clip.rotations, axis=-1), 1, atol=1e-6)


def test_pose_turns_children_with_their_parents(path, doll):
    clip = read_bvh(path)
    pose = clip_pose(doll, clip, 0)
    hips = axis_turn((0, 1, 0), np.pi / 2)
    arm = hips @ axis_turn((0, 0, 1), np.pi / 2)
    assert np.allclose(pose.turns[doll.joint("Hips")], hips, atol=1e-5)
    assert np.allclose(pose.turns[doll.joint("LeftArm")], arm, atol=1e-5)
    leg = axis_turn((0, 0, 1), np.radians(20)) @ axis_turn((0, 1, 0), np.radians(30))
    leg = leg @ axis_turn((1, 0, 0), np.radians(40))
    assert np.allclose(clip_pose(doll, clip, 1).turns[doll.joint("LeftUpLeg")], leg, atol=1e-5)


def test_other_files_are_named(tmp_path, path):
    (tmp_path / "x.bvh").write_text("hello")
    with pytest.raises(ValueError, match=r"x\.bvh is not a BVH file"):
        read_bvh(tmp_path / "x.bvh")
    path.write_text(BVH.replace("LeftLeg", "Shin"))
    with pytest.raises(ValueError, match="joint 'LeftLeg' is missing"):
        read_bvh(path)
