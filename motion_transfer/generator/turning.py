"""Turning in depth: the texture of a layer on a round body that turns inside its outline.

A head, a torso or a skirt is taken for an elliptical cylinder. When the person turns, the outline
stays what the layer's motion makes of it, but what lies inside goes round: a face looks where the
dancer looks, and the buttons of a jacket go to its side. What comes round from where the photo
does not see is another texture.

Axes: h w pixels of the texture, H W nodes of a grid over it (what moves is smooth, so it is
computed coarsely and interpolated), L lines across the axis, one for each pixel along it.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from scipy import ndimage

from motion_transfer.generator.exemplar import continue_picture
from motion_transfer.generator.motion import smoothstep
from motion_transfer.generator.warp import pixel_grid, sample

_LAST, _SOFT = (-0.5, 0.2), 0.17
"""Where the seen side ends, cosine, after a small and a large turn; half the width of its edge."""
_SMALL, _LARGE = math.radians(15), math.radians(55)
STEP = 2  # pixels of the texture from one node to the next
_RIM = 0.96  # share of the outline's width: further out, colours have a part of the background's
_LEAST_SLOPE = 0.35  # of places on a body against its angles, beside 1 in the middle
_ENDS = 4.0  # times more suddenly than a neck turns less
_PATTERN = (0.13, 0.2)  # from no pattern to one, of [0, 1]
PIECES_PX = 240  # height at which pieces of a pattern are looked for
_STANDS_OUT, _LINE_PX = 0.08, 2.0  # of [0, 1], beyond a line's own spread; smooth along the axis


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
        self._right, self._down = torch.stack([-up[1], up[0]])[:, None, None], -up[:, None, None]
        along, across = self.place(pixel_grid(*alpha.shape[:2], device=alpha.device), origin_xy)
        self._first, self._lines = _lines(along, across, alpha, axis)

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
        return (offset * self._down).sum(0), (offset * self._right).sum(0)

    def line(self, along: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Middle and half width of the body there, each of the same shape as `along`."""
        at = (along - self._first).clamp(0, self._lines.shape[1] - 1.001)
        low = at.long()
        found = torch.lerp(self._lines[:, low], self._lines[:, low + 1], at - low)
        return found[0], found[1]

    def moved(self, across: torch.Tensor, along: torch.Tensor | float) -> torch.Tensor:
        """(2, h, w) picture vectors of what is moved across and along the axis."""
        return across * self._right + along * self._down


class _Pixels:
    """Positions (1, 2, h, w) in a texture on a body."""

    def __init__(self, body: Body, grid: torch.Tensor, origin_xy: tuple[int, int]) -> None:
        self._body = body
        self.along, self.across = body.place(grid, origin_xy)
        self.middle, self.half = body.line(self.along)
        self.column = ((self.across - self.middle) / self.half).clamp(-1, 1)
        own = _round_angle(self.column)
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
        column = _round_place((c * self._sine - s * self._cosine).clamp(-1, 1))
        towards = c * self._cosine + s * self._sine
        if not axis.nod_px or not pitch:
            across = self.half * (column - self.column)
            return self._body.moved(across, 0.0), towards
        s, c = math.sin(pitch), math.cos(pitch)
        along = self._nods * ((c - 1) * self._height - s * self._bulge)
        middle, half = self._body.line(self.along + along)
        across = middle + half * column + self._outside - self.across
        return self._body.moved(across, along), towards


def _round_angle(column: torch.Tensor) -> torch.Tensor:
    """Angle, -pi/2 to pi/2, of what lies at shares (h, w) of the half width: see `_round_place`."""
    angles = torch.linspace(-math.pi / 2, math.pi / 2, 513, device=column.device)
    places = _round_place(angles.sin())
    after = torch.searchsorted(places, column.contiguous()).clamp(1, len(places) - 1)
    share = (column - places[after - 1]) / (places[after] - places[after - 1])
    return torch.lerp(angles[after - 1], angles[after], share)


def _round_place(sine: torch.Tensor) -> torch.Tensor:
    """Share of the half width at which lies what has this sine, (h, w).

    An ellipse's is the sine itself. Near the outline this is less steep than that, or a narrow
    strip of cloth would be drawn out to half of a back.
    """
    steep = math.acos(_LEAST_SLOPE)
    further = sine.abs().asin().sub_(steep).clamp_min_(0)
    place = sine.clamp(-math.sin(steep), math.sin(steep)) + _LEAST_SLOPE * further * sine.sign()
    return place / (math.sin(steep) + _LEAST_SLOPE * (math.pi / 2 - steep))


