"""Faces in relief: noses, lips and chins stand out of the round body that a head is taken for.

How far they do is known from the points of `FaceMesh`. Where a head turns, a nose goes further
aside than a cheek, hides what is behind it, and stands out of the head's outline.

Axes: h w pixels of a texture, H W nodes of the grid over it, N of them near the relief, L lines
across the body's axis, K angles about it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from scipy import ndimage
from scipy.interpolate import LinearNDInterpolator
from torch.nn import functional

from motion_transfer.generator.bodies import STEP, Body, BodyPixels
from motion_transfer.generator.warp import pixel_grid, sample
from motion_transfer.pose.face_mesh import BRIDGE, BROWS, SIDES

DEEP, LEAST_DEPTH = 1.15, 0.3
"""A head is so many times as deep as the face is wide, however wide the hair is; and at least this
share of its own width."""
LEAST_SIDE = 0.8  # share of a head's half width; hair that stands off farther is no shell
FADE, SMOOTH = 0.12, 0.02  # from a face's rim to where it stands out, and of it; of its width
WIDER = 1.05  # a face's round than from ear to ear
_SMALL, _LARGE = math.radians(8), math.radians(25)
"""A turn up to the first may be noise and moves no nose; from the second all of it."""
_LEAST_PX = 0.5
_TORN_PX = 1.5 * STEP  # from one node to the next
_NUM_ANGLES = 45
_NODS = 0.3  # of its length at most is a relief nodded
_BACK = -0.3  # depth, of the half width, down to which what stands out is seen beyond the outline


def head_depth(points: np.ndarray, body: Body) -> float:
    """Depth of a head in shares of its width: hair that stands off does not make a skull deep.

    Args:
        points: (468, 3) of `FaceMesh`, pixels of the photo.
        body: the head.
    """
    along, _ = body.place_points(points[:, :2])
    _, half = body.line(along.mean())
    deep = DEEP * _face_width(points) / (2 * float(half))
    return min(1.0, max(LEAST_DEPTH, deep))


def face_side(points: np.ndarray, body: Body) -> float:
    """Share of a head's half width at which a face ends before the ears; 1 if hair hides that.

    Args:
        points: (468, 3) of `FaceMesh`, pixels of the photo.
        body: the head.
    """
    along, across = body.place_points(points[list(SIDES), :2])
    middle, half = body.line(along)
    side = float(((across - middle) / half).abs().mean())
    return side if LEAST_SIDE < side < 1 else 1.0


def face_relief(
    points: np.ndarray, body: Body, alpha: torch.Tensor, origin_xy: tuple[int, int]
) -> torch.Tensor:
    """(h, w) pixels that a face stands out of its head towards the camera, from the brows down.

    Args:
        points: (468, 3) of `FaceMesh`, pixels of the photo.
        body: the head.
        alpha: (h, w) of its texture.
        origin_xy: position of the texture's first pixel in the photo.
    """
    grid = pixel_grid(*alpha.shape, device=alpha.device)
    depth = LinearNDInterpolator(points[:, :2] - np.array(origin_xy), points[:, 2])(
        grid[0].permute(1, 2, 0).cpu().numpy()
    )
    face = np.isfinite(depth)
    if not face.any():
        return torch.zeros_like(alpha)
    along, across = body.place(grid, origin_xy)
    _, half = body.line(along)
    landmarks = body.place_points(points[[*SIDES, BROWS, BRIDGE], :2])
    width = _face_width(points)
    # as round as a face, and as far out as the head is
    radius, middle = WIDER * width / 2, float(landmarks[1][:2].mean())
    column = ((across - middle) / radius).clamp(-1, 1)
    body_out = half - radius * (1 - (1 - column**2).sqrt())
    out = np.where(face, -depth - body_out.cpu().numpy(), 0)
    out -= np.median(out[face])
    brows, bridge = (float(v) for v in landmarks[0][2:])
    below = ((along - brows) / max(bridge - brows, 1e-3)).clamp(0, 1).cpu().numpy()
    inside = ndimage.distance_transform_edt(np.pad(face, 1))[1:-1, 1:-1]
    shown = below * np.clip(inside / (FADE * width), 0, 1)
    found = (np.maximum(out, 0) * shown).astype(np.float32)
    return torch.from_numpy(cv2.GaussianBlur(found, (0, 0), SMOOTH * width)).to(alpha)


def _face_width(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.subtract(*points[list(SIDES), :2])))


class Relief:
    """What stands out of a round body.

    Attributes:
        reach_px: the most.

    Args:
        body: that it is on.
        nodes: all of the texture's.
        out: (h, w) pixels towards the camera.
        origin_xy: position of the texture's first pixel in the photo.
    """

    def __init__(
        self, body: Body, nodes: BodyPixels, out: torch.Tensor, origin_xy: tuple[int, int]
    ) -> None:
        self._body, self.reach_px = body, float(out.max())
        along, _ = body.place(pixel_grid(*out.shape, device=out.device), origin_xy)
        rows = along[out > _LEAST_PX]
        first, last = (float(rows.min()), float(rows.max())) if len(rows) else (0.0, 0.0)
        angles = torch.linspace(-math.pi / 2, math.pi / 2, _NUM_ANGLES, device=out.device)
        lines = torch.arange(first - STEP, last + 2 * STEP, STEP, device=out.device)
        self._first = first - 2 * STEP
        middle, half = body.line(lines[:, None].expand(-1, _NUM_ANGLES))
        across = middle + half * body.column(angles.sin())
        where = body.position(lines[:, None].expand_as(across), across, origin_xy)
        heights = sample(out[None, None], where)[0, 0]
        heights = heights * (heights > _LEAST_PX) / half  # of the half width
        heights = functional.pad(heights, (0, 0, 1, 1))  # nothing at the ends
        high = functional.max_pool1d(heights.amax(0)[None], 3, 1, 1)[0] > 0
        self._angles, self._heights = angles[high], heights[:, high]  # (K,), (L, K)
        room = _NODS * (last - first) + STEP
        place = (nodes.across - nodes.middle) / nodes.half
        near = (nodes.along > first - room) & (nodes.along < last + room)
        near &= place.abs() < 1 + heights.max() + 2 * STEP / nodes.half
        self._near = (near & high.any()).flatten().nonzero()[:, 0]
        self._along, self._across, self._place = (
            v.flatten()[self._near] for v in (nodes.along, nodes.across, place)
        )

    def turned(
        self, yaw: float, pitch: float, shift: torch.Tensor, cosine: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Turn the relief with the body that it is on.

        Along each line the surface is a curve of K points. It is turned and looked at from the
        camera: of what lies one behind the other the nearest is seen.

        Args:
            yaw: radians, positive to the right of the picture.
            pitch: radians, positive downwards.
            shift: (2, H, W) as `BodyPixels.turned` found it for the body.
            cosine: (H, W) of the angle to the photo's view, from there, too.

        Returns:
            Both with the relief, (H, W) in [0, 1] how much of it is seen there, and (H, W) 1 where
            the surface is torn between a node and those to the right of it and below: behind a nose
            begins a cheek.
        """
        shape, near = cosine.shape, self._near
        nothing = torch.zeros_like(cosine)
        sure = min(1.0, (abs(math.remainder(yaw, math.tau)) - _SMALL) / (_LARGE - _SMALL))
        if sure <= 0 or not len(near):
            return shift, cosine, nothing, nothing
        shift, cosine, seen = shift.flatten(1), cosine.flatten(), nothing.flatten()
        along = self._along + (shift[:, near] * self._body.down.flatten(1)).sum(0)
        heights = self._at(along) * sure
        place, depth, thick = self._curve(yaw, heights)
        angle, height, won = _nearest(self._place, place, depth, heights, self._angles, thick)
        # beyond the outline what stands out the most goes on, and is cut off softly
        side = math.copysign(1.0, math.sin(yaw))
        out = (side * place).masked_fill((heights <= 0) | (depth < _BACK), 0)
        reach, edge = out.max(1)
        _, half = self._body.line(along)
        cover = ((reach - side * self._place) * half / STEP + 0.5).clamp(0, 1) * (reach > 1)
        beyond = ~won & (side * self._place > 1) & (reach > 1)
        angle = torch.where(beyond, self._angles[edge], angle)
        height = torch.where(beyond, heights.gather(1, edge[:, None])[:, 0], height)
        along = along - math.sin(pitch) * height * half
        middle, half = self._body.line(along)
        moved = self._body.moved(
            middle + half * self._body.column(angle.sin()) - self._across, along - self._along
        ).flatten(1)
        changed = won | beyond
        before, cosine = shift.reshape(2, *shape), cosine.clone()
        shift = shift.clone()
        shift[:, near] = torch.where(changed, moved, shift[:, near])
        cosine[near] = torch.where(changed, angle.cos(), cosine[near])
        seen[near] = torch.where(changed, cover, 0.0)
        shift, seen = shift.reshape(2, *shape), seen.reshape(shape)
        return shift, cosine.reshape(shape), seen, _torn(torch.hypot(*(shift - before)))

    def _at(self, along: torch.Tensor) -> torch.Tensor:
        """(N, K) heights at (N,) places along the axis."""
        at = ((along - self._first) / STEP).clamp(0, len(self._heights) - 1.001)
        low = at.long()
        return torch.lerp(self._heights[low], self._heights[low + 1], (at - low)[:, None])

    def _curve(self, yaw: float, heights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
        """(N, K) places and depths of the surface, of the half width, and the body's thickness.

        The outline of the elliptical body is kept, so its places are those on a circle that turns
        by the ellipse's own parameter; depths are less the slant that all have in common.
        """
        flat, s, c = self._body.axis.depth, math.sin(yaw), math.cos(yaw)
        wide = math.hypot(c, flat * s)
        turned = self._angles + math.atan2(flat * s, c)
        thick, slant = flat / wide, s * c * (flat**2 - 1) / wide**2
        place = self._body.column(turned.sin()) + s * heights
        return place, thick * turned.cos() + (c - slant * s) * heights, thick


def _torn(far: torch.Tensor) -> torch.Tensor:
    """(H, W) 1 where what nodes show is, by (H, W) pixels, farther aside than beside them."""
    corners = functional.pad(far[None, None], (0, 1, 0, 1), mode="replicate")
    most, least = (functional.max_pool2d(sign * corners, 2, 1)[0, 0] for sign in (1, -1))
    return (most + least > _TORN_PX).to(far)


def _nearest(
    at: torch.Tensor,
    place: torch.Tensor,
    depth: torch.Tensor,
    heights: torch.Tensor,
    angles: torch.Tensor,
    thick: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What is seen of a curve.

    Args:
        at: (N,) where it is looked at.
        place: (N, K) of the curve's points.
        depth: (N, K) of them, greater is nearer.
        heights: (N, K) of them.
        angles: (K,) of them.
        thick: of the body without the curve.

    Returns:
        (N,) angle and height of the nearest point that stands out, and whether there is one nearer
        than the body.
    """
    first, after = place[:, :-1], place[:, 1:]
    share = (at[:, None] - first) / torch.where(after == first, 1e-9, after - first)
    hits = (share >= 0) & (share <= 1) & (heights[:, :-1] + heights[:, 1:] > 0)
    share = share.clamp(0, 1)
    depth = torch.lerp(depth[:, :-1], depth[:, 1:], share).masked_fill(~hits, -math.inf)
    nearest, which = depth.max(1, keepdim=True)
    share = share.gather(1, which)[:, 0]
    angle = torch.lerp(angles[which[:, 0]], angles[which[:, 0] + 1], share)
    height = torch.lerp(heights.gather(1, which)[:, 0], heights.gather(1, which + 1)[:, 0], share)
    body = torch.where(at.abs() < 1, thick * (1 - at.clamp(-1, 1) ** 2).sqrt(), _BACK)
    return angle, height, nearest[:, 0] > body
