"""The plate: the background of the photo without the person.

Compared on five photos and on person-shaped holes with known truth: OpenCV's Telea and
Navier-Stokes fills leave creases and smears, its shift-map fill is good on walls but takes 20-140 s
and leaves unfilled pixels, FSR blurs patterns, scikit-image's biharmonic fill overshoots.
"""

from __future__ import annotations

import cv2
import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.person.patchfill import fill_patches, fill_smooth

RIM_PER_HEIGHT = 0.012  # outline, halo of sharpening and motion blur, per height of the person
SHADOW_PER_HEIGHT = (0.02, 0.045)  # reach of the contact shadow below and beside the feet
FEET_PER_HEIGHT = 0.07  # lowest part of the person, which casts it
PATTERNED_SHARE = 0.1  # of the hole, from which patches are worth their time
GAP_PER_HEIGHT = 0.04  # half width of a gap between the legs that is filled in as well
WALL_SHADOW_PER_HEIGHT = 0.13  # reach of a shadow on the wall beside the person
SHADOW_DEPTH = 0.012  # of such a shadow, RGB [0, 1]
TEXTURE_RMS = (0.0045, 0.007)  # detail of the surroundings from which patches fade in, RGB [0, 1]
GRAIN_PX, LINES_PX = 3.0, 8.0  # standard deviations: what is coarser is no grain, is no line
REFERENCE_SIDE_PX = 512  # long side to which the detail is measured


