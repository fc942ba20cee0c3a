"""Filling a hole in a picture with what surrounds it: smooth, or from patches.

Two fills, both deterministic:

- `fill_smooth`: the harmonic function through the rim of the hole, for plain backdrops.
- `fill_patches`: every patch of the hole is made to look like some patch outside it, coarse to
  fine (Wexler et al., "Space-Time Completion of Video", PAMI 2007), the nearest patches found by
  PatchMatch (Barnes et al., SIGGRAPH 2009), started by peeling the hole layer by layer and with
  texture features beside the colours (Newson et al., "Video Inpainting of Complex Scenes", SIAM
  J. Imaging Sciences 2014). The seams of the final copy are dissolved by a screened Poisson
  equation (Pérez et al., "Poisson Image Editing", SIGGRAPH 2003).

Axis legend: H W pixels, C channels. Pictures are float32 (H, W, C), holes bool (H, W).
"""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from scipy import ndimage

from motion_transfer.patchmatch import (
    RADIUS,
    SIDE,
    Search,
    known_whole,
    make_valid,
    reaches,
    search,
    vote,
)

COARSEST_SIDE_PX = 80  # smaller, and a window is narrower than a patch
SHIFT_PENALTY = 2.0  # squared colour difference of a patch from the other end of the height
TEXTURE_WEIGHT = 6.0  # of the texture features against the colours
LIGHT_SIDE_PX, LIGHT_PER_HEIGHT = 64, 0.08  # where light is told from things; standard deviation
MOST_LIGHT = 0.08  # RGB [0, 1]
SIDEWAYS = 10.0  # a smooth fill looks along rows first: walls and floors change from top to bottom
SCREEN_WEIGHT = 0.01  # pull of the Poisson solution to the copied colours; 10 px reach


