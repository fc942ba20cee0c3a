"""Where a sleeve ends against a trunk of the same cloth: along the crease between them."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import uniform_filter1d
from skimage.filters import sato
from skimage.graph import route_through_array

from motion_transfer.generator.limbs import LIMBS, RADIUS
from motion_transfer.generator.working import ENOUGH, Working, colour_distance
from motion_transfer.pose.retarget import MIDHIP, NECK

STRAIGHT_DEG = 45.0  # an elbow that is bent by more has no inner side to follow
SAME_CLOTH = 0.7  # of a sleeve's sure pixels
LIGHT, HUE, GREY = 0.3, 40.0, 15.0
"""Weights of lightness and of hue, and the chroma below which hue says little; OpenCV's CIELAB."""
ARMPIT = 0.25  # of the upper arm is above it
NEAREST, FARTHEST = 0.4, 2.4  # distances of a seam from the bone, radii of the upper arm
CREASE_PX = (1.0, 1.5, 2.0)  # standard deviations
PULL = 0.15
"""Cost of one radius away from the usual outline; it is 1 where there is no crease, 0.14 in one."""
BESIDE_PX = (2.0, 0.5)
"""So near to a seam matting decides; the crease itself is the trunk's, where it is painted over."""


def cut_at_crease(
    work: Working, lab: np.ndarray, side: str, arm: np.ndarray, trunk: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """What lies on either side of the crease between a sleeve and a trunk of the same cloth.

    The crease is a minimal path (Cohen, Kimmel, IJCV 1997) along dark lines (Sato et al., 1998)
    through the picture straightened along the arm's bones.

    Args:
        work: the person.
        lab: (h, w, 3) float32, the picture in CIELAB.
        side: left or right.
        arm: (h, w) bool, what is surely arm.
        trunk: (h, w) bool, what is surely trunk.

    Returns:
        (h, w) bool each: arm, and not arm, both without what lies next to the crease; None if the
        arm is bare, in another colour, or bent.
    """
    upper, lower = LIMBS[f"{side}_upper_arm"].main, LIMBS[f"{side}_lower_arm"].main
    shoulder, elbow, wrist = (work.joints[j] for j in (*upper, lower[1]))
    lengths = [float(np.linalg.norm(b - a)) for a, b in ((shoulder, elbow), (elbow, wrist))]
    turn = float((elbow - shoulder) @ (wrist - elbow)) / max(lengths[0] * lengths[1], 1e-6)
    sleeve = arm & (work.hand_distance([f"{side}_lower_arm"]) > 1)
    if min(lengths) < 8 or turn < np.cos(np.radians(STRAIGHT_DEG)):
        return None
    if min(sleeve.sum(), trunk.sum()) < ENOUGH:
        return None
    if (colour_distance(_hue(lab), sleeve, trunk) < 10).mean() < SAME_CLOTH:
        return None
    bones = np.concatenate([
        np.linspace(shoulder + ARMPIT * (elbow - shoulder), elbow, round(lengths[0])),
        np.linspace(elbow, wrist, round(lengths[1]))[1:],
    ])  # fmt: skip
    along = uniform_filter1d(np.gradient(bones, axis=0), 17, axis=0, mode="nearest")
    inward = np.stack([-along[:, 1], along[:, 0]], 1)
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    middle = (work.joints[NECK] + work.joints[MIDHIP]) / 2
    if ((middle - bones) * inward).sum() < 0:
        inward = -inward
    radius = RADIUS["upper_arm"] * work.metre
    away = np.arange(NEAREST * radius, FARTHEST * radius, 0.5)
    places = bones[:, None] + away[:, None] * inward[:, None]
    seam = away[_path(_cost(work, lab, places, away / radius))][:, None]
    near, far = (bones + (seam - beside) * inward for beside in BESIDE_PX)
    beyond = bones + FARTHEST * radius * inward
    up = shoulder - bones[0]  # above the armpit it goes straight on, or half of the chest is arm
    far, beyond = (np.concatenate([line[:1] + up, line]) for line in (far, beyond))
    return _between(work.matte.shape, bones, near), _between(work.matte.shape, far, beyond)


def _hue(lab: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32: hue, by its direction, and little of lightness and chroma, from CIELAB.

    Cloth in the shade is darker, and more or less colourful, but of the same hue.
    """
    a_b = lab[..., 1:] - 128
    chroma = np.linalg.norm(a_b, axis=-1, keepdims=True)
    return np.concatenate([LIGHT * lab[..., :1], HUE * a_b / (chroma + GREY)], -1)


def _cost(work: Working, lab: np.ndarray, places: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """(N, K) what a seam costs at places (N, K, 2), which lie so many radii (K,) from the bone."""
    x, y = places.astype(np.float32).transpose(2, 0, 1).clip(0)
    room = round(4 * max(CREASE_PX)) + 2
    window = tuple(slice(max(0, int(p.min()) - room), int(p.max()) + room) for p in (y, x))
    crease = np.zeros(work.matte.shape, np.float32)
    crease[window] = sato(lab[..., 0][window], sigmas=CREASE_PX, black_ridges=True)
    dark, matte = (
        cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for plane in (crease, work.matte)
    )
    cost = np.exp(-2 * dark / max(float(np.percentile(dark, 95)), 1e-3)) + PULL * (radii - 1) ** 2
    return np.where(matte < 0.5, 0.02, cost)  # a gap between arm and body is the way


def _path(cost: np.ndarray) -> np.ndarray:
    """(N,) column of the cheapest path from the first to the last row of costs (N, K)."""
    free = np.full((1, cost.shape[1]), 1e-4)
    padded = np.concatenate([free, cost, free])
    path, _ = route_through_array(padded, (0, 0), (len(padded) - 1, padded.shape[1] - 1))
    rows, columns = np.transpose(path)
    inside = (rows > 0) & (rows < len(padded) - 1)
    number = np.bincount(rows[inside] - 1, minlength=len(cost))
    return np.round(np.bincount(rows[inside] - 1, columns[inside]) / number).astype(int)


def _between(shape: tuple[int, ...], near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """(h, w) bool: between two lines (N, 2)."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(np.concatenate([near, far[::-1]])).astype(np.int32)], 1)
    return mask > 0
