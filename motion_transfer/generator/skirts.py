"""Skirts, dresses and open coats, found by the person's outline."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from motion_transfer.generator.limbs import LIMBS, RADIUS
from motion_transfer.generator.working import Working, colour_distance, connected
from motion_transfer.pose.retarget import MIDHIP
from motion_transfer.pose.skeleton import INDEX

ALIKE = 10.0  # CIELAB, as far apart may colours of one cloth or one skin be
HEM_STEP, HEM_REACH_M, HEM_SLACK_M = 0.17, 0.025, 0.08
"""By how much of its width the outline steps inwards at a hem, over how high a strip that is
measured, and how far cloth may hang below the hem."""
HEM_FAR_M, HEM_FAR_STEP = 0.24, 0.14
"""Over legs whose bones are so far apart, without a gap, a smaller step is enough: a skirt is drawn
tight by a wide stance."""
HEM_GAP_M, HEM_APART_M, HEM_LEVEL_M = 0.02, 0.2, 0.1
"""How wide a gap between the legs must be to count; how far apart the bones of legs are that would
show one in trousers; and by how much one knee may be higher than the other."""


def find_skirt(work: Working) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Find cloth below the hips that no leg explains: a skirt, a dress, an open coat.

    Returns:
        The mask (h, w) and the two lower corners (2, 2), or None twice.
    """
    joints, metre = work.joints, work.metre
    legs = np.minimum.reduce([work.distance[n] for n in LIMBS if "thigh" in n or "shin" in n])
    arms = np.minimum.reduce([work.distance[n] for n in LIMBS if "arm" in n])
    body = (work.matte > 0.5) & (arms > 1.35)
    loose = body & (legs > 1.25)
    hip_y = float(joints[MIDHIP, 1])
    knees = joints[[INDEX["left_knee"], INDEX["right_knee"]], 1]
    ankles = joints[[INDEX["left_ankle"], INDEX["right_ankle"]], 1]
    thigh = max(float(knees.mean()) - hip_y, 0.2 * metre)
    first = int(hip_y + 0.18 * thigh)
    last = min(int(ankles.max() - 0.06 * metre), len(body) - 1)
    amount = loose[: last + 1].sum(1)
    wide = amount > max(0.085 * metre, 0.35 * float(amount[first:].max(initial=0)))
    gap_rows = _gap_filled(work, body)
    rows = (wide | gap_rows[: last + 1])[first:]
    if len(rows) == 0:
        return None, None
    misses, hem = 0, -1
    for number, row in enumerate(rows):
        misses = 0 if row else misses + 1
        if misses > 0.05 * metre:
            break
        if row:
            hem = number
    hem_y: int | None = first + hem
    if hem < 0.3 * thigh:
        hem_y = _hem_step(work, body, range(first, int(hip_y + 1.3 * thigh)))
    if hem_y is None or hem_y < first + 0.3 * thigh:
        return None, None
    mask = body.copy()
    mask[: int(hip_y - 0.02 * metre)] = False
    mask[hem_y + 1 :] = False
    near = [n for n in LIMBS if "arm" in n]
    mask &= np.minimum.reduce([work.distance[n] for n in near]) > 1.2
    keep = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    mask = keep[1] == 1 + np.argmax(keep[2][1:, cv2.CC_STAT_AREA]) if keep[0] > 1 else mask
    band = mask[max(first, hem_y - max(3, int(0.06 * metre))) : hem_y + 1]
    columns = np.flatnonzero(band.any(0))
    if len(columns) == 0:
        return None, None
    return mask, np.array([[columns[0], hem_y], [columns[-1], hem_y]], np.float64)


def _leg_columns(work: Working) -> np.ndarray:
    """(h, 2) x of the two legs' bones in each row, the smaller first."""
    height, width = work.matte.shape
    y = np.arange(height)
    legs = np.stack([
        np.interp(y, leg[:, 1], leg[:, 0])
        for side in ("left", "right")
        for leg in [work.joints[[INDEX[f"{side}_{n}"] for n in ("hip", "knee", "ankle")]]]
    ], 1)  # fmt: skip
    return np.sort(legs.clip(0, width - 1), 1)


