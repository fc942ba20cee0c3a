"""The person's own colours: what the soft edge would look like without the backdrop in it."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from motion_transfer.errors import InputError

EXTEND_PX = 24  # a warp that samples this far outside the matte still sees the person's colours


def estimate_foreground(
    rgb: np.ndarray, alpha: np.ndarray, *, extend_px: int = EXTEND_PX
) -> np.ndarray:
    """Take the backdrop's colour out of the soft edge and carry the person's colours outwards.

    Multi-level estimation (Germer et al., "Fast Multi-Level Foreground Estimation", ICPR 2020).

    Args:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) float in [0, 1].
        extend_px: how far outside the matte the colours are carried.

    Returns:
        (H, W, 3) uint8, equal to `rgb` where alpha is 1 and far outside the matte.

    Raises:
        InputError: the shapes do not match.
    """
    if alpha.shape != rgb.shape[:2]:
        raise InputError(
            f"alpha must have the photo's shape {rgb.shape[:2]}, got {alpha.shape}; "
            "use the matte of this photo"
        )
    from pymatting import estimate_foreground_ml

    rows, columns = np.flatnonzero((alpha > 0).any(1)), np.flatnonzero((alpha > 0).any(0))
    if not len(rows):
        return rgb.copy()
    y0, y1 = max(rows[0] - extend_px, 0), rows[-1] + 1 + extend_px
    x0, x1 = max(columns[0] - extend_px, 0), columns[-1] + 1 + extend_px
    image, matte = rgb[y0:y1, x0:x1].astype(np.float32) / 255, alpha[y0:y1, x0:x1]
    matte = np.ascontiguousarray(matte, np.float32)
    pure = estimate_foreground_ml(image, matte)
    pure = np.where(matte[..., None] >= 0.999, image, np.clip(pure, 0, 1))
    # Where almost nothing of the person is seen the estimate is a guess: take the nearest sure.
    distance, (near_y, near_x) = ndimage.distance_transform_edt(matte < 0.15, return_indices=True)
    pure = pure[near_y, near_x]
    soft = cv2.GaussianBlur(pure, (0, 0), 2.0)
    pure = np.where((distance > 1.5)[..., None], soft, pure)
    pure = np.where((distance > extend_px)[..., None], image, pure)
    out = rgb.copy()
    out[y0:y1, x0:x1] = np.round(pure * 255).astype(np.uint8)
    return out
