"""Exact ground truth: what each pixel shows, where it went, and the key points."""

from __future__ import annotations

import dataclasses

import numpy as np

from motion_transfer.synth import raster
from motion_transfer.synth.body import Body, Texture
from motion_transfer.synth.camera import Camera
from motion_transfer.synth.motion import Pose
from motion_transfer.synth.render import View
from motion_transfer.synth.rig import JOINT_OF_KEYPOINT, KEYPOINTS, TEN_OF_PART

VISIBLE_TOLERANCE_M = 0.008
"""A point this far behind what is seen counts as seen (surfaces are sampled at pixel centres)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Surface:
    """What each pixel of a view shows; 0 where it shows no body.

    Args:
        uv: (H, W, 2) float32 in [0, 1].
        depth: (H, W) float32, metres in front of the camera.
        part: (H, W) uint8 of `rig.PARTS`.
        parse: (H, W) uint8 of `rig.PARSE`.
    """

    uv: np.ndarray
    depth: np.ndarray
    part: np.ndarray
    parse: np.ndarray

    @property
    def ten_parts(self) -> np.ndarray:
        """(H, W) uint8 of `rig.TEN_PARTS`."""
        return TEN_OF_PART[self.part]


def surface(body: Body, seen: View, texture: Texture | None = None) -> Surface:
    """Look up UV, depth, part and garment of each pixel."""
    size_hw = seen.size_hw
    out = Surface(
        uv=np.empty((*size_hw, 2), np.float32),
        depth=np.empty(size_hw, np.float32),
        part=np.empty(size_hw, np.uint8),
        parse=np.empty(size_hw, np.uint8),
    )
    raster.surface(
        seen.screen, body.uv, body.triangles, body.material, body.part,
        (texture or body.texture).label, seen.ids, seen.factor,
        out.uv, out.depth, out.part, out.parse,
    )  # fmt: skip
    return out


def flow(body: Body, seen: View, other: View) -> tuple[np.ndarray, np.ndarray]:
    """Where the surface seen in one view lies in the other view of the same body.

    Args:
        body: supplies the triangles.
        seen: the view whose pixels are asked about (the target).
        other: the view they are looked up in (the source).

    Returns:
        Backward flow (H, W, 2) float32, ``seen[y, x] = other[y + dy, x + dx]`` in pixels, 0
        without body; and (H, W) uint8, 1 where that point of the surface shows in `other`.
    """
    size_hw = seen.size_hw
    offset = np.empty((*size_hw, 2), np.float32)
    visible = np.empty(size_hw, np.uint8)
    raster.flow_between(
        seen.screen, body.triangles, seen.ids, seen.factor,
        other.screen, other.near, other.ids, other.factor,
        np.float32(VISIBLE_TOLERANCE_M), offset, visible,
    )  # fmt: skip
    return offset, visible


def keypoints(body: Body, pose: Pose, packed: np.ndarray) -> np.ndarray:
    """World positions (K, 3) of `rig.KEYPOINTS`, metres."""
    points = np.empty((len(KEYPOINTS), 3))
    for k, name in enumerate(KEYPOINTS):
        if name == "neck":
            sides = [pose.positions[body.joint(side + "Arm")] for side in ("Left", "Right")]
            points[k] = (sides[0] + sides[1]) / 2
        elif name in JOINT_OF_KEYPOINT:
            points[k] = pose.positions[body.joint(JOINT_OF_KEYPOINT[name])]
        else:
            points[k] = packed[body.landmarks[name], :3]
    return points


def project_keypoints(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Key points in the picture.

    Args:
        points: (K, 3) world positions in the order of `rig.KEYPOINTS`.
        camera: the view.

    Returns:
        (K, 3) float32: x, y in pixels and depth in pixels at image scale, smaller is nearer, 0
        at the middle of the hips.
    """
    seen = camera.project(points)
    hips = (seen[KEYPOINTS.index("left_hip"), 2] + seen[KEYPOINTS.index("right_hip"), 2]) / 2
    depth = (seen[:, 2] - hips) * camera.focal_px / hips
    return np.concatenate([seen[:, :2], depth[:, None]], 1).astype(np.float32)
