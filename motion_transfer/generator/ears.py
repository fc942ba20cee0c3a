"""Ears: seen at the sides of a face, they turn to the middle of a head from the side.

From the front an ear is narrow, and beyond the round body that a head is taken for. So it is a
piece of its own, which hangs before the ear (at the tragus) on that body, and becomes as wide as
an ear is when its side turns to the camera.

Axes: h w pixels of the head's texture, G nodes of a grid over the head's box in the target.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from scipy import ndimage

from motion_transfer.generator.bodies import Body
from motion_transfer.generator.motion import smoothstep
from motion_transfer.generator.warp import pixel_grid
from motion_transfer.generator.working import Layer
from motion_transfer.pose.face_mesh import NOSE, SIDES
from motion_transfer.pose.skeleton import INDEX

INNER, OUTER, ABOVE, BELOW = -0.02, 0.3, 0.3, 0.26
"""Where an ear is looked for, outwards from the tragus and along the face, heights of the face."""
BESIDE = (0.06, 0.12)  # so near to the tragus some of it is
CHEEK, CROWN = (0.22, 0.1, 0.2), 1.2
"""Of a cheek how far inwards from the tragus, up and down; of hair how far up."""
LEAST_AREA, WIDE = 0.012, 0.2  # of an ear, in the photo; how wide it is from the side
LEAST_SIDE = 0.35  # share of a face from its nose to an ear that the photo shows
SOFT = 0.02  # standard deviation
LIGHT = 0.15  # weight of lightness in distances of colours, OpenCV's CIELAB: ears may be in shade
SURE, UNLIKE = 4.0, 8.0  # of such a distance; skin and hair that are less apart cannot be told
LEAST_WIDTH_PX = 2.0  # in the photo; what is less is a blur when it grows
_SMALL, _LARGE = math.radians(8), math.radians(20)
"""A turn up to the first may be noise and moves no ear; from the second all of it is seen."""
_LEAST_PX = 1.0


class Ear:
    """One ear.

    Attributes:
        texture: (1, 5, h, w) the head's, and nothing but the ear.

    Args:
        texture: (1, 5, h, w) the head's.
        mask: (h, w) in [0, 1] what of it is the ear.
        body: of the head.
        tragus: place of the tragus across the body's axis, and along it, pixels.
        side: -1 at the left of the picture, 1 at its right.
        width_px: in the photo.
        deep_px: as wide is it from the side.
        origin_xy: position of the texture's first pixel in the photo.
    """

    def __init__(
        self,
        texture: torch.Tensor,
        mask: torch.Tensor,
        body: Body,
        tragus: tuple[float, float],
        side: int,
        width_px: float,
        deep_px: float,
        origin_xy: tuple[int, int],
    ) -> None:
        self.texture = (texture * mask).contiguous(memory_format=torch.channels_last)
        self._body, self._side, self._origin_xy = body, side, origin_xy
        self._inner, self._width_px, self._deep_px = tragus[0], width_px, deep_px
        middle, half = body.line(torch.tensor(tragus[1], device=mask.device))
        column = ((tragus[0] - middle) / half).clamp(-1, 1)
        self._middle, self._half = float(middle), float(half)
        self._angle = float(body.angle(column[None])[0])

    def turned(
        self, positions: torch.Tensor, yaw: float
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Where an ear is looked up when the head is turned.

        Args:
            positions: (1, 2, G, G) in the head's texture.
            yaw: radians, positive to the right of the picture.

        Returns:
            (1, 5, h, w) the ear's texture, as much of it as is to be seen, and positions (1, 2, G,
            G) in that; None where it is not seen.
        """
        depth = self._body.axis.depth
        angle = self._angle + math.atan2(depth * math.sin(yaw), math.cos(yaw))
        width = self._width_px * math.cos(yaw) - self._side * self._deep_px * math.sin(yaw)
        share = smoothstep(positions.new_tensor((abs(yaw) - _SMALL) / (_LARGE - _SMALL)))
        if width < _LEAST_PX or abs(angle) > math.pi / 2 or share <= 0 or self._side * yaw > 0:
            return None
        column = self._body.column(positions.new_tensor(math.sin(angle)))
        inner = self._middle + self._half * float(column)
        _, across = self._body.place(positions, self._origin_xy)
        shown = self._inner + (across - inner) * self._width_px / width
        return self.texture * share, positions + self._body.moved(shown - across, 0.0)


