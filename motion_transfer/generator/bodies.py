"""Round bodies: what a head, a torso or a skirt in a photo is taken for.

Each is an elliptical cylinder inside its layer's outline. When it turns the outline stays, and what
lies inside goes round.

Axes: h w pixels of a texture, L lines across the axis, one for each pixel along it.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from scipy import ndimage

from motion_transfer.generator.motion import smoothstep
from motion_transfer.generator.warp import pixel_grid

STEP = 2  # pixels of a texture from one node of the grid over it to the next
_RIM = 0.96  # share of the outline's width: further out, colours have a part of the background's
_LEAST_SLOPE = 0.35  # of places on a body against its angles, beside 1 in the middle
_SIDE = math.radians(68)  # angle of a body's sides
_NUM_ANGLES = 513


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """What a layer turns about.

    Args:
        centre_xy: a point of it, pixels of the photo.
        up_xy: unit vector along it.
        whole_px: what is less than this far below the centre turns with the layer,
        still_px: what is further below with the trunk.
        nod_px: half the height of what nods, about the centre; 0 for a layer that does not.
        crown_px: from half this to this far above the centre less and less nods.
        top_px: further up than this above the centre the body is as wide as there: a neckline is
            no waist.
        smooth_px: over which the outline is smoothed.
        depth: of the body in shares of its width.
        front: share of the width, in the middle, that is not on the back as well,
        alike_px: but from so far below the centre it is, since trousers are alike all round,
        fade_px: half of what lies between the one and the other.
        seam: half the width of the soft middle of the back, in shares of it.
        last: cosine of the angle to the photo's view at which the seen side ends after a large
            turn.
        side: share of the half width at which the sides are; hair stands off beyond them.
    """

    centre_xy: np.ndarray
    up_xy: np.ndarray
    whole_px: float = 1e6
    still_px: float = 2e6
    nod_px: float = 0.0
    crown_px: float = 1e6
    top_px: float = 1e6
    smooth_px: float = 2.0
    depth: float = 1.0
    front: float = 0.5
    alike_px: float = 1e6
    fade_px: float = 1.0
    seam: float = 0.15
    last: float = 0.2
    side: float = 1.0


class Body:
    """An elliptical cylinder in the photo.

    Args:
        axis: see there.
        alpha: (h, w) of the layer.
        origin_xy: position of its first pixel in the photo.
    """

    def __init__(self, axis: Axis, alpha: torch.Tensor, origin_xy: tuple[int, int]) -> None:
        self.axis = axis
        up = alpha.new_tensor(axis.up_xy.tolist())
        self._right, self.down = torch.stack([-up[1], up[0]])[:, None, None], -up[:, None, None]
        along, across = self.place(pixel_grid(*alpha.shape[:2], device=alpha.device), origin_xy)
        self._first, self._lines = _lines(along, across, alpha, axis)
        self._angles = torch.linspace(-math.pi / 2, math.pi / 2, _NUM_ANGLES, device=alpha.device)
        self._places = _places(self._angles, axis.side)

    def place(
        self, grid: torch.Tensor, origin_xy: tuple[int, int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Where positions (1, 2, h, w) are along and across the axis, (h, w) each, photo pixels.

        Args:
            grid: positions in a texture.
            origin_xy: position of the texture's first pixel in the photo.
        """
        corner = grid.new_tensor((np.array(origin_xy) - self.axis.centre_xy).tolist())
        offset = grid[0] + corner[:, None, None]
        return (offset * self.down).sum(0), (offset * self._right).sum(0)

    def place_points(self, points: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Where points (N, 2) of the photo are along and across the axis, (N,) each."""
        xy = torch.from_numpy(points.T[None, :, None].astype(np.float32))
        along, across = self.place(xy.to(self.down.device), (0, 0))
        return along[0], across[0]

    def line(self, along: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Middle and half width of the body there, each of the same shape as `along`."""
        at = (along - self._first).clamp(0, self._lines.shape[1] - 1.001)
        low = at.long()
        found = torch.lerp(self._lines[:, low], self._lines[:, low + 1], at - low)
        return found[0], found[1]

    def angle(self, column: torch.Tensor) -> torch.Tensor:
        """Angle, -pi/2 to pi/2, of what lies at shares of the half width, see `column`."""
        after = torch.searchsorted(self._places, column.contiguous()).clamp(1, _NUM_ANGLES - 1)
        low, high = self._places[after - 1], self._places[after]
        share = (column - low) / (high - low)
        return torch.lerp(self._angles[after - 1], self._angles[after], share)

    def column(self, sine: torch.Tensor) -> torch.Tensor:
        """Share of the half width at which lies what has this sine; any shape.

        An ellipse's is the sine itself. Near the outline this is less steep than that, or a narrow
        strip of cloth would be drawn out to half of a back.
        """
        at = (sine.asin() / math.pi + 0.5) * (_NUM_ANGLES - 1)
        low = at.long().clamp_max(_NUM_ANGLES - 2)
        return torch.lerp(self._places[low], self._places[low + 1], at - low)

    def position(
        self, along: torch.Tensor, across: torch.Tensor, origin_xy: tuple[int, int]
    ) -> torch.Tensor:
        """(1, 2, h, w) in a texture of what is along and across the axis: `place` backwards."""
        corner = along.new_tensor((np.array(origin_xy) - self.axis.centre_xy).tolist())
        return (self.moved(across, along) - corner[:, None, None])[None]

    def moved(self, across: torch.Tensor, along: torch.Tensor | float) -> torch.Tensor:
        """(2, h, w) picture vectors of what is moved across and along the axis."""
        return across * self._right + along * self.down


class BodyPixels:
    """Positions (1, 2, h, w) in a texture on a body."""

    def __init__(self, body: Body, grid: torch.Tensor, origin_xy: tuple[int, int]) -> None:
        self._body = body
        self.along, self.across = body.place(grid, origin_xy)
        self.middle, self.half = body.line(self.along)
        self.column = ((self.across - self.middle) / self.half).clamp(-1, 1)
        own = body.angle(self.column)
        self._sine, self._cosine = own.sin(), own.cos()
        self._outside = self.across - self.middle - self.half * self.column
        if body.axis.nod_px:
            self._height = (self.along / body.axis.nod_px).clamp(-1, 1)
            self._bulge = (1 - self._height**2).sqrt()
            self._nods = body.axis.nod_px * smoothstep(2 + 2 * self.along / body.axis.crown_px)

    def turned(self, yaw: float, pitch: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Shift (2, h, w) in pixels, and cosine (h, w) of the angle to the photo's view."""
        axis = self._body.axis
        # an ellipse's own parameter: it runs evenly over the outline that is seen
        angle = math.atan2(axis.depth * math.sin(yaw), math.cos(yaw))
        s, c = math.sin(angle), math.cos(angle)
        column = self._body.column((c * self._sine - s * self._cosine).clamp(-1, 1))
        towards = c * self._cosine + s * self._sine
        if not axis.nod_px or not pitch:
            across = self.half * (column - self.column)
            return self._body.moved(across, 0.0), towards
        s, c = math.sin(pitch), math.cos(pitch)
        along = self._nods * ((c - 1) * self._height - s * self._bulge)
        middle, half = self._body.line(self.along + along)
        across = middle + half * column + self._outside - self.across
        return self._body.moved(across, along), towards


def _places(angles: torch.Tensor, side: float) -> torch.Tensor:
    """(N,) shares of the half width at angles (N,) of a body, see `Body.column`.

    Before hair that stands off its sides a face goes round to them, faster and faster: flat in the
    middle, and long from the eyes to the ears.
    """
    steep = math.acos(_LEAST_SLOPE)
    most = math.sin(steep) + _LEAST_SLOPE * (math.pi / 2 - steep)
    own = angles.new_tensor(np.linspace(-math.pi / 2, math.pi / 2, 4 * _NUM_ANGLES))
    further = (own.abs() - steep).clamp_min(0)
    places = own.clamp(-steep, steep).sin() + _LEAST_SLOPE * further * own.sign()
    places /= most
    edge = float(own[torch.searchsorted(places, min(side, 1.0)).clamp_max(len(own) - 1)])
    if edge >= _SIDE:
        return _between(angles, own, places)
    inner = own + (_SIDE - edge) * (own / edge) ** 3
    outer = _SIDE + (own.abs() - edge) * (math.pi / 2 - _SIDE) / (math.pi / 2 - edge)
    return _between(angles, torch.where(own.abs() < edge, inner, outer * own.sign()), places)


def _between(x: torch.Tensor, known: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """(N,) values at x (N,), linear between what is known."""
    found = np.interp(x.cpu().numpy(), known.cpu().numpy(), values.cpu().numpy())
    return torch.from_numpy(found.astype(np.float32)).to(x.device)


def _lines(
    along: torch.Tensor, across: torch.Tensor, alpha: torch.Tensor, axis: Axis
) -> tuple[float, torch.Tensor]:
    """Where the body lies in each line across the axis.

    Returns:
        Position of the first line along the axis; (2, L) middle and half width, pixels, smooth
        along the axis.
    """
    inside = alpha > 0.5
    first = float(along.min().floor())
    count = int(along.max() - first) + 2
    line = (along - first).round().long()[inside]
    left, right = (along.new_full((count,), v) for v in (math.inf, -math.inf))
    left.scatter_reduce_(0, line, across[inside], "amin")
    right.scatter_reduce_(0, line, across[inside], "amax")
    known = torch.isfinite(left).nonzero()[:, 0].cpu().numpy()
    if len(known) == 0:
        return first, torch.ones(2, count, device=along.device)
    low, high = (
        ndimage.gaussian_filter1d(
            ndimage.median_filter(
                np.interp(np.arange(count), known, edge.cpu().numpy()[known]),
                2 * round(axis.smooth_px) + 1, mode="nearest",
            ),
            axis.smooth_px, mode="nearest",
        )
        for edge in (left, right)
    )  # fmt: skip
    lines = np.stack([(low + high) / 2, np.maximum(_RIM * (high - low) / 2, 1.0)])
    top = min(max(0, round(-axis.top_px - first)), count - 1)
    lines[:, :top] = lines[:, top, None]
    return first, torch.tensor(lines, dtype=torch.float32, device=along.device)