class Surface:
    """A texture that can be turned.

    Attributes:
        colours: (1, 7, h, w) front and visibility, back; drawn out beyond the outline.

    Args:
        front: (1, 5, h, w) as the photo shows it: colour times alpha, alpha, visibility times
            alpha.
        back: (1, 4, h, w) of the side away from the camera, the same way round, and where it is
            known; elsewhere, and for None, it is what the front has at its sides.
        body: that it lies on.
        origin_xy: position of the texture's first pixel in the photo.
        trunk: that the lower end of the layer goes with, and what it shows where that ends.
    """

    def __init__(
        self,
        front: torch.Tensor,
        back: torch.Tensor | None,
        body: Body,
        origin_xy: tuple[int, int],
        trunk: Surface | None = None,
    ) -> None:
        height, width = front.shape[-2:]
        self.body, self._origin_xy = body, origin_xy
        grid = pixel_grid(height, width, device=front.device)
        whole = _Pixels(body, grid, origin_xy)
        share = _share(body.axis, whole)
        solid = _solid(front)
        plain, pattern = _plain(solid, front[0, 3] > 0.5, whole, body.axis.front)
        below = smoothstep(0.5 + (whole.along - body.axis.alike_px) / (2 * body.axis.fade_px))
        behind = _sides(plain, body, whole)
        if trunk is None:
            behind = _patterned(behind, solid, front[0, 3] > 0.5, whole, body.axis, pattern)
        behind = torch.lerp(behind, solid[:, :3], below)
        if back is not None:
            behind = torch.lerp(behind, back[:, :3], back[:, 3:])
        if trunk is not None:
            theirs = trunk.at(height, width, origin_xy)
            solid = torch.lerp(solid, theirs[:, :4], (1 - share) * (1 - front[:, 3:4]))
            ends = (0.5 + _ENDS * (share - 0.5)).clamp(0, 1)  # hair, and a collar begins
            behind = torch.lerp(theirs[:, 4:], behind, ends)
        colours = torch.cat([solid, behind], 1)
        self.colours = colours.contiguous(memory_format=torch.channels_last)
        nodes = STEP * pixel_grid(
            (height - 1) // STEP + 2, (width - 1) // STEP + 2, device=front.device
        )
        self._own = _Pixels(body, nodes, origin_xy)
        self._share = _share(body.axis, self._own)
        self._trunk = None if trunk is None else _Pixels(trunk.body, nodes, origin_xy)
        self._hanging = torch.zeros_like(self._own.along)  # beyond the neck, which turns less
        if trunk is not None:
            neck = body.axis.still_px - body.axis.whole_px
            self._hanging = smoothstep(2 * (self._own.along - body.axis.still_px) / neck)

    def at(self, height: int, width: int, origin_xy: tuple[int, int]) -> torch.Tensor:
        """(1, 7, height, width) of the colours where another texture lies in the photo."""
        grid = pixel_grid(height, width, device=self.colours.device)
        offset = grid.new_tensor(np.subtract(origin_xy, self._origin_xy).tolist())
        return sample(self.colours, grid + offset[:, None, None], padding="border")

    def turned(
        self, yaw: float, pitch: float = 0.0, trunk: float = 0.0, *, behind: bool = False
    ) -> torch.Tensor:
        """Where the pixels of the turned texture are looked up.

        Args:
            yaw: radians, positive to the right of the picture.
            pitch: radians, positive downwards.
            trunk: yaw of what does not turn with the layer.
            behind: the turn is against the side away from the camera.

        Returns:
            (1, 4, H, W) every `STEP` pixels: the shift from there to a place in the photo, (x, y),
            and in [0, 1] how much of the side away from the camera is seen, and how much of the
            layer stays: hair that hangs before a trunk is not seen from behind.
        """
        shift, cosine = self._own.turned(yaw, pitch)
        if self._trunk is not None:
            theirs, their_cosine = self._trunk.turned(trunk, 0.0)
            shift = torch.lerp(theirs, shift, self._share)
            cosine = torch.lerp(their_cosine, cosine, self._share)
        # a little of the other side is better told from what is next to it
        far = (abs(math.remainder(yaw, math.tau)) - _SMALL) / (_LARGE - _SMALL)
        last = _LAST[0] + (_LAST[1] - _LAST[0]) * min(1.0, max(0.0, far))
        other = smoothstep(0.5 - (cosine - last) / (2 * _SOFT))
        back = 1 - other if behind else other
        return torch.cat([shift, back[None], 1 - self._hanging[None] * back])[None]


def _share(axis: Axis, at: _Pixels) -> torch.Tensor:
    """(h, w) how much of a layer's own turn its pixels make; the rest is the trunk's."""
    return smoothstep((axis.still_px - at.along) / (axis.still_px - axis.whole_px))


