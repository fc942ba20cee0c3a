"""BlazePose's two networks on LiteRT, without mediapipe.

In: RGB frames, uint8 (H, W, 3). Out: people (`BlazePose.detect`) and, for one region of interest,
33 key points in the image, in metres, and a mask (`BlazePose.landmarks`).

Papers: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking" (CVPR workshops
2020); Grishchenko et al., "BlazePose GHUM Holistic" (CVPR workshops 2022). The steps around the
networks are those of MediaPipe 0.10.21's pose graphs (anchors, weighted non-maximum suppression,
region of interest, refinement by heat maps, rotation of the world points), written anew in numpy.

Coordinates. Everything given out has integers at pixel centres. The networks count from the edge
of their input, so that x there is x + 0.5 here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from motion_transfer import weights
from motion_transfer.pose.litert import Network, cut_crop, halved, sigmoid
from motion_transfer.pose.skeleton import JOINTS

DETECTOR_SIDE_PX = 224
CROP_SIDE_PX = 256
HEAT_SIDE_PX = 64
DETECTOR_STRIDES = ((8, 2), (16, 2), (32, 6))  # (stride in pixels, anchors in each cell)
ROI_SCALE = 1.25  # side of the crop over the diameter of the circle around the whole body
NMS_IOU = 0.3
ERASE_LEVEL = 0.3  # mask value from which a known person is painted over
REFINE_WINDOW_PX = 7
REFINE_MIN_HEAT = 0.5
# The network's z is not at the scale of its x and y. This factor makes bones keep their length
# while they turn: least mean variation over four clips (0.20 to 0.29 each; world z agrees).
DEPTH_SCALE = 0.25
HIP_CENTER, BODY_CIRCLE = 33, 34  # auxiliary points of the landmark network


class Roi(NamedTuple):
    """A square of the image that holds one person, turned so that the person stands upright.

    `center_x`, `center_y` in pixels; `side_px` of the square; `angle` in radians, 0 for upright,
    positive clockwise as seen in the image.
    """

    center_x: float
    center_y: float
    side_px: float
    angle: float

    @classmethod
    def around(cls, center_xy: np.ndarray, circle_xy: np.ndarray) -> Roi:
        """From the middle of the hips and a point on the circle around the body, above the head."""
        x, y = (float(v) for v in circle_xy - center_xy)
        side_px = 2 * ROI_SCALE * float(np.hypot(x, y))
        return cls(float(center_xy[0]), float(center_xy[1]), side_px, float(np.arctan2(x, -y)))

    def scaled(self, factor: float) -> Roi:
        """The same square, larger by `factor`."""
        return self._replace(side_px=self.side_px * factor)

    def crop_to_image(self, side_px: int = CROP_SIDE_PX) -> np.ndarray:
        """The affine map (2, 3) from pixels of a crop of the square to pixels of the image."""
        scale = self.side_px / side_px
        c, s = scale * np.cos(self.angle), scale * np.sin(self.angle)
        middle = (side_px - 1) / 2
        return np.array(
            [
                [c, -s, self.center_x - c * middle + s * middle],
                [s, c, self.center_y - s * middle - c * middle],
            ]
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detection:
    """A person found by the detector.

    Args:
        score: in [0, 1].
        hip_xy: (2,) middle of the hips.
        circle_xy: (2,) point above the head on the circle that holds the whole body.
        face_xyxy: (4,) box of the face.
    """

    score: float
    hip_xy: np.ndarray
    circle_xy: np.ndarray
    face_xyxy: np.ndarray

    @property
    def roi(self) -> Roi:
        """The region to give to the landmark network."""
        return Roi.around(self.hip_xy, self.circle_xy)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Landmarks:
    """What the landmark network says about one region of interest.

    Args:
        score: that there is a person in the region, [0, 1].
        xy: (33, 2) float32, pixels of the image.
        depth: (33,) float32, pixels at image scale, smaller is nearer, 0 at the hips.
        visibility: (33,) float32 in [0, 1], not hidden by something.
        presence: (33,) float32 in [0, 1], inside the frame.
        world: (33, 3) float32 metres, x right, y down, z away, origin at the middle of the hips.
        roi: the region that was looked at.
        next_roi: the region in which to look in the next frame.
        mask_logits: (256, 256) float32, of the crop, when asked for.
    """

    score: float
    xy: np.ndarray
    depth: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray
    world: np.ndarray
    roi: Roi
    next_roi: Roi
    mask_logits: np.ndarray | None

    def mask(self, size_hw: tuple[int, int]) -> np.ndarray:
        """The person's mask in the image, (H, W) float32 in [0, 1]; 0 outside the region.

        Raises:
            ValueError: the mask was not asked for.
        """
        return cv2.warpAffine(
            self.mask_crop(),
            self.roi.crop_to_image(),
            (size_hw[1], size_hw[0]),
            flags=cv2.INTER_LINEAR,
        )

    def mask_crop(self) -> np.ndarray:
        """The mask in the crop of the region, (256, 256) float32 in [0, 1]."""
        if self.mask_logits is None:
            raise ValueError("there is no mask; call landmarks(..., mask=True)")
        return sigmoid(self.mask_logits)


class BlazePose:
    """The detector and the landmark network. One object serves one thread at a time.

    Args:
        num_threads: that each network may use.
        detector_path: the detector; fetched when None.
        landmark_path: the landmark network (lite, full or heavy); `full` is fetched when None.

    Raises:
        WeightsError: a model file is missing and cannot be fetched.
    """

    def __init__(
        self,
        *,
        num_threads: int = 2,
        detector_path: Path | None = None,
        landmark_path: Path | None = None,
    ) -> None:
        detector_path = detector_path or weights.fetch("pose_detection.tflite")
        landmark_path = landmark_path or weights.fetch("pose_landmark_full.tflite")
        self._detector = Network(detector_path, num_threads)
        self._landmarks = Network(landmark_path, num_threads)
        self._anchors = _anchors()

    def detect(
        self,
        rgb: np.ndarray,
        *,
        min_score: float = 0.5,
        erase: Sequence[Landmarks] = (),
    ) -> list[Detection]:
        """The people in the picture, best first.

        The picture is seen at 224 pixels: people smaller than about a sixth of it are missed. Of
        people who stand close together the network often tells only the most prominent one: erase
        those already known to find the next.

        Args:
            rgb: (H, W, 3) uint8.
            min_score: of a detection, in [0, 1].
            erase: people, with masks, to paint over first with the picture's mean colour.

        Returns:
            Detections in pixels of the picture.
        """
        height, width = rgb.shape[:2]
        scale = DETECTOR_SIDE_PX / max(height, width)
        w, h = max(round(width * scale), 1), max(round(height * scale), 1)
        left, top = (DETECTOR_SIDE_PX - w) // 2, (DETECTOR_SIDE_PX - h) // 2
        # Halving first is several times faster than one INTER_AREA step by an odd factor.
        shrunk, _ = halved(rgb, times=max(int(np.log2(1 / scale)), 0))
        small = cv2.resize(shrunk, (w, h), interpolation=cv2.INTER_AREA)
        if erase:
            small = _erased(small, erase, np.array([w / width, h / height]))
        image = self._detector.input()[0]
        image.fill(0)  # grey after the shift to [-1, 1] would be wrong: MediaPipe pads with -1
        image[top : top + h, left : left + w] = small
        image /= 127.5
        image -= 1
        del image  # the interpreter refuses to run while a view of its memory is alive
        outputs = self._detector.run()
        scores = sigmoid(outputs["Identity_1"]()[0, :, 0].copy())
        (kept,) = np.nonzero(scores >= min_score)
        if len(kept) == 0:
            return []
        values = outputs["Identity"]()[0, kept]
        scores, anchors = scores[kept], self._anchors[kept]
        points = values[:, 4:12].reshape(-1, 4, 2) + anchors[:, None]
        middle = values[:, :2] + anchors
        half = values[:, 2:4] / 2
        rows = np.concatenate([middle - half, middle + half, points[:, 0], points[:, 1]], axis=1)
        # To pixels of the image; the scale differs a little between x and y where w, h are rounded.
        per_axis = np.tile([width / w, height / h], 4)
        rows = (rows - np.tile([left, top], 4)) * per_axis - 0.5
        return [
            Detection(score=score, face_xyxy=row[:4], hip_xy=row[4:6], circle_xy=row[6:8])
            for score, row in _weighted_nms(rows, scores)
        ]

    def landmarks(self, rgb: np.ndarray, roi: Roi, *, mask: bool = False) -> Landmarks:
        """The key points of the person in a region of interest.

        Args:
            rgb: (H, W, 3) uint8.
            roi: region, may reach out of the picture.
            mask: also give the person's mask.

        Returns:
            The key points; check `score` before using them.
        """
        to_image = roi.crop_to_image()
        crop = cut_crop(rgb, to_image, CROP_SIDE_PX)
        np.multiply(crop, np.float32(1 / 255), out=self._landmarks.input()[0])
        outputs = self._landmarks.run()
        raw = outputs["Identity"]().reshape(39, 5).copy()
        score = float(outputs["Identity_1"]().ravel()[0])
        logits = outputs["Identity_2"]()[0, :, :, 0].copy() if mask else None
        points = _refine(raw[:, :2], outputs["Identity_3"]()[0])
        world = outputs["Identity_4"]().reshape(39, 3)[: len(JOINTS)].copy()
        c, s = np.cos(roi.angle), np.sin(roi.angle)
        # The network's world is that of the turned crop (WorldLandmarkProjectionCalculator).
        world[:, :2] = world[:, :2] @ np.array([[c, s], [-s, c]], np.float32)
        xy = (points - 0.5) @ to_image[:, :2].T + to_image[:, 2]
        body = slice(len(JOINTS))
        return Landmarks(
            score=score,
            xy=xy[body].astype(np.float32),
            depth=raw[body, 2] * np.float32(DEPTH_SCALE * roi.side_px / CROP_SIDE_PX),
            visibility=sigmoid(raw[body, 3]),
            presence=sigmoid(raw[body, 4]),
            world=world,
            roi=roi,
            next_roi=Roi.around(xy[HIP_CENTER], xy[BODY_CIRCLE]),
            mask_logits=logits,
        )


def _anchors() -> np.ndarray:
    """(2254, 2) middles of the detector's anchors in its input pixels, counted from the edge."""
    parts = []
    for stride, per_cell in DETECTOR_STRIDES:
        middles = np.arange(stride / 2, DETECTOR_SIDE_PX, stride, dtype=np.float32)
        grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        parts.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(parts)


