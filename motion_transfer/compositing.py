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
    if drawn is None:
        return image
    x0, y0, x1, y1 = drawn.box_xyxy
    _over(image[y0:y1, x0:x1], drawn.rgba.permute(1, 2, 0).cpu().numpy())
    return image


@numba.njit(cache=True, nogil=True)
def _over(image: np.ndarray, rgba: np.ndarray) -> None:
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            rest = 1 - rgba[y, x, 3]
            for c in range(3):
                value = rgba[y, x, c] * 255 + image[y, x, c] * rest + 0.5
                image[y, x, c] = min(max(value, 0), 255)


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
