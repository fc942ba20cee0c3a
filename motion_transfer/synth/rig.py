"""Joints, body parts and key-point orders of the rendered people.

Left and right are the person's own everywhere.
"""

from __future__ import annotations

import numpy as np

COCO18 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
EXTRA = (
    "right_hand", "left_hand", "right_toe", "left_toe", "right_heel", "left_heel",
    "right_index", "left_index", "right_pinky", "left_pinky", "right_thumb", "left_thumb",
    "mouth_right", "mouth_left",
)  # fmt: skip
KEYPOINTS = COCO18 + EXTRA
"""Names of the key points of every render: OpenPose's 18, then hands, feet and mouth."""

JOINT_OF_KEYPOINT = {
    "right_shoulder": "RightArm", "right_elbow": "RightForeArm", "right_wrist": "RightHand",
    "left_shoulder": "LeftArm", "left_elbow": "LeftForeArm", "left_wrist": "LeftHand",
    "right_hip": "RightUpLeg", "right_knee": "RightLeg", "right_ankle": "RightFoot",
    "left_hip": "LeftUpLeg", "left_knee": "LeftLeg", "left_ankle": "LeftFoot",
    "right_eye": "RightEye", "left_eye": "LeftEye",
    "right_hand": "RightHandMiddle1", "left_hand": "LeftHandMiddle1",
    "right_toe": "RightToeBase", "left_toe": "LeftToeBase",
    "right_index": "RightHandIndex1", "left_index": "LeftHandIndex1",
    "right_pinky": "RightHandPinky1", "left_pinky": "LeftHandPinky1",
    "right_thumb": "RightHandThumb2", "left_thumb": "LeftHandThumb2",
}  # fmt: skip
"""Key points that are joints of the rig; the others are points of the skin (`body.landmarks`)."""

PARTS = (
    "none", "torso", "head", "right_upper_arm", "left_upper_arm", "right_lower_arm",
    "left_lower_arm", "right_hand", "left_hand", "right_upper_leg", "left_upper_leg",
    "right_lower_leg", "left_lower_leg", "right_foot", "left_foot", "hair",
)  # fmt: skip
PART = {name: number for number, name in enumerate(PARTS)}

TEN_PARTS = (
    "background", "torso", "right_upper_leg", "left_upper_leg", "right_lower_leg_left_foot",
    "left_lower_leg_right_foot", "left_upper_arm", "right_upper_arm", "left_lower_arm_right_hand",
    "right_lower_arm_left_hand", "head",
)  # fmt: skip
TEN_OF_PART = np.array([0, 1, 10, 7, 6, 9, 8, 8, 9, 2, 3, 4, 5, 5, 4, 10], np.uint8)
"""`PARTS` to DensePose's 24 parts merged by parity.

Feet and hands are numbered the other way round from legs and arms in DensePose (left foot 5,
right foot 6, but right lower leg 11 and 13), so they land on the opposite limb's label.
"""

PARSE = (
    "background", "hair", "face", "upper", "lower", "dress", "arms", "legs", "shoes",
)  # fmt: skip
PARSE_INDEX = {name: number for number, name in enumerate(PARSE)}


def part_of_joint(name: str) -> int:
    """The entry of `PARTS` that the skin of a joint belongs to."""
    side = "right_" if name.startswith("Right") else "left_"
    stem = name.removeprefix("Right").removeprefix("Left")
    if stem.startswith(("Head", "Eye")):
        return PART["head"]
    if name == stem or stem == "Shoulder":
        return PART["torso"]
    limb = {"Arm": "upper_arm", "ForeArm": "lower_arm", "UpLeg": "upper_leg", "Leg": "lower_leg"}
    if stem in limb:
        return PART[side + limb[stem]]
    if stem.startswith(("Hand", "Finger")):
        return PART[side + "hand"]
    return PART[side + "foot"]