def _weighted_nms(rows: np.ndarray, scores: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Each group of boxes that overlap becomes its mean weighted by score; best group first."""
    left = np.argsort(-scores)
    groups = []
    while len(left):
        best = rows[left[0], :4]
        boxes = rows[left, :4]
        size = np.minimum(best[2:], boxes[:, 2:]) - np.maximum(best[:2], boxes[:, :2])
        overlap = np.prod(np.clip(size, 0, None), axis=1)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        iou = overlap / (np.prod(best[2:] - best[:2]) + areas - overlap)
        near = iou > NMS_IOU
        near[0] = True
        weight = scores[left[near]]
        groups.append((float(weight[0]), weight @ rows[left[near]] / weight.sum()))
        left = left[~near]
    return groups


def _erased(small: np.ndarray, people: Sequence[Landmarks], scale_xy: np.ndarray) -> np.ndarray:
    """A picture already shrunk by `scale_xy`, with people painted over."""
    height, width = small.shape[:2]
    covered = np.zeros((height, width), np.float32)
    for person in people:
        to_small = person.roi.crop_to_image() * scale_xy[:, None]
        to_small[:, 2] += (scale_xy - 1) / 2
        covered = np.maximum(covered, cv2.warpAffine(person.mask_crop(), to_small, (width, height)))
    hole = cv2.dilate((covered > ERASE_LEVEL).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return np.where(hole[:, :, None], small.mean(axis=(0, 1)).astype(np.uint8), small)


def _refine(points: np.ndarray, heat_logits: np.ndarray) -> np.ndarray:
    """Centre of mass of the heat map around each point (RefineLandmarksFromHeatmapCalculator).

    Args:
        points: (39, 2) crop pixels counted from the edge.
        heat_logits: (64, 64, 39).

    Returns:
        (39, 2), a point is left as it is where its heat map says nothing.
    """
    half = REFINE_WINDOW_PX // 2
    step = CROP_SIDE_PX / HEAT_SIDE_PX
    cell = np.floor(points / step).astype(int)  # truncation, as there: the point's own cell
    inside = np.all((cell >= 0) & (cell < HEAT_SIDE_PX), axis=1)
    offset = np.arange(-half, half + 1)
    x = cell[:, 0, None] + offset  # (39, 7)
    y = cell[:, 1, None] + offset
    real = ((y >= 0) & (y < HEAT_SIDE_PX))[:, :, None] & ((x >= 0) & (x < HEAT_SIDE_PX))[:, None]
    clipped_y, clipped_x = (np.clip(v, 0, HEAT_SIDE_PX - 1) for v in (y, x))
    number = np.arange(len(points))[:, None, None]
    heat = sigmoid(heat_logits[clipped_y[:, :, None], clipped_x[:, None], number]) * real
    total = heat.sum(axis=(1, 2))
    sure = inside & (heat.max(axis=(1, 2)) >= REFINE_MIN_HEAT)
    middle = np.stack([heat.sum(axis=1) * x, heat.sum(axis=2) * y], axis=-1).sum(axis=1)
    middle = middle / np.maximum(total, 1e-6)[:, None] * step
    return np.where(sure[:, None], middle, points)
