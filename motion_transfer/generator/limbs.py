"""The limbs of a person: joints, bones and sizes, and the names of the layers they become."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
import torch

from motion_transfer.pose.retarget import HEAD, NECK
from motion_transfer.pose.skeleton import INDEX

Joints = TypeVar("Joints", np.ndarray, torch.Tensor)
HAND_LEFT, HAND_RIGHT = 36, 37
# Radii of the parts in metres: typical adults in everyday clothes.
RADIUS = {"upper_arm": 0.065, "lower_arm": 0.05, "hand": 0.045,
          "thigh": 0.09, "shin": 0.065, "foot": 0.05}  # fmt: skip
SEEN_CONFIDENCE = 0.3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limb:
    """A chain of bones that one layer shows; the first may belong to the layer above it."""

    main: tuple[int, int]
    before: tuple[int, int] | None
    after: tuple[int, int] | None
    radius_m: float
    end_radius_m: float


def _limbs() -> dict[str, Limb]:
    limbs = {}
    for side, hand in (("left", HAND_LEFT), ("right", HAND_RIGHT)):
        j = {n.removeprefix(f"{side}_"): i for n, i in INDEX.items() if n.startswith(f"{side}_")}
        upper, lower = (j["shoulder"], j["elbow"]), (j["elbow"], j["wrist"])
        thigh, shin = (j["hip"], j["knee"]), (j["knee"], j["ankle"])
        limbs[f"{side}_shin"] = Limb(
            main=shin,
            before=thigh,
            after=(j["ankle"], j["foot_index"]),
            radius_m=RADIUS["shin"],
            end_radius_m=RADIUS["foot"],
        )
        limbs[f"{side}_thigh"] = Limb(
            main=thigh,
            before=None,
            after=shin,
            radius_m=RADIUS["thigh"],
            end_radius_m=RADIUS["shin"],
        )
        limbs[f"{side}_upper_arm"] = Limb(
            main=upper,
            before=None,
            after=lower,
            radius_m=RADIUS["upper_arm"],
            end_radius_m=RADIUS["lower_arm"],
        )
        limbs[f"{side}_lower_arm"] = Limb(
            main=lower,
            before=upper,
            after=(j["wrist"], hand),
            radius_m=RADIUS["lower_arm"],
            end_radius_m=RADIUS["hand"],
        )
    return limbs


LIMBS = _limbs()
# From far to near in an ordinary photo; ties in the target are broken the same way.
NAMES = (
    "left_thigh", "right_thigh", "left_shin", "right_shin", "torso", "skirt", "head",
    "left_upper_arm", "right_upper_arm", "left_lower_arm", "right_lower_arm",
)  # fmt: skip


def mirrored(name: str) -> str:
    """The limb of the other side."""
    side, _, kind = name.partition("_")
    return f"{'right' if side == 'left' else 'left'}_{kind}"


def extend_joints(xy: np.ndarray) -> np.ndarray:
    """(..., 33, C) -> (..., 38, C): with the middles of hips, shoulders, ears and both hands."""

    def middle(a: str, b: str) -> np.ndarray:
        return (xy[..., INDEX[a], :] + xy[..., INDEX[b], :]) / 2

    def fingertips(side: str) -> np.ndarray:  # the key points are the knuckles
        wrist = xy[..., INDEX[f"{side}_wrist"], :]
        return wrist + 1.7 * (middle(f"{side}_index", f"{side}_pinky") - wrist)

    extra = [
        middle("left_hip", "right_hip"),
        middle("left_shoulder", "right_shoulder"),
        middle("left_ear", "right_ear"),
        fingertips("left"),
        fingertips("right"),
    ]
    return np.concatenate([xy, np.stack(extra, -2)], -2)


def eyes_and_mouth(joints: Joints) -> tuple[Joints, Joints]:
    """(..., 2) the middle of the eyes, and of the mouth, of joints (..., 33 or more, 2)."""
    eyes = (joints[..., INDEX["left_eye"], :] + joints[..., INDEX["right_eye"], :]) / 2
    mouth = (joints[..., INDEX["mouth_left"], :] + joints[..., INDEX["mouth_right"], :]) / 2
    return eyes, mouth


def segment_distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of points (..., 2) to the segment from a (2,) to b (2,)."""
    along = b - a
    t = ((points - a) @ along) / max(float(along @ along), 1e-6)
    return np.linalg.norm(points - a - np.clip(t, 0, 1)[..., None] * along, axis=-1)


def half_widths(
    mask: np.ndarray, start: np.ndarray, end: np.ndarray, places: Sequence[float]
) -> list[float]:
    """How far a mask (h, w) reaches about a bone at shares of its length, pixels.

    Places outside of the mask are left out.
    """
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    height, width = mask.shape
    at = [np.round(start + t * (end - start)).astype(int) for t in places]
    found = [depth[y, x] for x, y in at if 0 <= x < width and 0 <= y < height]
    return [float(d) for d in found if d > 0]


def visible_head(shown: np.ndarray) -> bool:
    """Whether the photo shows the head: nose or ears."""
    return bool(shown[[INDEX["nose"], INDEX["left_ear"], INDEX["right_ear"]]].any())


def head_circle(joints: np.ndarray, metre: float) -> tuple[np.ndarray, float]:
    """Centre (2,) and radius of the skull, which the ears lie in the middle of."""
    return joints[HEAD] + 0.15 * (joints[HEAD] - joints[NECK]), 0.11 * metre