def make_plate(rgb: np.ndarray, alpha: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Fill in what the person hides.

    Plain surroundings are continued smoothly and get the photo's grain; patterned ones are
    completed from patches (`patchfill`); between the two the fills are blended. A
    shadow on a plain wall beside the person goes too.

    Args:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) float in [0, 1], the person's matte.
        seed: of the random parts; the same seed gives the same plate.

    Returns:
        (H, W, 3) uint8, equal to the photo away from the person.

    Raises:
        InputError: the shapes do not match.
    """
    if alpha.shape != rgb.shape[:2]:
        raise InputError(
            f"alpha must have the photo's shape {rgb.shape[:2]}, got {alpha.shape}; "
            "use the matte of this photo"
        )
    hole = plate_hole(alpha)
    if not hole.any():
        return rgb.copy()
    image = rgb.astype(np.float32) / 255
    if hole.all():
        return np.broadcast_to(np.median(rgb, axis=(0, 1)).astype(np.uint8), rgb.shape).copy()
    patterned = _patterned(image, hole)[..., None]
    plate = image
    if (patterned[hole] < 1).any():
        # Between the legs a plain backdrop lies in the person's shade; patterns are worth keeping.
        wide = _close_gaps(hole)
        wide |= _cast_shadow(image, wide) & (patterned[..., 0] == 0)
        plate = np.where(wide[..., None], fill_smooth(image, wide) + _grain(image, wide), image)
    if (patterned[hole] > 0).mean() > PATTERNED_SHARE:
        plate = plate + patterned * (fill_patches(image, hole, seed=seed) - plate)
    return np.round(np.clip(plate, 0, 1) * 255).astype(np.uint8)


def plate_hole(alpha: np.ndarray) -> np.ndarray:
    """What has to be filled in: the person, a rim around it and the shadow at the feet.

    Args:
        alpha: (H, W) float in [0, 1].

    Returns:
        (H, W) bool.
    """
    person = (alpha > 0.02).astype(np.uint8)
    rows = np.flatnonzero((alpha > 0.5).any(1))
    if not len(rows):
        return person > 0
    tall = rows[-1] + 1 - rows[0]
    rim = max(3, round(tall * RIM_PER_HEIGHT))
    hole = cv2.dilate(person, _ellipse(rim, rim))
    if rows[-1] < len(alpha) - 2:  # feet that the photo cuts off cast nothing that is seen
        feet = person.copy()
        feet[: round(rows[-1] - tall * FEET_PER_HEIGHT)] = 0
        below, beside = (max(rim, round(tall * share)) for share in SHADOW_PER_HEIGHT)
        hole = np.maximum(hole, cv2.dilate(feet, _ellipse(below, beside)))
    # Gaps between arm and body: what little is seen there is mostly halo, and misleads the fill.
    hole = np.pad(hole, 4 * rim)
    closed = cv2.morphologyEx(hole, cv2.MORPH_CLOSE, _ellipse(rim, rim))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - closed, connectivity=4)
    small = stats[:count, cv2.CC_STAT_AREA] < (0.05 * tall) ** 2
    small[0] = False
    closed = closed | small[labels].astype(np.uint8)
    return closed[4 * rim : -4 * rim, 4 * rim : -4 * rim] > 0


def _close_gaps(hole: np.ndarray) -> np.ndarray:
    reach = round(np.count_nonzero(hole.any(1)) * GAP_PER_HEIGHT)
    padded = np.pad(hole.astype(np.uint8), ((0, 0), (2 * reach, 2 * reach)))
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((1, 2 * reach + 1), np.uint8))
    return hole | (closed[:, 2 * reach : closed.shape[1] - 2 * reach] > 0)


def _cast_shadow(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Where the backdrop beside the person is darker than it is further away, bool (H, W).

    Left in the plate, the shadow on a studio wall would be continued behind the person and stand
    there as a grey ghost once the person has moved.
    """
    reach = round(np.count_nonzero(hole.any(1)) * WALL_SHADOW_PER_HEIGHT)
    scale = min(1.0, REFERENCE_SIDE_PX / max(hole.shape))
    size = max(1, round(hole.shape[1] * scale)), max(1, round(hole.shape[0] * scale))
    inside = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    beside = np.ones((1, 2 * round(reach * scale) + 1), np.uint8)
    around = cv2.dilate(inside, beside) > 0
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    darker = (fill_smooth(small, around) - small).mean(2)
    darker = cv2.GaussianBlur(np.where(inside > 0, 0, darker), (0, 0), 1.5) > SHADOW_DEPTH
    candidates = ((darker & around) | (inside > 0)).astype(np.uint8)
    _, labels = cv2.connectedComponents(candidates)
    shadow = np.isin(labels, np.unique(labels[inside > 0])) & (labels > 0)
    grown = cv2.dilate(shadow.astype(np.uint8), _ellipse(4, 4))
    return cv2.resize(grown, hole.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _ellipse(half_height: int, half_width: int) -> np.ndarray:
    return cv2.getStructuringElement(
        cv2.MORPH_ELLIPSE, (2 * half_width + 1, 2 * half_height + 1)
    ).astype(np.uint8)


def _patterned(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """How patterned the surroundings are, 0 plain to 1 patterned, (H, W) float32."""
    scale = min(1.0, REFERENCE_SIDE_PX / max(hole.shape))
    size = max(1, round(hole.shape[1] * scale)), max(1, round(hole.shape[0] * scale))
    known = cv2.resize((~hole).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    known = (known > 0.99).astype(np.float32)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    def mean(values: np.ndarray, sigma_px: float) -> np.ndarray:
        weight = cv2.GaussianBlur(known, (0, 0), sigma_px)
        total = cv2.GaussianBlur(values * known[..., None], (0, 0), sigma_px)
        return total.reshape(values.shape) / np.maximum(weight, 1e-6)[..., None]

    detail = ((mean(small, 1.0) - mean(small, 5.0)) ** 2).mean(2, keepdims=True)
    # At an edge of what is known a one-sided mean makes detail out of a slope.
    inner = cv2.erode(np.pad(known, 10), np.ones((21, 21), np.uint8))[10:-10, 10:-10]
    known = inner if inner.any() else known
    energy, sigma_px = np.zeros(known.shape, np.float32), 24.0
    weight = np.zeros_like(energy)
    for octave in range(4):  # deep inside the hole only the widest window sees anything
        fade, sigma = 1e-2**octave, sigma_px * 2**octave
        seen = cv2.GaussianBlur(known, (0, 0), sigma)
        energy += fade * seen * mean(detail, sigma)[..., 0]
        weight += fade * seen
    rms = np.sqrt(energy / np.maximum(weight, 1e-9))
    low, high = TEXTURE_RMS
    share = np.clip((rms - low) / (high - low), 0, 1).astype(np.float32)
    return cv2.resize(share, hole.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _grain(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The photo's noise for the hole, moved there from the sides: (H, W, 3) float32."""
    noise = image - cv2.GaussianBlur(image, (0, 0), GRAIN_PX)
    clean = cv2.dilate(hole.astype(np.uint8), _ellipse(5, 5)) == 0
    # ledges and lines are no grain: what is left of them where that is evened, and some room
    lines = cv2.GaussianBlur(image, (0, 0), GRAIN_PX) - cv2.GaussianBlur(image, (0, 0), LINES_PX)
    for found, usual, room in ((noise, 4.5, 0), (lines, 3.0, round(3 * GRAIN_PX))):
        strength = np.abs(found).max(2)
        bound = usual * float(np.median(strength[clean])) if clean.any() else 0.0
        clean &= cv2.dilate((strength > bound).astype(np.uint8), _ellipse(room, room)) == 0
    grain = np.zeros_like(image)
    empty = hole.copy()
    height, width = hole.shape
    for share in (0.21, -0.23, 0.37, -0.41, 0.53, -0.59):
        for shift in ((0, round(width * share)), (round(height * share), 0)):
            moved_clean = np.roll(clean, shift, (0, 1))
            use = empty & moved_clean
            grain[use] = np.roll(noise, shift, (0, 1))[use]
            empty &= ~use
    return grain
