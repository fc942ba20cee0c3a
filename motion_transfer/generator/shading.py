"""How light falls on a limb: what a hand hid of a thigh is as dark at its side as the rest is.

What is hidden is filled without the shade across the limb, and shaded afterwards.

Axes: h w pixels of a window at working resolution, L lines across the bone, one for each pixel
along it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

STEPS = 25  # across a limb
WHOLE = 0.9  # of a line, or it does not tell how light falls
LEAST_LINES, NEAREST_LINES = 0.1, 0.15  # of the bone's length: that must be known, and are used
DARK = 25.0  # as if all were so much lighter, 1/255
MOST = 1.4  # times lighter or darker


def find_shade(
    rgb: np.ndarray,
    *,
    known: np.ndarray,
    covered: np.ndarray,
    offset: np.ndarray,
    along: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """What a limb's colour is across it, in shares of its mean.

    Found in the lines nearest to what is hidden of which nearly all is known: a knee is another
    shape than the thigh above it.

    Args:
        rgb: (h, w, 3) uint8.
        known: (h, w) bool, pixels that the colours are told from.
        covered: (h, w) bool, pixels of the limb, hidden or not.
        offset: (h, w, 2) from the bone's start, pixels.
        along: (2,) the bone, pixels.

    Returns:
        (h, w, 3) about 1; all 1 where no part of the limb is known over its width. (3,) the colour
        that it was found with.
    """
    even = np.ones((*known.shape, 3)), rgb.mean((0, 1))
    length = float(np.linalg.norm(along))
    if length < 8:
        return even
    along = along / length
    line = np.round(offset @ along).astype(int)
    line -= line.min()
    place = _place_across(line, offset @ np.array([-along[1], along[0]]), covered)
    all_of, known_of = (
        np.bincount(line[m], minlength=line.max() + 1) for m in (covered, covered & known)
    )
    is_whole = known_of >= WHOLE * all_of
    whole, hidden = np.flatnonzero(is_whole & (all_of > STEPS / 2)), np.flatnonzero(~is_whole)
    if len(whole) < LEAST_LINES * length or len(hidden) == 0:
        return even
    gap = np.abs(whole[:, None] - hidden).min(1)
    nearest = whole[np.argsort(gap, kind="stable")[: round(NEAREST_LINES * length)]]
    use = covered & known & np.isin(line, nearest)
    step = (place[use] * (STEPS - 1)).round().astype(int)
    shade = np.empty((*known.shape, 3))
    for k in range(3):
        values = rgb[use][:, k] + DARK
        means = np.bincount(line[use], values) / np.maximum(np.bincount(line[use]), 1)
        ratio = ndimage.median(values / means[line[use]], step, np.arange(STEPS))
        ratio = np.where(np.isfinite(ratio), ratio, 1).clip(1 / MOST, MOST)
        ratio = ndimage.gaussian_filter1d(ratio, STEPS / 20, mode="nearest")
        shade[..., k] = np.interp(place * (STEPS - 1), np.arange(STEPS), ratio)
    return shade, np.median(rgb[use], 0)


def _place_across(line: np.ndarray, away: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """(h, w) in [0, 1] from one side of the limb to the other.

    Args:
        line: (h, w) int in [0, L).
        away: (h, w) signed distance to the bone, pixels.
        covered: (h, w) bool, pixels of the limb.
    """
    low, high = np.full((2, line.max() + 1), np.inf) * [[1], [-1]]
    np.minimum.at(low, line[covered], away[covered])
    np.maximum.at(high, line[covered], away[covered])
    low, high = low[line], high[line]
    return np.nan_to_num(np.clip((away - low) / np.maximum(high - low, 1), 0, 1))
