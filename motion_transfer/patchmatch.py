"""Neighbourhoods of a picture that look alike, and pictures put together of them.

Each neighbourhood of 7 x 7 pixels that is to be filled is made to look like one that is known: by
turns the likeliest ones are searched, by PatchMatch (Barnes et al., SIGGRAPH 2009), and every pixel
becomes the mean of what the neighbourhoods over it say (Wexler et al., "Space-Time Completion of
Video", TPAMI 2007). `person.patchfill` fills holes in backdrops by it, `generator.exemplar` what is
hidden of a person.

Axes: H W pixels of what is filled, h w pixels of what is copied from (both may be one picture), C
channels, K further features, N targets. Places are rows of (y, x).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from scipy import ndimage

RADIUS = 3
SIDE = 2 * RADIUS + 1


class Search(NamedTuple):
    """What is looked for, and where.

    targets: (N, 2) int64, middles of the neighbourhoods to look for.
    is_target: (H, W) bool, the same.
    trust: (H + 6, W + 6) float32, what a pixel counts in a neighbourhood; 0: nothing.
    sources: (h + 6, w + 6, C) float32, to copy from.
    valid: (h, w) bool, middles of neighbourhoods that may be copied.
    wanted: (H, W, K) float32, features that the middle should have.
    has: (h, w, K) float32, those that it has.
    lean: (2,) float32, the square of an offset's product with it is added to the cost.
    """

    targets: np.ndarray
    is_target: np.ndarray
    trust: np.ndarray
    sources: np.ndarray
    valid: np.ndarray
    wanted: np.ndarray
    has: np.ndarray
    lean: np.ndarray


def known_whole(known: np.ndarray) -> np.ndarray:
    """(H, W) bool, middles of neighbourhoods of which all is known, a bool mask (H, W)."""
    inside = np.pad(known, RADIUS).astype(np.uint8)
    return cv2.erode(inside, np.ones((SIDE, SIDE)))[RADIUS:-RADIUS, RADIUS:-RADIUS] > 0


def reaches(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool, middles of neighbourhoods that have some of the mask (H, W)."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((SIDE, SIDE))) > 0


def make_valid(nearest: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Move places (H, W, 2) to the closest that are valid, a bool mask (h, w)."""
    rows, columns = ndimage.distance_transform_edt(
        ~valid, return_distances=False, return_indices=True
    )
    y, x = nearest[..., 0], nearest[..., 1]
    return np.stack([rows[y, x], columns[y, x]], -1).astype(np.int64)


@njit(cache=True, fastmath=True, nogil=True)
def _difference(task, picture, y, x, sy, sx, weight, limit):
    """Weighted mean squared difference of two neighbourhoods, or more than the limit."""
    total, bound = np.float32(0), limit * weight
    sources, trust, channels = task.sources, task.trust, picture.shape[2]
    for dy in range(SIDE):
        for dx in range(SIDE):
            apart = np.float32(0)
            for c in range(channels):
                d = picture[y + dy, x + dx, c] - sources[sy + dy, sx + dx, c]
                apart += d * d
            total += trust[y + dy, x + dx] * apart
        if total > bound:
            break
    return total / weight


@njit(cache=True, fastmath=True, nogil=True)
def _expected(task, y, x, sy, sx):
    """What a source costs because of where it lies and of its features."""
    away = task.lean[0] * np.float32(sy - y) + task.lean[1] * np.float32(sx - x)
    cost = away * away
    for k in range(task.wanted.shape[2]):
        d = task.wanted[y, x, k] - task.has[sy, sx, k]
        cost += d * d
    return cost


@njit(cache=True, fastmath=True, nogil=True)
def _try(task, picture, y, x, sy, sx, weight, best, by, bx):
    """The better of the best source so far and a candidate."""
    height, width = task.valid.shape
    if sy < 0 or sx < 0 or sy >= height or sx >= width or not task.valid[sy, sx]:
        return best, by, bx
    expected = _expected(task, y, x, sy, sx)
    if expected >= best or (sy == by and sx == bx):
        return best, by, bx
    cost = _difference(task, picture, y, x, sy, sx, weight, best - expected) + expected
    if cost < best:
        return cost, sy, sx
    return best, by, bx