def _sides(solid: torch.Tensor, body: Body, at: _Pixels) -> torch.Tensor:
    """(1, 3, h, w) what a back looks like: no buttons, no print, no open jacket."""
    reach = body.axis.front + (1 - body.axis.front) * at.column.abs()
    grid = pixel_grid(*solid.shape[-2:], device=solid.device)
    found = []
    for side in (-1, 1):
        shift = body.moved(at.middle + side * at.half * reach - at.across, 0.0)
        found.append(sample(solid[:, :3], grid + shift, padding="border"))
    return torch.lerp(found[0], found[1], smoothstep(0.5 + at.column / (2 * body.axis.seam)))


def _patterned(
    behind: torch.Tensor,
    solid: torch.Tensor,
    inside: torch.Tensor,
    at: _Pixels,
    axis: Axis,
    pattern: torch.Tensor,
) -> torch.Tensor:
    """(1, 3, h, w) a back (1, 3, h, w) whose pattern is not drawn out, but goes on.

    Args:
        behind: what it looks like if the cloth is plain.
        solid: (1, 4, h, w) colour and visibility of the front.
        inside: (h, w) bool, the layer.
        at: its pixels.
        axis: of the body.
        pattern: (h, w) spread of the cloth's colours, in [0, 1].
    """
    share = ((pattern - _PATTERN[0]) / (_PATTERN[1] - _PATTERN[0])).clamp(0, 1)
    if not (share[inside] > 0).any():
        return behind
    sides = at.column.abs() > axis.front
    known = inside & sides & (solid[0, 3] > 0.5)
    hidden = inside & ~known

    def picture(x: torch.Tensor) -> np.ndarray:
        return np.ascontiguousarray(x[0, :3].permute(1, 2, 0).cpu().numpy())

    guess = torch.where(known, solid[:, :3], behind)
    found = continue_picture(
        picture(solid), known.cpu().numpy(), hidden.cpu().numpy(), picture(guess),
        -axis.up_xy, height=PIECES_PX,
    )  # fmt: skip
    pieces = torch.from_numpy(found).permute(2, 0, 1)[None].to(behind)
    return torch.lerp(behind, pieces, share)


def _plain(
    solid: torch.Tensor, inside: torch.Tensor, at: _Pixels, front: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours (1, 3, h, w) without what stands out of its line: drawstrings, badges, pockets.

    Where all of a line is of many colours, a pattern, nothing does: how far they are apart, (h, w).
    """
    colours = solid[0, :3].cpu().numpy()
    line = (at.along - at.along.min()).round().long().cpu().numpy()
    shown = inside & (solid[0, 3] > 0.5)  # not what was made up beside a drawstring
    sides = (shown & (at.column.abs() > front)).cpu().numpy()
    order = np.flatnonzero(sides)
    order = order[np.argsort(line.flat[order], kind="stable")]
    numbers, starts = np.unique(line.flat[order], return_index=True)
    count = int(line.max()) + 1
    if len(numbers) == 0:
        return solid[:, :3], torch.zeros_like(at.along)
    pixels = colours.reshape(3, -1)[:, order]
    middle, spread = np.empty((3, len(numbers))), np.empty(len(numbers))
    for k, own in enumerate(np.split(pixels, starts[1:], 1)):
        middle[:, k] = np.median(own, 1)
        spread[k] = np.median(np.abs(own - middle[:, k, None]).max(0))
    every = np.arange(count)
    usual = np.stack([np.interp(every, numbers, m) for m in middle])
    usual = ndimage.gaussian_filter1d(usual, _LINE_PX, axis=1, mode="nearest")
    pattern = ndimage.median_filter(np.interp(every, numbers, spread), count // 3)
    usual, limit = usual[:, line], 2 * pattern[line] + _STANDS_OUT
    odd = np.clip(np.abs(colours - usual).max(0) / limit - 1, 0, 1)
    odd = np.minimum(1, 2 * ndimage.gaussian_filter(ndimage.maximum_filter(odd, 5), 1.5))
    found = colours + odd * (usual - colours)
    plain = torch.from_numpy(found.astype(np.float32))[None].to(solid.device)
    return plain, torch.from_numpy(pattern[line].astype(np.float32)).to(solid.device)


def _solid(texture: torch.Tensor) -> torch.Tensor:
    """(1, 4, h, w) colour and visibility, not times alpha, drawn out beyond the outline."""
    alpha = texture[0, 3].cpu().numpy()
    nearest = ndimage.distance_transform_edt(
        alpha < min(0.5, float(alpha.max())), return_distances=False, return_indices=True
    )
    rows, columns = torch.from_numpy(nearest).long().to(texture.device)
    plain = texture[:, [0, 1, 2, 4]] / texture[:, 3:4].clamp_min(1e-3)
    return plain[:, :, rows, columns]


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
