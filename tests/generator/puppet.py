"""A puppet of flat colours, drawn at known joints."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from skeletons import make_track, metres

from motion_transfer.generator.articulated import Source
from motion_transfer.generator.layers import cut_layers
from motion_transfer.generator.limbs import LIMBS
from motion_transfer.generator.working import Layer, Skirt
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.pose.track import PoseTrack

PX = 240  # for a metre
SIZE_HW = (520, 520)
GROUND = 490
FINE = 3  # drawn larger, then averaged down
COLOURS = {
    "left_thigh": (40, 60, 160), "right_thigh": (70, 110, 200), "left_shin": (120, 60, 150),
    "right_shin": (60, 150, 150), "torso": (200, 60, 50), "head": (220, 170, 130),
    "left_upper_arm": (230, 160, 30), "right_upper_arm": (60, 160, 60),
    "left_lower_arm": (250, 220, 80), "right_lower_arm": (130, 220, 110),
    "skirt": (90, 30, 90),
}  # fmt: skip
RADII = {"thigh": 0.075, "shin": 0.055, "upper_arm": 0.05, "lower_arm": 0.042}
A_POSE = {"upper_arm": 40, "lower_arm": 40, "thigh": 10, "shin": 5}


def pose(angles: dict[str, float] | None = None, **kind) -> PoseTrack:
    """One frame; the limbs in an A unless told otherwise."""
    return poses([metres(angles=A_POSE | (angles or {}), **kind)])


def poses(people: list[np.ndarray]) -> PoseTrack:
    """A track of several frames."""
    return make_track(people, px=PX, size_hw=SIZE_HW, ground_px=GROUND, x_px=SIZE_HW[1] / 2)


def raised(degrees: float, side: str = "left") -> dict[str, float]:
    return {f"{side}_upper_arm": degrees, f"{side}_lower_arm": degrees}


def draw(
    track: PoseTrack, *, skirt: bool | Literal["close", "shorts"] = False, bare: bool = False
) -> Source:
    """The photo of a puppet in the first pose of a track.

    Args:
        track: one frame.
        skirt: a wide one to the knees, a close one with a round hem above them, or shorts.
        bare: leave out the arms.
    """
    xy = (track.xy[0].astype(float) + 0.5) * FINE - 0.5
    canvas = np.zeros((SIZE_HW[0] * FINE, SIZE_HW[1] * FINE, 3), np.uint8)
    canvas[:] = 235
    mask = np.zeros(canvas.shape[:2], np.uint8)

    def joint(side: str, name: str) -> np.ndarray:
        return xy[INDEX[f"{side}_{name}"]]

    def line(points: list[np.ndarray], radius_m: float, colour: tuple[int, int, int]) -> None:
        path = [np.round(np.array(points)).astype(np.int32)]
        for image, value in ((canvas, colour), (mask, 255)):
            cv2.polylines(image, path, False, value, round(2 * radius_m * PX * FINE))

    def fill(points: list[np.ndarray], colour: tuple[int, int, int]) -> None:
        for image, value in ((canvas, colour), (mask, 255)):
            cv2.fillConvexPoly(image, np.round(np.array(points)).astype(np.int32), value)

    for side in ("left", "right"):
        toes = joint(side, "foot_index")
        line([joint(side, "knee"), joint(side, "ankle"), toes], RADII["shin"],
             COLOURS[f"{side}_shin"])  # fmt: skip
        line([joint(side, "hip"), joint(side, "knee")], RADII["thigh"], COLOURS[f"{side}_thigh"])
    out = np.array([0.05 * PX * FINE, 0])
    up = np.array([0, 0.05 * PX * FINE])
    fill([joint("right", "shoulder") - out / 2 - up, joint("left", "shoulder") + out / 2 - up,
          joint("left", "hip") + out + up, joint("right", "hip") - out + up],
         COLOURS["torso"])  # fmt: skip
    if skirt in ("close", "shorts"):
        hips = [joint(side, "hip") for side in ("right", "left")]
        hems = [
            h + 0.65 * (joint(s, "knee") - h) for s, h in zip(("right", "left"), hips, strict=True)
        ]
    if skirt == "close":
        middle = (hems[0] + hems[1]) / 2 + 1.2 * up
        fill([hips[0] - out, hips[1] + out, hems[1] + 2.7 * out, middle, hems[0] - 2.7 * out],
             COLOURS["skirt"])  # fmt: skip
    elif skirt == "shorts":
        for hip, hem in zip(hips, hems, strict=True):
            line([hip, hem], 1.2 * RADII["thigh"], COLOURS["skirt"])
    elif skirt:
        knees = [joint(side, "knee") for side in ("right", "left")]
        fill([joint("right", "hip") - out, joint("left", "hip") + out, knees[1] + 2.5 * out,
              knees[0] - 2.5 * out], COLOURS["skirt"])  # fmt: skip
    ears = (joint("left", "ear") + joint("right", "ear")) / 2
    neck = (joint("left", "shoulder") + joint("right", "shoulder")) / 2
    line([neck - up, ears], 0.05, COLOURS["head"])
    line([ears - 0.02 * PX * FINE, ears - 0.02 * PX * FINE + 1], 0.12, COLOURS["head"])
    for side in () if bare else ("right", "left"):
        line([joint(side, "shoulder"), joint(side, "elbow")], RADII["upper_arm"],
             COLOURS[f"{side}_upper_arm"])  # fmt: skip
        line([joint(side, "elbow"), joint(side, "wrist"), joint(side, "index")],
             RADII["lower_arm"], COLOURS[f"{side}_lower_arm"])  # fmt: skip
    size = (SIZE_HW[1], SIZE_HW[0])
    alpha = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    flat = canvas.copy()
    flat[mask == 0] = 0
    # colour at the edge is the person's own, as from `estimate_foreground`
    rgb = cv2.resize(flat, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    rgb = rgb / np.maximum(alpha, 0.05)[..., None]
    rgb[alpha == 0] = 235
    return Source(rgb=np.clip(rgb, 0, 255).astype(np.uint8), alpha=alpha, pose=track)


def hide(track: PoseTrack, *words: str) -> PoseTrack:
    """The same track, as if the photo did not show some joints."""
    confidence = track.confidence.copy()
    for name, joint in INDEX.items():
        if any(word in name for word in words):
            confidence[:, joint] = 0
    return replace(track, confidence=confidence)


def cut(source: Source) -> tuple[dict[str, Layer], Skirt | None]:
    """Its layers, and its skirt's outline."""
    shown = source.pose.confidence[0] >= 0.3
    return cut_layers(source.rgb, source.alpha, source.pose.xy[0], shown, PX)


def at(layer: Layer, x: int, y: int) -> tuple[np.ndarray, float, float]:
    """Colour in 0 to 255, alpha and visibility at a pixel of the photo; 0 outside of the layer."""
    x, y = x - layer.box_xyxy[0], y - layer.box_xyxy[1]
    height, width = layer.visible.shape
    if not (0 <= x < width and 0 <= y < height):
        return np.zeros(3), 0.0, 0.0
    rgba = layer.rgba[y, x]
    return rgba[:3] * 255, float(rgba[3]), float(layer.visible[y, x])


def middle_of(source: Source, limb: str) -> tuple[int, int]:
    """The pixel in the middle of a limb."""
    a, b = LIMBS[limb].main
    x, y = np.round((source.pose.xy[0, a] + source.pose.xy[0, b]) / 2).astype(int)
    return x, y


def shares(layer: Layer, colour: tuple[int, int, int]) -> float:
    """Share of a layer's visible pixels that have a colour."""
    seen = (layer.rgba[..., 3] > 0.9) & (layer.visible > 0.9)
    apart = np.abs(layer.rgba[..., :3][seen] * 255 - colour).max(-1)
    return float((apart < 25).mean())
