"""BlazePose's 33 key points: names, bones, mirror pairs.

Order and names follow MediaPipe's BlazePose GHUM (Bazarevsky et al., "BlazePose: On-device
Real-time Body Pose tracking", CVPR workshops 2020). Left and right are the person's own.
"""

BLAZEPOSE = "blazepose33"
JOINTS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer",
    "right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear",
    "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee",
    "left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
INDEX = {name: number for number, name in enumerate(JOINTS)}
MIRROR = tuple(
    INDEX[n.replace("left", "right") if "left" in n else n.replace("right", "left")] for n in JOINTS
)
BONES = tuple(
    (INDEX[a], INDEX[b])
    for a, b in (
        ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
        ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"),
        ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("left_wrist", "left_index"), ("right_wrist", "right_index"),
        ("left_wrist", "left_pinky"), ("right_wrist", "right_pinky"),
        ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
        ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
        ("left_ankle", "left_heel"), ("left_heel", "left_foot_index"),
        ("right_ankle", "right_heel"), ("right_heel", "right_foot_index"),
        ("left_ankle", "left_foot_index"), ("right_ankle", "right_foot_index"),
        ("left_ear", "left_eye"), ("left_eye", "nose"),
        ("nose", "right_eye"), ("right_eye", "right_ear"), ("mouth_left", "mouth_right"),
    )
)  # fmt: skip