def _gap_filled(work: Working, body: np.ndarray) -> np.ndarray:
    """(h,) rows in which the legs stand apart and yet cloth is between them."""
    rows = np.zeros(len(body), bool)
    inset = 1.15 * RADIUS["thigh"] * work.metre
    for y, (low, high) in enumerate(_leg_columns(work)):
        if high - low > 2 * inset + 0.03 * work.metre:
            between = body[y, int(low + inset) : int(high - inset) + 1]
            rows[y] = len(between) > 0 and bool(between.mean() > 0.8)
    return rows


def _hem_step(work: Working, body: np.ndarray, rows: range) -> int | None:
    """The row at which one piece of cloth ends over two legs, where the outline steps inwards.

    For skirts that hang close. Trousers narrow by degrees, and the legs of shorts have a gap
    between them; so whether it is a skirt can be told only of legs that are seen from the front or
    from behind, beside each other, and apart: below the hem, or so far that trousers would show it.
    """
    metre = work.metre
    hips, knees = (
        work.joints[INDEX[f"left_{n}"]] - work.joints[INDEX[f"right_{n}"]] for n in ("hip", "knee")
    )
    rows = range(rows.start, min(rows.stop, len(body)))
    reach = max(1, round(HEM_REACH_M * metre))
    level = hips[0] * knees[0] > 0 and abs(knees[1]) < HEM_LEVEL_M * metre
    if not level or len(rows) <= 4 * reach:
        return None
    legs = _leg_columns(work)
    gap = np.array([
        (work.matte[y, int(low) : int(high) + 1] < 0.5).sum() / metre
        for y, (low, high) in enumerate(legs)
    ])  # fmt: skip
    inside = [np.flatnonzero(body[y]) for y in rows]
    width = np.array([x[-1] - x[0] + 1 if len(x) else 0 for x in inside], np.float64)
    width = ndimage.uniform_filter1d(width, reach)
    middles = np.arange(2 * reach, len(width) - 2 * reach)
    above, below = width[middles - reach * 3 // 2], width[middles + reach * 3 // 2]
    drop = 1 - below / np.maximum(above, 1.0)
    step = rows.start + int(middles[drop.argmax()])
    whole = gap[rows.start : step - 2 * reach].max(initial=0) <= HEM_GAP_M
    bones = (legs[step, 1] - legs[step, 0]) / metre
    apart = gap[step + 2 * reach : step + 4 * reach].mean() >= HEM_GAP_M or bones >= HEM_APART_M
    least = HEM_FAR_STEP if bones >= HEM_FAR_M else HEM_STEP
    return step - reach // 2 if drop.max() >= least and whole and apart else None


def with_hem(work: Working, skirt: np.ndarray, legs: np.ndarray) -> np.ndarray:
    """The skirt (h, w) with the cloth that hangs below its straight hem, without legs above it.

    Cloth is what looks like the skirt and not like the legs (h, w) further down; and the other way
    round.
    """
    slack = max(1, round(HEM_SLACK_M * work.metre))
    kernel = np.ones((slack + 1, 1), np.uint8)
    below = cv2.dilate(skirt.astype(np.uint8), kernel, anchor=(0, slack)) > 0
    cloth = cv2.erode(skirt.astype(np.uint8), kernel, anchor=(0, 0), borderValue=0) > 0
    legs = legs & ~skirt & ~below
    near = below & (work.matte > 0.5) & ~cloth
    if not legs.any() or not near.any() or not cloth.any():
        return skirt
    lab = cv2.cvtColor(work.rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    to_cloth, to_leg = (colour_distance(lab, near, known) for known in (cloth, legs))
    hanging, bare, likely = (np.zeros_like(skirt) for _ in range(3))
    hanging[near] = (to_cloth < ALIKE) & (to_leg > 2 * to_cloth)
    bare[near] = (to_leg < ALIKE) & (to_cloth > 2 * to_leg)
    likely[near] = to_leg < to_cloth
    square = np.ones((3, 3), bool)
    bare = connected(ndimage.binary_opening(bare, square), likely)
    bare = ndimage.binary_opening(bare, square)
    # trousers between the two sides of a coat do not end here
    bare &= ~connected(ndimage.binary_dilation(cloth, square), bare)
    bare &= connected(legs, legs | (near & ~skirt) | bare)
    return connected(skirt, (skirt & ~bare) | hanging)
