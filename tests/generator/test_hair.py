"""Hair that no photo shows."""

from __future__ import annotations

from puppet import PX, cut, draw, pose

from motion_transfer.generator.hair import back_of_head
from motion_transfer.generator.limbs import extend_joints
from motion_transfer.pose.skeleton import INDEX


def test_hair_ends_round_on_a_nape() -> None:
    # bug: the back of a head is cut off straight
    puppet = draw(pose())
    joints = extend_joints(puppet.pose.xy[0].astype(float))
    layer = cut(puppet)[0]["head"]
    known = back_of_head(layer, joints, PX, shown=False)[0, 3] > 0.5
    x = round(float(joints[INDEX["nose"], 0])) - layer.box_xyxy[0] + 1
    deepest, *sides = (int(known[:, x + k].nonzero().max()) for k in (0, -18, 18))
    assert max(sides) < deepest - 4 and abs(sides[0] - sides[1]) <= 2
