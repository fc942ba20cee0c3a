"""Whether it is the same person, by the face.

dlib's ResNet gives 128 numbers for an aligned face; King's own tests call two faces the same below
a distance of 0.6. Only faces that the detector finds count: a person seen from behind has none.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from motion_transfer import weights
from motion_transfer.errors import WeightsError

LANDMARKS_FILE = "shape_predictor_5_face_landmarks.dat"
EMBEDDER_FILE = "dlib_face_recognition_resnet_model_v1.dat"
LEAST_FACE_PX = 40  # a smaller head is enlarged before it is looked at
HEAD_MARGIN = 1.2  # of the face's size, around it


class FaceEmbedder:
    """Embeds the face of one person whose head is known.

    Raises:
        WeightsError: the package dlib or one of its model files is not there.
    """

    def __init__(self) -> None:
        paths = [str(weights.require(name)) for name in (LANDMARKS_FILE, EMBEDDER_FILE)]
        try:
            import dlib
        except ImportError as error:
            raise WeightsError(
                "identity by the face needs dlib; run 'pip install motion-transfer[faces]'"
            ) from error
        self._dlib: Any = dlib
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(paths[0])
        self._embedder = dlib.face_recognition_model_v1(paths[1])

    def __call__(self, rgb: np.ndarray, xy: np.ndarray) -> np.ndarray | None:
        """The face of the person with these joints.

        Args:
            rgb: (H, W, 3) uint8.
            xy: (33, 2) pixels; the first eleven joints are the face.

        Returns:
            (128,) float64, or None where no face is found near them.
        """
        face = xy[:11]
        face = face[np.isfinite(face).all(1)]
        if len(face) < 3:
            return None
        low, high = face.min(0), face.max(0)
        size = max(float((high - low).max()), 2.0)
        x0, y0 = np.maximum(low - HEAD_MARGIN * size, 0).astype(int)
        x1, y1 = np.ceil(high + HEAD_MARGIN * size).astype(int) + 1
        crop = np.ascontiguousarray(rgb[y0:y1, x0:x1])
        if min(crop.shape[:2]) < 8:
            return None
        zoom = max(1.0, 2 * LEAST_FACE_PX / size)
        crop = cv2.resize(crop, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        found = self._detector(crop, 1)
        if not found:
            return None
        box = max(found, key=lambda f: f.area())
        shape = self._landmarks(crop, box)
        return np.asarray(self._embedder.compute_face_descriptor(crop, shape))


def cosine_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two vectors, 1 for the same direction."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
