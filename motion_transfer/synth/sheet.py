"""Contact sheets: samples with all their maps, for the eye."""

from __future__ import annotations

import cv2
import numpy as np

from motion_transfer.synth.rig import COCO18, KEYPOINTS, TEN_OF_PART
from motion_transfer.synth.sample import Sample

COLUMNS = (
    "source", "target", "key points (tracked: ring)", "10 parts", "garments", "UV", "depth",
    "flow", "source warped by flow",
)  # fmt: skip
_BONES = (
    ("nose", "neck"), ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"), ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"), ("neck", "right_hip"), ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"), ("neck", "left_hip"), ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"), ("nose", "right_eye"), ("nose", "left_eye"),
    ("right_eye", "right_ear"), ("left_eye", "left_ear"), ("right_wrist", "right_hand"),
    ("left_wrist", "left_hand"), ("right_ankle", "right_toe"), ("left_ankle", "left_toe"),
)  # fmt: skip


def hues(count: int) -> np.ndarray:
    """(count, 3) uint8: black, then distinct colours."""
    hsv = np.array([[[k * 67 % 180, 190 + 60 * (k % 2), 235]] for k in range(count)], np.uint8)
    colours = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))[:, 0].copy()
    colours[0] = 0
    return colours


def draw_flow(flow: np.ndarray, mask: np.ndarray, limit_px: float) -> np.ndarray:
    """(H, W, 3) uint8: direction as hue, length as brightness, white outside the mask."""
    angle = np.arctan2(flow[..., 1], flow[..., 0])
    length = np.linalg.norm(flow, axis=-1)
    hsv = np.stack(
        [
            (angle + np.pi) / (2 * np.pi) * 179,
            255 + 0 * angle,
            np.minimum(255, length / limit_px * 255),
        ],
        -1,
    )
    out = np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)).copy()
    out[~mask] = 255
    return out


def warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Sample an image (H, W, C) at x + dx, y + dy; for looking and testing only."""
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return np.asarray(cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR))


def sample_row(sample: Sample, target: int = 0) -> np.ndarray:
    """(H, 9 W, 3) uint8: one sample with its maps, see `COLUMNS`."""
    k = target + 1
    rgb, mask = sample.rgb[k], sample.part[k] > 0
    visible = sample.visible[target] > 0
    picture = (rgb * 0.45).astype(np.uint8)
    colours = hues(len(_BONES) + 1)
    where = {
        n: tuple(int(v) for v in sample.keypoints[k, i, :2] + 0.5) for i, n in enumerate(KEYPOINTS)
    }
    for number, (a, b) in enumerate(_BONES):
        colour = tuple(int(c) for c in colours[number + 1])
        cv2.line(picture, where[a], where[b], colour, 1, cv2.LINE_AA)
    for i, name in enumerate(KEYPOINTS):
        tracked = sample.tracked[k, i]
        if name in COCO18 and tracked[3] > 0:
            centre = (int(tracked[0] + 0.5), int(tracked[1] + 0.5))
            cv2.circle(picture, centre, 3, (255, 255, 255), 1, cv2.LINE_AA)
    uv = np.concatenate([sample.uv[k], np.full((*mask.shape, 1), 0.3)], -1) * 255
    uv[~mask] = 0
    depth = sample.depth[k]
    near = np.zeros(mask.shape)
    if mask.any():
        low, high = depth[mask].min(), depth[mask].max()
        near[mask] = 255 - 200 * (depth[mask] - low) / (high - low + 1e-6)
    warped = warp(sample.rgb[0], sample.flow[target])
    warped[mask & ~visible] = (255, 0, 255)
    warped[~mask] = 128
    panels = [
        sample.rgb[0], rgb, picture, hues(11)[TEN_OF_PART[sample.part[k]]],
        hues(9)[sample.parse[k]], uv, np.repeat(near[..., None], 3, -1),
        draw_flow(sample.flow[target], mask, 0.25 * mask.shape[0]), warped,
    ]  # fmt: skip
    return np.concatenate([panel.astype(np.uint8) for panel in panels], 1)


def contact_sheet(rows: list[np.ndarray], columns: int = 1) -> np.ndarray:
    """Stack rows of one size into `columns` columns."""
    while len(rows) % columns:
        rows = [*rows, np.zeros_like(rows[0])]
    lines = [np.concatenate(rows[i : i + columns], 1) for i in range(0, len(rows), columns)]
    return np.concatenate(lines, 0)
