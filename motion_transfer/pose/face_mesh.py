"""The surface of a face in a photo: 468 points with depth, by MediaPipe's Face Mesh on LiteRT.

Paper: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs"
(CVPR workshops 2019), which also says how the crop goes from the points found to the next look.
"""

from __future__ import annotations

import numpy as np

from motion_transfer import weights
from motion_transfer.pose.blazepose import Roi
from motion_transfer.pose.litert import Network, cut_crop, sigmoid
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.pose.track import PoseTrack

NUM_POINTS = 468
SIDES, EYES = (234, 454), (33, 263)
"""The points before the ears, and those at the eyes' outer corners, from the left of the picture
for a person who faces the camera."""
BROWS, BRIDGE, NOSE = 9, 168, 1  # between the brows, between the eyes, the nose's tip
CROP_SIDE_PX = 192
CROP_SCALE = 1.5  # side of the crop over the longer side of the points' box
FIRST_SIDE = 4.2  # the first crop's over the distance from the mouth to the eyes
LOOKS = 4  # until the crop no longer moves, or there is no face
LEAST_SCORE = 0.95  # faces at the rim of the crop, whose points are wrong, have 0.9
_FEATURES = [INDEX[n] for n in ("left_eye", "right_eye", "mouth_left", "mouth_right")]


class FaceMesh:
    """The network. One object serves one thread at a time.

    Args:
        num_threads: that it may use.

    Raises:
        WeightsError: the model file is missing and cannot be fetched.
    """

    def __init__(self, *, num_threads: int = 2) -> None:
        self._network = Network(weights.fetch("face_landmark.tflite"), num_threads)

    def find(self, rgb: np.ndarray, pose: PoseTrack) -> np.ndarray | None:
        """The face of the person whose pose is known.

        Args:
            rgb: (H, W, 3) uint8.
            pose: track of one frame, pixels of the picture.

        Returns:
            (468, 3) float32: x and y in pixels, z at the same scale, smaller is nearer; None where
            no face is seen, as from behind, or from the side.
        """
        corners = pose.xy[0, _FEATURES].astype(np.float64)
        if not np.isfinite(corners).all():
            return None
        eyes, mouth = corners[:2].mean(0), corners[2:].mean(0)
        middle, (x, y) = (eyes + mouth) / 2, eyes - mouth
        length = float(np.hypot(x, y))
        if length < 1:
            return None
        roi = Roi(float(middle[0]), float(middle[1]), FIRST_SIDE * length, float(np.arctan2(x, -y)))
        for _ in range(LOOKS):
            score, points = self._look(rgb, roi)
            roi = _around(points)
        found = score >= LEAST_SCORE and np.hypot(*(points[:, :2].mean(0) - middle)) < length
        return points.astype(np.float32) if found else None

    def _look(self, rgb: np.ndarray, roi: Roi) -> tuple[float, np.ndarray]:
        """How sure the network is of a face in the region, and (468, 3) its points."""
        to_image = roi.crop_to_image(CROP_SIDE_PX)
        crop = cut_crop(rgb, to_image, CROP_SIDE_PX)
        np.multiply(crop, np.float32(1 / 255), out=self._network.input()[0])
        outputs = [output().ravel().copy() for output in self._network.run().values()]
        (raw,) = (o.reshape(NUM_POINTS, 3) for o in outputs if o.size == 3 * NUM_POINTS)
        (logit,) = (float(o[0]) for o in outputs if o.size == 1)
        xy = (raw[:, :2] - 0.5) @ to_image[:, :2].T + to_image[:, 2]
        z = raw[:, 2:] * roi.side_px / CROP_SIDE_PX
        return float(sigmoid(np.array(logit))), np.concatenate([xy, z], 1)


def _around(points: np.ndarray) -> Roi:
    """The region in which to look again: about the points, the eyes level."""
    x, y = points[EYES[1], :2] - points[EYES[0], :2]
    angle = float(np.arctan2(y, x))
    level = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = points[:, :2] @ level
    low, high = turned.min(0), turned.max(0)
    middle = level @ ((low + high) / 2)
    return Roi(float(middle[0]), float(middle[1]), CROP_SCALE * float((high - low).max()), angle)