def find_ears(
    layer: Layer,
    points: np.ndarray,
    body: Body,
    texture: torch.Tensor,
    origin_xy: tuple[int, int],
) -> list[Ear]:
    """The ears that a photo shows: beside the face, in its colours rather than the hair's.

    Args:
        layer: the head.
        points: (468, 3) of `FaceMesh`, pixels of the photo.
        body: the head.
        texture: (1, 5, h, w) of it, a pixel larger on each side.
        origin_xy: position of the texture's first pixel in the photo.
    """
    rgba = np.pad(layer.rgba, ((1, 1), (1, 1), (0, 0)))
    alpha = rgba[..., 3]
    grid = pixel_grid(*alpha.shape, device=texture.device)
    along, across = (v.cpu().numpy() for v in body.place(grid, origin_xy))
    down, right = (v.cpu().numpy() for v in body.place_points(points[:, :2]))
    height = float(np.ptp(down))
    face = np.zeros(alpha.shape, np.uint8)
    hull = cv2.convexHull((points[:, :2] - origin_xy).round().astype(np.int32))
    cv2.fillConvexPoly(face, hull, 1)
    rgb = (255 * rgba[..., :3]).round().clip(0, 255).astype(np.uint8)
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32) * (LIGHT, 1, 1)
    ears = []
    for point, opposite, side in ((*SIDES, -1), (*SIDES[::-1], 1)):
        seen = side * (right[point] - right[NOSE]) / max(abs(right[point] - right[opposite]), 1e-6)
        out, low = (side * (across - right[point])) / height, (along - down[point]) / height
        found = _beside_face(lab, alpha, face > 0, out, low, SOFT * height)
        if seen < LEAST_SIDE or (found & (out > 0)).sum() < LEAST_AREA * height**2:
            continue
        width = height * float(np.percentile(out[found], 98))
        if width < LEAST_WIDTH_PX:
            continue
        soft = cv2.GaussianBlur(found.astype(np.float32), (0, 0), max(SOFT * height, 0.8))
        mask = torch.from_numpy(np.clip(2 * soft - 0.5, 0, 1)).to(texture)
        tragus = (float(right[point]), float(down[point]))
        ears.append(Ear(texture, mask, body, tragus, side, width, WIDE * height, origin_xy))
    return ears


def _beside_face(
    lab: np.ndarray,
    alpha: np.ndarray,
    face: np.ndarray,
    out: np.ndarray,
    low: np.ndarray,
    soft_px: float,
) -> np.ndarray:
    """(h, w) bool: what is beside a face and looks like its cheek rather than hair.

    Args:
        lab: (h, w, 3) colours, lightness weighted.
        alpha: (h, w).
        face: (h, w) bool.
        out: (h, w) place outwards from the tragus, heights of the face.
        low: (h, w) place down from it.
        soft_px: standard deviation.
    """
    cheek = face & (out > -CHEEK[0]) & (low > -CHEEK[1]) & (low < CHEEK[2])
    hair = (alpha > 0.8) & ~face & (low < -ABOVE) & (low > -CROWN)
    skin, other = (np.median(lab[m], 0) if m.any() else np.zeros(3) for m in (cheek, hair))
    if not cheek.any() or np.linalg.norm(skin - other) < UNLIKE:
        return np.zeros_like(face)
    near, far = (np.linalg.norm(lab - colour, axis=-1) for colour in (skin, other))
    like = (alpha > 0.5) / (1 + np.exp((near - far) / SURE))
    inside = cv2.GaussianBlur(like.astype(np.float32), (0, 0), soft_px) > 0.5
    inside &= (out > INNER) & (out < OUTER) & (low > -ABOVE) & (low < BELOW)
    pieces, _ = ndimage.label(inside)
    at_tragus = inside & (out < BESIDE[0]) & (np.abs(low) < BESIDE[1])
    return inside & np.isin(pieces, np.unique(pieces[at_tragus]))


def ear_outline(
    joints: np.ndarray,
    body: Body,
    alpha: torch.Tensor,
    origin_xy: tuple[int, int],
    radius_px: float,
) -> torch.Tensor:
    """(h, w) in [0, 1] what of a head's outline is ears.

    Args:
        joints: (33 or more, 2), pixels of the photo.
        body: the head.
        alpha: (h, w) of its texture.
        origin_xy: position of the texture's first pixel in the photo.
        radius_px: of an ear.
    """
    grid = pixel_grid(*alpha.shape, device=alpha.device)
    along, across = body.place(grid, origin_xy)
    middle, half = body.line(along)
    out = ((across - middle).abs() - half).clamp(0, 1)
    found = torch.zeros_like(alpha)
    for side in ("left", "right"):
        place = joints[INDEX[f"{side}_ear"]] - np.array(origin_xy)
        away = (grid[0] - grid.new_tensor(place.tolist())[:, None, None]).norm(dim=0)
        found = torch.maximum(found, out * (2 - 2 * away / radius_px).clamp(0, 1))
    return found
