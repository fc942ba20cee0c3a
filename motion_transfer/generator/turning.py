"""Turning in depth: the texture of a layer on a round body that turns inside its outline.

A head, a torso or a skirt is taken for an elliptical cylinder (`bodies.py`). When the person turns,
the outline stays what the layer's motion makes of it, but for a nose that stands out (`relief.py`)
and for ears, and what lies inside goes round: a face looks where the dancer looks, and the buttons
of a jacket go to its side. What comes round from where the photo does not see is another texture.

Axes: h w pixels of the texture, H W nodes of a grid over it (what moves is smooth, so it is
computed coarsely and interpolated).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage

from motion_transfer.generator.bodies import STEP, Axis, Body, BodyPixels
from motion_transfer.generator.exemplar import continue_picture
from motion_transfer.generator.motion import smoothstep
from motion_transfer.generator.relief import Relief
from motion_transfer.generator.warp import pixel_grid, sample

_LAST, _SOFT = -0.5, 0.17
"""Where the seen side ends, cosine, after a small turn; half the width of its edge."""
_SMALL, _LARGE = math.radians(15), math.radians(55)
_ENDS = 4.0  # times more suddenly than a neck turns less
_PATTERN = (0.13, 0.2)  # from no pattern to one, of [0, 1]
PIECES_PX = 240  # height at which pieces of a pattern are looked for
_STANDS_OUT, _LINE_PX = 0.08, 2.0  # of [0, 1], beyond a line's own spread; smooth along the axis


class Surface:
    """A texture that can be turned.

    Attributes:
        colours: (1, 7, h, w) front and visibility, back; drawn out beyond the outline.
        reach_px: as far out of the layer's outline may it be seen.

    Args:
        front: (1, 5, h, w) as the photo shows it: colour times alpha, alpha, visibility times
            alpha.
        back: (1, 4, h, w) of the side away from the camera, the same way round, and where it is
            known; elsewhere, and for None, it is what the front has at its sides.
        body: that it lies on.
        origin_xy: position of the texture's first pixel in the photo.
        trunk: that the lower end of the layer goes with, and what it shows where that ends.
        relief: (h, w) pixels that it stands out of the body towards the camera.
        ears: (h, w) in [0, 1] what stands out at the sides, and is no outline from the side.
    """

    def __init__(
        self,
        front: torch.Tensor,
        back: torch.Tensor | None,
        body: Body,
        origin_xy: tuple[int, int],
        trunk: Surface | None = None,
        relief: torch.Tensor | None = None,
        ears: torch.Tensor | None = None,
    ) -> None:
        height, width = front.shape[-2:]
        self.body, self._origin_xy = body, origin_xy
        grid = pixel_grid(height, width, device=front.device)
        whole = BodyPixels(body, grid, origin_xy)
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
            behind = torch.lerp(theirs[:, 4:], behind, _ends(share))
        colours = torch.cat([solid, behind], 1)
        self.colours = colours.contiguous(memory_format=torch.channels_last)
        nodes = STEP * pixel_grid(
            (height - 1) // STEP + 2, (width - 1) // STEP + 2, device=front.device
        )
        self._own = BodyPixels(body, nodes, origin_xy)
        self._share = _share(body.axis, self._own)
        self._relief = None if relief is None else Relief(body, self._own, relief, origin_xy)
        self.reach_px = 0.0 if self._relief is None else self._relief.reach_px
        self._ears = torch.zeros_like(self._own.along)
        if ears is not None:
            self._ears = sample(ears[None, None], nodes)[0, 0]
        self._trunk = None if trunk is None else BodyPixels(trunk.body, nodes, origin_xy)
        self._hanging = torch.zeros_like(self._own.along)  # beyond the hair, where a collar begins
        if trunk is not None:
            self._hanging = 1 - _ends(self._share)
            self._nodes, self._alpha = nodes, front[:, 3:4]
            self._own_alpha = sample(self._alpha, nodes, padding="border")[0, 0].clamp_min(1e-3)

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
            (1, 6, H, W) every `STEP` pixels: the shift from there to a place in the photo, (x, y),
            and in [0, 1] how much of the side away from the camera is seen, how much of the layer
            stays (hair that hangs before a trunk is not seen from behind, nor where it has gone
            round, nor are ears an outline from the side), how much is seen there at least, within
            the layer or not (a nose stands out of a head's outline), and whether what is shown is
            torn between here and the nodes to the right and below: there the nearest of them is
            meant, nothing between them.
        """
        shift, cosine = self._own.turned(yaw, pitch)
        added = torn = torch.zeros_like(cosine)
        if self._relief is not None and not behind:
            shift, cosine, added, torn = self._relief.turned(yaw, pitch, shift, cosine)
        if self._trunk is not None:
            theirs, their_cosine = self._trunk.turned(trunk, 0.0)
            shift = torch.lerp(theirs, shift, self._share)
            cosine = torch.lerp(their_cosine, cosine, self._share)
        # a little of the other side is better told from what is next to it
        far = (abs(math.remainder(yaw, math.tau)) - _SMALL) / (_LARGE - _SMALL)
        far = min(1.0, max(0.0, far))
        last = _LAST + (self.body.axis.last - _LAST) * far
        other = smoothstep(0.5 - (cosine - last) / (2 * _SOFT))
        back = 1 - other if behind else other
        kept = (1 - self._hanging * back) * (1 - far * self._ears)
        if self._trunk is not None:  # where hair has gone round, the trunk itself is seen
            found = sample(self._alpha, self._nodes + shift, padding="border")[0, 0]
            left = (found / self._own_alpha).clamp_max(1)
            kept = kept * (1 - self._hanging * (1 - left))
        return torch.cat([shift, torch.stack([back, kept, added, torn])])[None]


def _share(axis: Axis, at: BodyPixels) -> torch.Tensor:
    """(h, w) how much of a layer's own turn its pixels make; the rest is the trunk's."""
    return smoothstep((axis.still_px - at.along) / (axis.still_px - axis.whole_px))


def _ends(share: torch.Tensor) -> torch.Tensor:
    """The same shape: 0 where from behind hair has ended and a collar begun."""
    return (0.5 + _ENDS * (share - 0.5)).clamp(0, 1)


def _sides(solid: torch.Tensor, body: Body, at: BodyPixels) -> torch.Tensor:
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
    at: BodyPixels,
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
    solid: torch.Tensor, inside: torch.Tensor, at: BodyPixels, front: float
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
