"""Make exact key points look like a tracker's: BlazePose's biases and errors.

The figures were measured by `benchmarks.synth_tracker` (BlazePose full on 200 renders of held-out
people at 512 x 384) and are in units of the torso (neck to middle of the hips): the median offset
of each joint, because ears, nose, thumbs or toes are defined a little differently, and the robust
spread around it. The errors have a heavy tail: a tenth of the joints at three times the spread.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from motion_transfer.synth.rig import KEYPOINTS

_SPREAD = {
    "nose": (0.026, 0.028), "neck": (0.025, 0.025), "eye": (0.018, 0.019), "ear": (0.044, 0.043),
    "mouth": (0.022, 0.026), "shoulder": (0.034, 0.034), "elbow": (0.036, 0.045),
    "wrist": (0.030, 0.034), "hand": (0.035, 0.035), "index": (0.047, 0.041),
    "pinky": (0.056, 0.042), "thumb": (0.060, 0.072), "hip": (0.033, 0.055),
    "knee": (0.036, 0.048), "ankle": (0.033, 0.072), "heel": (0.054, 0.104),
    "toe": (0.078, 0.050),
}  # fmt: skip
# Offsets: away from the middle of a body seen from the front, and down.
_SHIFT = {
    "nose": (0.0, -0.048), "eye": (0.0, -0.015), "ear": (-0.064, 0.036), "mouth": (0.0, -0.027),
    "shoulder": (-0.008, -0.025), "knee": (0.0, -0.028), "ankle": (0.0, -0.032),
    "heel": (0.015, -0.010), "toe": (-0.012, 0.042), "thumb": (0.040, 0.007),
    "index": (0.021, 0.003), "pinky": (0.0, -0.025),
}  # fmt: skip
_LIMBS = (
    ("shoulder", "elbow", "wrist", "hand", "index", "pinky", "thumb"),
    ("hip", "knee", "ankle", "heel", "toe"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackerNoise:
    """How a tracker errs.

    Args:
        spread_scale: factor on the measured spread.
        shift_scale: factor on the differences of definition.
        tail: share of joints with three times the spread.
        swap: probability that left and right arms, or legs, change places.
        missing: probability that a joint is not found.
        missing_limb: probability that a whole limb is not found.
        bias_torso: spread of an offset per joint that the views of one person share.
        depth_torso: spread of the depth error.
        flip_depth: probability that the depth of a leg has the wrong sign.
    """

    spread_scale: float = 1.0
    shift_scale: float = 1.0
    tail: float = 0.1
    swap: float = 0.01
    missing: float = 0.01
    missing_limb: float = 0.02
    bias_torso: float = 0.02
    depth_torso: float = 0.22
    flip_depth: float = 0.12


def track(
    keypoints: np.ndarray, rng: np.random.Generator, noise: TrackerNoise | None = None
) -> np.ndarray:
    """What a tracker would report.

    Args:
        keypoints: (T, K, 3) x, y, depth in pixels, in the order of `rig.KEYPOINTS`; the T views
            of one person share their bias.
        rng: decides.
        noise: how much.

    Returns:
        (T, K, 4) float32 x, y, depth, confidence; the confidence of a missing joint is 0.
    """
    noise = noise or TrackerNoise()
    views, joints = keypoints.shape[:2]
    out = np.concatenate([keypoints, np.ones((views, joints, 1))], -1).astype(np.float32)
    hips = out[:, _index(("left_hip", "right_hip")), :2].mean(1)
    torso = np.linalg.norm(out[:, KEYPOINTS.index("neck"), :2] - hips, axis=-1)
    # A foreshortened torso says little about the person's size in the picture.
    legs = np.linalg.norm(
        out[:, _index(("left_knee", "right_knee")), :2]
        - out[:, _index(("left_hip", "right_hip")), :2],
        axis=-1,
    ).max(1)
    torso = np.maximum(torso, legs)[:, None, None]
    shift = np.array([_SHIFT.get(_stem(name), (0.0, 0.0)) for name in KEYPOINTS])
    outward = np.array([-1.0 if name.startswith("right") else 1.0 for name in KEYPOINTS])
    facing = np.sign(
        out[:, KEYPOINTS.index("left_shoulder"), 0] - out[:, KEYPOINTS.index("right_shoulder"), 0]
    )
    shift = np.repeat(shift[None], views, 0) * noise.shift_scale
    shift[..., 0] *= outward * facing[:, None]
    bias = rng.normal(0, noise.bias_torso, (1, joints, 2))
    spread = np.array([_SPREAD[_stem(name)] for name in KEYPOINTS]) * noise.spread_scale
    heavy = np.where(rng.random((views, joints, 1)) < noise.tail, 3.0, 1.0)
    unit = rng.standard_normal((views, joints, 2)) * heavy
    error = unit * spread
    out[..., :2] += (shift + bias + error) * torso
    size = np.linalg.norm(unit, axis=-1)
    out[..., 3] = np.clip(1.0 - 0.08 * size - rng.random((views, joints)) * 0.1, 0.2, 1.0)
    out[..., 2] += rng.standard_normal((views, joints)) * noise.depth_torso * torso[..., 0]
    for t in range(views):
        _misread(out[t], rng, noise)
    return out


def _misread(row: np.ndarray, rng: np.random.Generator, noise: TrackerNoise) -> None:
    """Swap sides, flip depths and lose joints of one view in place."""
    for limb in _LIMBS:
        left, right = (_index([f"{side}_{n}" for n in limb]) for side in ("left", "right"))
        if rng.random() < noise.swap:
            row[np.r_[left, right]] = row[np.r_[right, left]]
        for limb_joints in (left, right):
            if rng.random() < noise.missing_limb:
                row[limb_joints[1:], 3] = 0
    for side in ("left", "right"):
        if rng.random() < noise.flip_depth:
            row[_index([f"{side}_{n}" for n in ("knee", "ankle", "toe", "heel")]), 2] *= -1
    row[rng.random(len(row)) < noise.missing, 3] = 0


def _stem(name: str) -> str:
    return name.replace("left", "").replace("right", "").strip("_")


def _index(names: list[str] | tuple[str, ...]) -> np.ndarray:
    return np.array([KEYPOINTS.index(name) for name in names])


BLAZEPOSE_SOURCES: tuple[tuple[str, ...], ...] = (
    ("nose",), ("left_eye", "left_eye", "left_eye", "right_eye"), ("left_eye",),
    ("left_eye", "left_eye", "left_ear"),
    ("right_eye", "right_eye", "right_eye", "left_eye"), ("right_eye",),
    ("right_eye", "right_eye", "right_ear"), ("left_ear",), ("right_ear",), ("mouth_left",),
    ("mouth_right",), ("left_shoulder",), ("right_shoulder",), ("left_elbow",),
    ("right_elbow",), ("left_wrist",), ("right_wrist",), ("left_pinky",), ("right_pinky",),
    ("left_index",), ("right_index",), ("left_thumb",), ("right_thumb",), ("left_hip",),
    ("right_hip",), ("left_knee",), ("right_knee",), ("left_ankle",), ("right_ankle",),
    ("left_heel",), ("right_heel",), ("left_toe",), ("right_toe",),
)  # fmt: skip
"""Which key points each of BlazePose's 33 is the mean of (inner and outer eyes are mixtures)."""

_TO_BLAZEPOSE = np.zeros((len(BLAZEPOSE_SOURCES), len(KEYPOINTS)), np.float32)
for _row, _sources in enumerate(BLAZEPOSE_SOURCES):
    for _source in _sources:
        _TO_BLAZEPOSE[_row, KEYPOINTS.index(_source)] += 1 / len(_sources)


def to_blazepose(keypoints: np.ndarray) -> np.ndarray:
    """Key points (..., K, C) in `rig.KEYPOINTS` order to BlazePose's 33 joints (..., 33, C)."""
    return np.einsum("bk,...kc->...bc", _TO_BLAZEPOSE, keypoints)