@njit(cache=True, fastmath=True, nogil=True)
def search(task, picture, nearest, costs, seed, backward):
    """One sweep: what the neighbours found, in scan order, then places at random, ever nearer.

    Args:
        task: a `Search`.
        picture: (H + 6, W + 6, C) float32, what is there so far.
        nearest: (H, W, 2) int64, the likeliest source of each target; changed.
        costs: (H, W) float32, their costs; changed.
        seed: of the random places.
        backward: against the scan order.
    """
    state = np.uint64((seed + 1) * 2654435761 + 88172645463325252)
    height, width = task.valid.shape
    count = len(task.targets)
    weights = np.empty(count, np.float32)
    for i in range(count):
        y, x = task.targets[i, 0], task.targets[i, 1]
        weight = np.float32(1e-6)
        for dy in range(SIDE):
            for dx in range(SIDE):
                weight += task.trust[y + dy, x + dx]
        weights[i] = weight
        sy, sx = nearest[y, x, 0], nearest[y, x, 1]
        costs[y, x] = _difference(task, picture, y, x, sy, sx, weight, np.float32(1e30))
        costs[y, x] += _expected(task, y, x, sy, sx)
    step = -1 if backward else 1
    for k in range(count):
        i = count - 1 - k if backward else k
        y, x, weight = task.targets[i, 0], task.targets[i, 1], weights[i]
        best, by, bx = costs[y, x], nearest[y, x, 0], nearest[y, x, 1]
        if 0 <= y - step < task.is_target.shape[0] and task.is_target[y - step, x]:
            best, by, bx = _try(
                task, picture, y, x,
                nearest[y - step, x, 0] + step, nearest[y - step, x, 1],
                weight, best, by, bx,
            )  # fmt: skip
        if 0 <= x - step < task.is_target.shape[1] and task.is_target[y, x - step]:
            best, by, bx = _try(
                task, picture, y, x,
                nearest[y, x - step, 0], nearest[y, x - step, 1] + step,
                weight, best, by, bx,
            )  # fmt: skip
        radius = max(height, width)
        while radius >= 1:
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            jy = np.int64(state % np.uint64(2 * radius + 1)) - radius
            jx = np.int64((state >> np.uint64(24)) % np.uint64(2 * radius + 1)) - radius
            best, by, bx = _try(task, picture, y, x, by + jy, bx + jx, weight, best, by, bx)
            radius //= 2
        costs[y, x], nearest[y, x, 0], nearest[y, x, 1] = best, by, bx


@njit(cache=True, fastmath=True, nogil=True)
def vote(task, picture, filled, nearest, sure, window):
    """Every pixel that is filled becomes the weighted mean of what the neighbourhoods over it say.

    Args:
        task: a `Search`.
        picture: (H, W, C) float32.
        filled: (H, W) bool.
        nearest: (H, W, 2) int64, the likeliest source of each target.
        sure: (H, W) float32, what a target's votes count.
        window: (7, 7) float32, what its pixels' votes count.

    Returns:
        (H, W, C) float32, equal to the picture elsewhere.
    """
    height, width, channels = picture.shape
    total = np.zeros(picture.shape, np.float32)
    weights = np.zeros(filled.shape, np.float32)
    for i in range(len(task.targets)):
        y, x = task.targets[i, 0], task.targets[i, 1]
        sy, sx = nearest[y, x, 0], nearest[y, x, 1]
        for dy in range(SIDE):
            for dx in range(SIDE):
                ty, tx = y + dy - RADIUS, x + dx - RADIUS
                if ty < 0 or tx < 0 or ty >= height or tx >= width or not filled[ty, tx]:
                    continue
                w = (sure[y, x] + np.float32(1e-12)) * window[dy, dx]
                weights[ty, tx] += w
                for c in range(channels):
                    total[ty, tx, c] += w * task.sources[sy + dy, sx + dx, c]
    out = picture.copy()
    for y in range(height):
        for x in range(width):
            if weights[y, x] > 0:
                for c in range(channels):
                    out[y, x, c] = total[y, x, c] / weights[y, x]
    return out
