"""The drawn person over the background."""

from __future__ import annotations

import numba
import numpy as np

from motion_transfer.generator.articulated import Rendition


def over(drawn: Rendition | None, background: np.ndarray) -> np.ndarray:
    """Put the person over a background; whatever is outside of the person's box is untouched.

    Args:
        drawn: from a generator; None for an empty frame.
        background: (H, W, 3) uint8.

    Returns:
        (H, W, 3) uint8, a new array.
    """
    image = background.copy()
    if drawn is not None:
        x0, y0, x1, y1 = drawn.box_xyxy
        _blend(drawn.rgba.permute(1, 2, 0).cpu().numpy(), image[y0:y1, x0:x1])
    return image


def straight_rgba(drawn: Rendition | None, size_hw: tuple[int, int]) -> np.ndarray:
    """The person alone, (H, W, 4) uint8 with colour not multiplied by alpha."""
    image = np.zeros((*size_hw, 4), np.uint8)
    if drawn is None:
        return image
    x0, y0, x1, y1 = drawn.box_xyxy
    rgba = drawn.rgba.permute(1, 2, 0).cpu().numpy()
    colour = rgba[..., :3] / np.maximum(rgba[..., 3:], 1e-3)
    both = np.concatenate([colour, rgba[..., 3:]], -1)
    image[y0:y1, x0:x1] = np.clip(both * 255 + 0.5, 0, 255).astype(np.uint8)
    return image


@numba.njit(cache=True, nogil=True, fastmath=True)
def _blend(rgba: np.ndarray, window: np.ndarray) -> None:
    """(h, w, 4) float32, colour times alpha, over (h, w, 3) uint8 in place; one pass."""
    height, width = window.shape[:2]
    for y in range(height):
        for x in range(width):
            alpha = rgba[y, x, 3]
            if alpha <= 0:
                continue
            rest = np.float32(1) - alpha
            for c in range(3):
                value = rgba[y, x, c] * np.float32(255) + window[y, x, c] * rest + np.float32(0.5)
                window[y, x, c] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))