def fill_smooth(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill a hole with the harmonic function through its rim (zero slope at the picture's edge).

    Args:
        image: (H, W, C) float32.
        hole: (H, W) bool.

    Returns:
        (H, W, C) float32, equal to `image` outside the hole.
    """
    if not hole.any() or hole.all():
        return image.astype(np.float32)
    pyramid = [(image.astype(np.float32), hole)]
    while min(pyramid[-1][1].shape) > 8 and pyramid[-1][1].any():
        level = _half(*pyramid[-1])
        if level[1].all():
            break
        pyramid.append(level)
    coarse, hole_left = pyramid[-1]
    start = np.broadcast_to(coarse[~hole_left].mean(0), coarse.shape)
    for picture, mask in reversed(pyramid):
        size = mask.shape[1], mask.shape[0]
        start = cv2.resize(np.ascontiguousarray(start), size, interpolation=cv2.INTER_LINEAR)
        start = start.reshape(picture.shape)
        filled = np.where(mask[..., None], start, picture).astype(np.float32)
        sweeps = 60 if max(mask.shape) < 256 else 10  # fine levels only add what is near the rim
        _relax(filled, mask, np.zeros_like(filled), filled, 0.0, SIDEWAYS, sweeps)
        start = filled
    return filled


def fill_patches(
    image: np.ndarray, hole: np.ndarray, *, work_side_px: int = 512, seed: int = 0
) -> np.ndarray:
    """Fill a hole with patches from outside it.

    Args:
        image: (H, W, 3) float32 in [0, 1].
        hole: (H, W) bool.
        work_side_px: long side at which patches are searched; finer detail is copied along.
        seed: of the random search.

    Returns:
        (H, W, 3) float32, equal to `image` outside the hole.
    """
    if not hole.any() or hole.all():
        return image.astype(np.float32)
    light = _light(image, hole)
    filled = light + _fill_patches(image - light, hole, work_side_px, seed)
    return np.where(hole[..., None], filled, image).astype(np.float32)


def _light(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """How much lighter than the middle of the picture each place is, (H, W, 1) float32.

    Patches are looked for, and put in, without it: those of a wall's darker side would stand in its
    lighter one as a ghost. It is bounded, since beyond that it is not light but another thing.
    """
    scale = min(1.0, LIGHT_SIDE_PX / max(hole.shape))
    size = max(1, round(hole.shape[1] * scale)), max(1, round(hole.shape[0] * scale))
    grey = fill_smooth(*_resize_known(image.mean(2, keepdims=True), hole, size))
    smooth = cv2.GaussianBlur(grey, (0, 0), LIGHT_PER_HEIGHT * size[1])
    light = MOST_LIGHT * np.tanh((smooth - np.median(smooth)) / MOST_LIGHT)
    return cv2.resize(light, hole.shape[::-1], interpolation=cv2.INTER_CUBIC)[..., None]


def _fill_patches(image: np.ndarray, hole: np.ndarray, work_side_px: int, seed: int) -> np.ndarray:
    scale = min(1.0, work_side_px / max(hole.shape))
    size = round(hole.shape[1] * scale), round(hole.shape[0] * scale)
    work, work_hole = _resize_known(image, hole, size) if scale < 1 else (image, hole)
    pyramid = [(_with_texture(work, work_hole), work_hole)]
    while min(pyramid[-1][1].shape) > COARSEST_SIDE_PX and _depth_px(pyramid[-1][1]) > 4:
        pyramid.append(_half(*pyramid[-1]))
    if any(not known_whole(~mask).any() for _, mask in pyramid):
        return fill_smooth(image, hole)

    picture, mask = pyramid[-1]
    current, nearest = _first_guess(picture, mask)
    for level, (picture, mask) in enumerate(reversed(pyramid)):
        if level:
            nearest = _upscale(nearest, mask.shape)
            smooth = cv2.resize(current, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
            current = np.where(mask[..., None], smooth, picture)
        finest = level == len(pyramid) - 1
        rounds = 4 if finest else 8 if level else 12
        current, nearest = _improve(current, mask, nearest, rounds, fresh=level > 0, seed=seed)
    return _copy(image, hole, nearest)


def _with_texture(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Append how busy the surroundings are, across and down: (H, W, 3) -> (H, W, 5)."""
    grey = np.where(hole, 0, image.mean(2)).astype(np.float32)
    known = (~hole).astype(np.float32)
    features = []
    for axis in (0, 1):
        step = np.abs(np.diff(grey, axis=axis, append=0))
        both = known * np.roll(known, -1, axis)
        total = cv2.boxFilter(step * both, -1, (15, 15), borderType=cv2.BORDER_REFLECT)
        weight = cv2.boxFilter(both, -1, (15, 15), borderType=cv2.BORDER_REFLECT)
        features.append(TEXTURE_WEIGHT * total / np.maximum(weight, 1e-6))
    return np.dstack([image, *features]).astype(np.float32)


def _half(image: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _resize_known(image, hole, (-(-hole.shape[1] // 2), -(-hole.shape[0] // 2)))


def _resize_known(
    image: np.ndarray, hole: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Shrink to (width, height) by averaging the known pixels alone."""
    known = (~hole).astype(np.float32)
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    channels = [
        cv2.resize(image[..., c] * known, size, interpolation=cv2.INTER_AREA)
        for c in range(image.shape[2])
    ]
    small = np.dstack(channels) / np.maximum(weight, 1e-6)[..., None]
    return small.astype(np.float32), weight < 0.6


def _depth_px(hole: np.ndarray) -> float:
    return float(ndimage.distance_transform_edt(hole).max())


def _with_mirror(picture: np.ndarray) -> np.ndarray:
    """The picture and beside it its mirror image: arches and windows are completed from both."""
    return np.concatenate([picture, picture[:, ::-1]], axis=1)


def _upscale(nearest: np.ndarray, shape_hw: tuple[int, ...]) -> np.ndarray:
    """Carry a field (H, W, 2) of absolute (y, x) in the doubled picture to a finer grid."""
    coarse_hw, fine_hw = np.array(nearest.shape[:2]), np.array(shape_hw)
    scale = fine_hw / coarse_hw
    fine = np.moveaxis(np.mgrid[: fine_hw[0], : fine_hw[1]], 0, -1)
    cell = np.minimum((fine / scale).astype(int), coarse_hw - 1)
    source = nearest[cell[..., 0], cell[..., 1]]
    mirrored = source[..., 1] >= coarse_hw[1]  # counted from the far end, where x = 0 lies
    origin = np.stack([np.zeros_like(mirrored, int), np.where(mirrored, 2, 0)], -1)
    moved = (source - origin * coarse_hw) * scale + origin * fine_hw + fine - cell * scale
    # Mirrored cells run the other way; their pixels keep their order because the mirror is drawn.
    return np.clip(np.round(moved), 0, fine_hw * (1, 2) - 1).astype(np.int64)


def _first_guess(image: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill the coarsest level patch by patch, where strong edges enter the hole first.

    Order and priority follow Criminisi et al., "Region Filling and Object Removal by Exemplar-Based
    Image Inpainting", IEEE TIP 2004. Peeling whole layers lets plain walls close over windows.
    """
    r = RADIUS
    width = hole.shape[1]
    current = np.pad(_with_mirror(image), ((r, r), (r, r), (0, 0)), mode="edge")
    known = np.pad(_with_mirror(~hole), r, mode="constant")
    trust = known.astype(np.float32)
    sources = np.argwhere(_with_mirror(known_whole(~hole))).astype(np.int64)
    nearest = np.moveaxis(np.mgrid[: hole.shape[0], :width], 0, -1).astype(np.int64, order="C")
    _fill_by_priority(current, known, trust, sources, nearest, _lean(hole)[0] ** 2)
    return current[r:-r, r : r + width].copy(), nearest


def _improve(
    current: np.ndarray,
    hole: np.ndarray,
    nearest: np.ndarray,
    rounds: int,
    *,
    fresh: bool,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Search and vote by turns (the E and M steps of Wexler et al.)."""
    valid, is_target = _with_mirror(known_whole(~hole)), reaches(hole)
    nearest = make_valid(nearest, valid)
    inward = ndimage.distance_transform_edt(hole)
    deep = (1.1 ** -np.minimum(inward, 60)).astype(np.float32)
    window = np.ones((SIDE, SIDE), np.float32)
    padding = ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0))

    def task() -> Search:
        padded = np.pad(_with_mirror(current), padding, mode="reflect")
        nothing = np.zeros((1, 1, 0), np.float32)
        return Search(
            targets=np.argwhere(is_target).astype(np.int64), is_target=is_target,
            trust=np.ones(np.add(hole.shape, 2 * RADIUS), np.float32), sources=padded, valid=valid,
            wanted=nothing, has=nothing, lean=_lean(hole),
        )  # fmt: skip

    if fresh:  # the finer picture's own detail, instead of the enlarged one
        current = vote(task(), current, hole, nearest, deep, window)
    for turn in range(rounds):
        asked, costs = task(), np.zeros(hole.shape, np.float32)
        search(asked, asked.sources, nearest, costs, seed + turn, turn % 2 == 1)
        scale = max(float(np.percentile(costs[is_target], 75)), 1e-6)
        sure = np.exp(-costs / (2 * scale)).astype(np.float32) * deep
        before, current = current, vote(asked, current, hole, nearest, sure, window)
        if np.abs(current - before)[hole].mean() < 5e-4:
            break
    return current, nearest


def _lean(hole: np.ndarray) -> np.ndarray:
    """See `Search`: floors stay below, skies above."""
    return np.array([np.sqrt(SHIFT_PENALTY) / hole.shape[0], 0], np.float32)


def _copy(image: np.ndarray, hole: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Copy full-resolution pixels along the field and dissolve the seams."""
    doubled, doubled_hole = _with_mirror(image.astype(np.float32)), _with_mirror(hole)
    allowed = cv2.dilate(doubled_hole.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    full = make_valid(_upscale(nearest, hole.shape), allowed)
    full[~hole] = np.stack(np.nonzero(~hole), -1)
    copied = doubled[full[..., 0], full[..., 1]]
    divergence = _divergence(doubled, doubled_hole, hole, full)
    solved = copied.copy()
    _relax(solved, hole, divergence, copied, SCREEN_WEIGHT, 1.0, 40)
    return solved


@njit(cache=True, fastmath=True, nogil=True)
def _fill_by_priority(image, known, trust, sources, nearest, penalty):
    """Criminisi et al. 2004 on a padded picture, in place; small pictures only."""
    r = RADIUS
    side = 2 * r + 1
    height, width, channels = nearest.shape[0], nearest.shape[1], image.shape[2]
    while True:
        top, py, px, mean_trust = np.float32(-1), -1, -1, np.float32(0)
        for y in range(height):
            for x in range(width):
                if known[y + r, x + r] or not (
                    known[y + r - 1, x + r] or known[y + r + 1, x + r]
                    or known[y + r, x + r - 1] or known[y + r, x + r + 1]
                ):  # fmt: skip
                    continue
                total, edge = np.float32(0), np.float32(0)
                ny, nx = np.float32(0), np.float32(0)  # inward normal of the rim
                for dy in range(side):
                    for dx in range(side):
                        if known[y + dy, x + dx]:
                            total += trust[y + dy, x + dx]
                            ny -= dy - r
                            nx -= dx - r
                length = max(np.sqrt(ny * ny + nx * nx), np.float32(1e-6))
                for dy in range(side - 1):
                    for dx in range(side - 1):
                        i, j = y + dy, x + dx
                        if known[i, j] and known[i + 1, j] and known[i, j + 1]:
                            gy, gx = np.float32(0), np.float32(0)
                            for c in range(3):
                                gy += image[i + 1, j, c] - image[i, j, c]
                                gx += image[i, j + 1, c] - image[i, j, c]
                            edge = max(edge, abs(-gx * ny + gy * nx) / length)  # edge runs inward
                priority = total / (side * side) * (edge + np.float32(0.02))
                if priority > top:
                    top, py, px, mean_trust = priority, y, x, total / (side * side)
        if py < 0:
            return
        best, sy, sx = np.float32(1e30), -1, -1
        for j in range(len(sources)):
            cost, used = np.float32(0), 0
            y, x = sources[j, 0], sources[j, 1]
            for dy in range(side):
                for dx in range(side):
                    if known[py + dy, px + dx]:
                        used += 1
                        for c in range(channels):
                            d = image[py + dy, px + dx, c] - image[y + dy, x + dx, c]
                            cost += d * d
            cost = cost / max(used, 1) + penalty * (y - py) * (y - py)
            if cost < best:
                best, sy, sx = cost, y, x
        for dy in range(-r, r + 1):
            for dx in range(-r, r + 1):
                y, x = py + dy, px + dx
                if y < 0 or x < 0 or y >= height or x >= width or known[y + r, x + r]:
                    continue
                for c in range(channels):
                    image[y + r, x + r, c] = image[sy + dy + r, sx + dx + r, c]
                trust[y + r, x + r] = mean_trust
                nearest[y, x, 0], nearest[y, x, 1] = sy + dy, sx + dx
        for dy in range(-r, r + 1):
            for dx in range(-r, r + 1):
                y, x = py + dy, px + dx
                if 0 <= y < height and 0 <= x < width:
                    known[y + r, x + r] = True


@njit(cache=True, fastmath=True, nogil=True)
def _divergence(doubled, doubled_hole, hole, source):
    """Divergence of the copied slopes; a slope is the mean of what its two ends saw at home."""
    height, width = hole.shape
    channels = doubled.shape[2]
    out = np.zeros((height, width, channels), np.float32)
    for y in range(height):
        for x in range(width):
            if not hole[y, x]:
                continue
            for k in range(4):
                dy, dx = ((0, 1), (0, -1), (1, 0), (-1, 0))[k]
                ny, nx = y + dy, x + dx
                if ny < 0 or nx < 0 or ny >= height or nx >= width:
                    continue
                ay, ax = source[y, x, 0], source[y, x, 1]
                by, bx = source[ny, nx, 0], source[ny, nx, 1]
                a_in = 0 <= ay + dy < height and 0 <= ax + dx < 2 * width
                a_in = a_in and not doubled_hole[ay + dy, ax + dx]
                b_in = 0 <= by - dy < height and 0 <= bx - dx < 2 * width
                b_in = b_in and not doubled_hole[by - dy, bx - dx]
                uses = (1 if a_in else 0) + (1 if b_in else 0)
                if uses == 0:
                    continue
                for c in range(channels):
                    slope = np.float32(0)
                    if a_in:
                        slope += doubled[ay + dy, ax + dx, c] - doubled[ay, ax, c]
                    if b_in:
                        slope += doubled[by, bx, c] - doubled[by - dy, bx - dx, c]
                    out[y, x, c] -= slope / uses
    return out


@njit(cache=True, fastmath=True, nogil=True)
def _relax(picture, hole, divergence, anchor, screen, sideways, sweeps):
    """Over-relaxed Gauss-Seidel for -laplace(f) + screen (f - anchor) = divergence, in place.

    Neighbours in a row conduct `sideways` times as well as neighbours in a column.
    """
    height, width, channels = picture.shape
    omega = np.float32(1.7)
    for sweep in range(sweeps):
        for i in range(height):
            y = i if sweep % 2 == 0 else height - 1 - i
            for x in range(width):
                if not hole[y, x]:
                    continue
                up, down = y > 0, y < height - 1
                left, right = x > 0, x < width - 1
                weight = np.float32(up + down + sideways * (left + right) + screen)
                for c in range(channels):
                    total = divergence[y, x, c] + screen * anchor[y, x, c]
                    if up:
                        total += picture[y - 1, x, c]
                    if down:
                        total += picture[y + 1, x, c]
                    if left:
                        total += sideways * picture[y, x - 1, c]
                    if right:
                        total += sideways * picture[y, x + 1, c]
                    picture[y, x, c] += omega * (total / weight - picture[y, x, c])
