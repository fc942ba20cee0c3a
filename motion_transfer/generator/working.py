"""The photographed person at working resolution, and what its cutting is made of."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from scipy.spatial import KDTree

from motion_transfer.generator.limbs import LIMBS, Limb, eyes_and_mouth, segment_distance
from motion_transfer.pose.skeleton import INDEX

ENOUGH = 12  # pixels that a colour can be told from
WORKING_HEIGHT = 360


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """One piece of the person.

    Args:
        name: one of `NAMES`.
        box_xyxy: where it lies in the photo, pixels, right and bottom exclusive.
        rgba: (h, w, 4) float32 in [0, 1], straight colour, extended beyond the outline.
        visible: (h, w) float32, 0 where the photo does not show it.
    """

    name: str
    box_xyxy: tuple[int, int, int, int]
    rgba: np.ndarray
    visible: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Skirt:
    """Outline of a skirt, dress or coat below the hips, photo pixels.

    Args:
        hem_left_xy: lower corner at the left of the picture.
        hem_right_xy: lower corner at the right of the picture.
    """

    hem_left_xy: np.ndarray
    hem_right_xy: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Working:
    """The person at working resolution; everything in working pixels."""

    rgb: np.ndarray
    matte: np.ndarray
    joints: np.ndarray
    metre: float
    box: tuple[int, int, int, int]
    scale: float
    grid: np.ndarray
    distance: dict[str, np.ndarray]
    pocketed: tuple[str, ...] = ()  # lower arms whose hands the photo does not show

    def hand_distance(self, names: list[str]) -> np.ndarray:
        """(h, w) distance to the hands of some limbs in units of their radius; far without any."""
        distance = np.full(self.matte.shape, 99.0)
        for limb in (LIMBS[name] for name in names if name not in self.pocketed):
            if limb.after is not None:
                wrist, fingers = (self.joints[j] for j in limb.after)
                away = segment_distance(self.grid, wrist, fingers)
                distance = np.minimum(distance, away / (limb.end_radius_m * self.metre))
        return distance

    @classmethod
    def make(
        cls,
        rgb: np.ndarray,
        alpha: np.ndarray,
        joints: np.ndarray,
        px_per_metre: float,
        box: tuple[int, int, int, int],
        scale: float,
    ) -> Working:
        """From the photo.

        Args:
            rgb: (H, W, 3) uint8.
            alpha: (H, W) matte.
            joints: (38, 2) pixels of the photo, see `limbs.extend_joints`.
            px_per_metre: in the photo.
            box: of the person in the photo, right and bottom exclusive.
            scale: from the photo to working pixels.
        """
        x0, y0, x1, y1 = box
        size = (max(8, round((x1 - x0) * scale)), max(8, round((y1 - y0) * scale)))
        small = cv2.resize(rgb[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
        matte = cv2.resize(alpha[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
        points = (joints - np.array([x0, y0]) + 0.5) * scale - 0.5
        grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1).astype(np.float64)
        metre = px_per_metre * scale
        return cls(
            rgb=small,
            matte=matte,
            joints=points,
            metre=metre,
            box=box,
            scale=scale,
            grid=grid,
            distance={n: _limb_distance(grid, points, limb, metre) for n, limb in LIMBS.items()},
        )


def _limb_distance(grid: np.ndarray, joints: np.ndarray, limb: Limb, metre: float) -> np.ndarray:
    """Distance to the layer's own bones in units of their radius: 1 is the usual outline."""
    main = segment_distance(grid, joints[limb.main[0]], joints[limb.main[1]])
    distance = main / (limb.radius_m * metre)
    if limb.before is not None and limb.after is not None:  # hands and feet hang on the last
        end = segment_distance(grid, joints[limb.after[0]], joints[limb.after[1]])
        distance = np.minimum(distance, end / (limb.end_radius_m * metre))
    return distance


def torso_polygon(work: Working, widen: float, up_m: float, down_m: float) -> np.ndarray:
    """(4, 2) shoulders and hips, image-left first, widened by a factor."""
    shoulders = work.joints[[INDEX["left_shoulder"], INDEX["right_shoulder"]]]
    hips = work.joints[[INDEX["left_hip"], INDEX["right_hip"]]]
    shoulders, hips = (p[np.argsort(p[:, 0])] for p in (shoulders, hips))
    axis = shoulders.mean(0) - hips.mean(0)
    axis = axis / max(float(np.linalg.norm(axis)), 1e-6)
    least = 0.11 * work.metre  # a torso seen from the side still has depth
    sideways = np.array([-axis[1], axis[0]]) * (1 if axis[1] < 0 else -1)
    corners = []
    for pair, lift in ((shoulders, up_m), (hips, -down_m)):
        half = (pair[1] - pair[0]) / 2 * widen
        if np.linalg.norm(half) < least:
            half = sideways * least
        centre = pair.mean(0) + axis * lift * work.metre
        corners += [centre - half, centre + half]
    return np.array([corners[0], corners[1], corners[3], corners[2]])


def fill(shape: tuple[int, ...], polygon: np.ndarray) -> np.ndarray:
    """(h, w) bool: inside of a polygon (N, 2)."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
    return mask.astype(bool)


def connected(seeds: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: the connected parts of a mask that hold a seed."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8))
    return mask & np.isin(parts, np.unique(parts[seeds & mask]))


def colour_distance(lab: np.ndarray, pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N,) CIELAB distance of each pixel's colour to known ones, but for a few, mixed ones.

    Args:
        lab: (h, w, 3) picture.
        pixels: (h, w) bool, N of them.
        known: (h, w) bool in the same picture, or (M, 3) colours.
    """
    known = lab[known] if known.dtype == bool else known
    colours = known[:: max(1, len(known) // 300)]
    few = 1 + len(colours) // 50
    return KDTree(colours).query(lab[pixels], [few])[0][:, 0]


def find_face(work: Working) -> np.ndarray:
    """(h, w) bool: cheeks, nose and mouth."""
    eyes, mouth = eyes_and_mouth(work.joints)
    away = np.linalg.norm(work.grid - (0.4 * eyes + 0.6 * mouth), axis=-1)
    return (away < 0.045 * work.metre) & (work.matte > 0.5)
