"""From the networks' crop to the frame: photos' pixels copied at full resolution.

The flow is known on a grid that is coarser than the frame. Between the grid's nodes it is not
simply interpolated: at the border of two limbs that would draw a streak of everything that lies
between their places in the photo. Each node carries the local affine map of its flow; the nodes
around a pixel that agree on its place are blended, and where they fall into two camps, the border
runs where the camps weigh the same, one pixel wide. Each camp looks into the texture of its own
layer (`atlas.py`).

The copy ends at the photo's own matte, carried along, near the outline that the networks give.
Under it lies what is painted, as far as that outline: it shows where the gate is closed, and where
the copy has a hole.

`paste_numba` is one pass over the pixels for CPUs; `paste_torch` is the same on any device.

Axes: S photos, H W pixels of the crop, H/2 W/2 nodes of the flow, h w pixels of a box in the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numba
import numpy as np
import torch

from motion_transfer.generator.atlas import look_up
from motion_transfer.generator.warp import pixel_grid, sample

OUTSIDE_LOGIT = -4.0
"""Alpha's logit below which a pixel is not drawn at all."""
BORDER_LOGIT = 1.0
"""How far outside the networks' outline the copy may reach, in alpha's logit."""
FILL_LOGIT = 3.0
"""How far inside of it a hole of the copy is filled."""


class Nodes(NamedTuple):
    """The flow into the photos on the crop's coarse grid.

    positions: (S, 2, H/2, W/2) where in the photo a node looks, (x, y) pixels of the photo.
    slopes: (S, 4, H/2, W/2) photo pixels for a pixel of the frame: dx/dx, dx/dy, dy/dx, dy/dy.
    shares: (S, H/2, W/2) how much of each photo is shown; their sum is 1.
    layers: (S, H/2, W/2) int64 the layer whose texture the node looks into.
    """

    positions: torch.Tensor
    slopes: torch.Tensor
    shares: torch.Tensor
    layers: torch.Tensor


class Place(NamedTuple):
    """Where a box of the frame lies in the crop.

    start_xy: crop position of the box's first pixel.
    scale: crop pixels for a pixel of the frame.
    size_hw: of the box.
    agree_px: positions in the photo that differ by less are the same limb's.
    """

    start_xy: tuple[float, float]
    scale: float
    size_hw: tuple[int, int]
    agree_px: float

    @property
    def sharpness(self) -> float:
        """Factor of alpha's logit that keeps an outline about as narrow in the frame."""
        return min(max(0.5 / self.scale, 1.0), 4.0)

    @property
    def node_px(self) -> float:
        """Frame pixels between two nodes."""
        return 2.0 / self.scale


def paste_torch(
    maps: torch.Tensor,
    nodes: Nodes,
    pixels: torch.Tensor,
    boxes: torch.Tensor,
    painted: torch.Tensor,
    place: Place,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a box of the frame.

    Args:
        maps: (2, H, W) logit of alpha, and the gate in [0, 1].
        nodes: flow into the photos.
        pixels: (N, 4) in [0, 1] of an `Atlas`.
        boxes: (S, L, 5) of the atlas.
        painted: (4, h, w) colour times weight, and the weight: what lies under the copy.
        place: of the box.

    Returns:
        (5, h, w) colour times alpha, alpha, gate; and (2, h, w) the place in the first photo.
    """
    at = pixel_grid(*place.size_hw, device=maps.device) * place.scale
    at = at + at.new_tensor(place.start_xy)[:, None, None]  # (1, 2, h, w)
    logit, gate = sample(maps[None], at, padding="border")[0]
    half_hw = nodes.shares.shape[-2:]
    limit = at.new_tensor([half_hw[1] - 1, half_hw[0] - 1])[:, None, None]
    node = torch.minimum((0.5 * at[0] - 0.25).clamp_min(0), limit)
    first = torch.minimum(node.floor(), limit - 1)
    share = node - first  # (2, h, w)
    corners = [(dx, dy) for dy in (0, 1) for dx in (0, 1)]
    weights = torch.stack(
        [
            (share[0] if dx else 1 - share[0]) * (share[1] if dy else 1 - share[1])
            for dx, dy in corners
        ]
    )  # (4, h, w)
    index = torch.stack(
        [(first[1] + dy).long() * half_hw[1] + (first[0] + dx).long() for dx, dy in corners]
    )
    copied, where = torch.zeros(4, *place.size_hw, device=at.device), None
    for s in range(len(boxes)):
        here = nodes.positions[s].flatten(1)[:, index].transpose(0, 1)  # (4, 2, h, w)
        slope = nodes.slopes[s].flatten(1)[:, index].transpose(0, 1)
        away = torch.stack(
            [torch.stack([share[0] - dx, share[1] - dy]) * place.node_px for dx, dy in corners]
        )
        x = here[:, 0] + slope[:, 0] * away[:, 0] + slope[:, 1] * away[:, 1]
        y = here[:, 1] + slope[:, 2] * away[:, 0] + slope[:, 3] * away[:, 1]
        layers = nodes.layers[s].flatten()[index]  # (4, h, w)
        camps = _camps(torch.stack([x, y], 1), layers, weights, place)
        colour, other = (
            look_up(pixels, boxes[s], layer, xy)
            for xy, layer in ((camps.ahead, camps.layer), (camps.behind, camps.second))
        )
        part = (nodes.shares[s].flatten()[index] * weights).sum(0)
        copied = copied + part * (other + camps.lead * (colour - other))
        where = camps.ahead if where is None else where
    assert where is not None
    outline = torch.sigmoid(place.sharpness * logit)
    border = torch.sigmoid(place.sharpness * (logit + BORDER_LOGIT))
    inner = torch.sigmoid(place.sharpness * (logit - FILL_LOGIT * gate))
    copy = copied[3] * (gate * border + (1 - gate) * (1 - painted[3]) * outline)
    drawn = torch.cat([copied[:3], torch.ones_like(gate[None])]) * copy
    drawn = drawn + (1 - copy) * inner * painted
    return torch.cat([drawn, gate[None]]) * (logit >= OUTSIDE_LOGIT), where


class _Camps(NamedTuple):
    """The nodes around a pixel, as those that agree and the others (the same if there are none).

    ahead, behind: (2, h, w) their positions in the photo.
    layer, second: (h, w) the layer of each that weighs most.
    lead: (h, w) share of the first camp.
    """

    ahead: torch.Tensor
    behind: torch.Tensor
    layer: torch.Tensor
    second: torch.Tensor
    lead: torch.Tensor


def _camps(
    places: torch.Tensor, layers: torch.Tensor, weights: torch.Tensor, place: Place
) -> _Camps:
    """Sort the nodes: places (4, 2, h, w), layers and weights (4, h, w)."""
    gap = ((places[:, None] - places[None]) ** 2).sum(2)  # (4, 4, h, w)
    near = (gap < place.agree_px**2).to(weights.dtype)
    support = (near * weights).sum(1)  # (4, h, w)
    leader = support.argmax(0, keepdim=True)  # (1, h, w)
    members = near.gather(0, leader[:, None].expand(1, 4, -1, -1))[0] * weights
    others = weights - members
    mass, rest = members.sum(0), others.sum(0)
    ahead = (members[:, None] * places).sum(0) / mass
    behind = (others[:, None] * places).sum(0) / rest.clamp_min(1e-6)
    split = rest > 1e-6
    lead = ((mass - 0.5) * place.node_px + 0.5).clamp(0, 1)
    same = (layers[:, None] == layers[None]).to(weights.dtype)  # (4, 4, h, w)

    def heaviest(own: torch.Tensor) -> torch.Tensor:
        total = torch.where(own > 0, (same * own).sum(1), -torch.ones_like(own))
        return layers.gather(0, total.argmax(0, keepdim=True))[0]

    layer = heaviest(members)
    return _Camps(
        ahead,
        torch.where(split, behind, ahead),
        layer,
        torch.where(split, heaviest(others), layer),
        torch.where(split, lead, torch.ones_like(lead)),
    )


@numba.njit(cache=True, nogil=True, fastmath=True)
def _look_up(pixels, box, x, y):  # type: ignore[no-untyped-def]
    """`atlas.look_up` for one pixel: four channels, 0 to 255."""
    zero, one = np.float32(0), np.float32(1)
    x, y = x - np.float32(box[1]), y - np.float32(box[2])
    height, width = box[3], box[4]
    if not (x > -1 and y > -1 and x < width and y < height):
        return zero, zero, zero, zero
    x = min(max(x, zero), np.float32(width - 1))
    y = min(max(y, zero), np.float32(height - 1))
    i, j = int(y), int(x)
    u, v = x - np.float32(j), y - np.float32(i)
    a, b, c, d = (one - u) * (one - v), u * (one - v), (one - u) * v, u * v
    top, bottom = box[0] + i * width, box[0] + min(i + 1, height - 1) * width
    right = min(j + 1, width - 1)
    p, q, r, t = pixels[top + j], pixels[top + right], pixels[bottom + j], pixels[bottom + right]
    return (
        a * p[0] + b * q[0] + c * r[0] + d * t[0],
        a * p[1] + b * q[1] + c * r[1] + d * t[1],
        a * p[2] + b * q[2] + c * r[2] + d * t[2],
        a * p[3] + b * q[3] + c * r[3] + d * t[3],
    )


@numba.njit(cache=True, nogil=True, fastmath=True)
def paste_numba(
    canvas: np.ndarray,
    where: np.ndarray,
    maps: np.ndarray,
    positions: np.ndarray,
    slopes: np.ndarray,
    shares: np.ndarray,
    layers: np.ndarray,
    pixels: np.ndarray,
    boxes: np.ndarray,
    painted: np.ndarray,
    start_xy: tuple[float, float],
    scale: float,
    agree_px: float,
    sharpness: float,
) -> None:
    """The same as `paste_torch`, in one pass.

    Args:
        canvas: (h, w, 5) float32, what is returned there first.
        where: (h, w, 2) float32, what is returned there second; (0, 0, 2) to leave it out.
        maps: (H, W, 2) float32.
        positions: (S, H/2, W/2, 2) float32.
        slopes: (S, H/2, W/2, 4) float32.
        shares: (S, H/2, W/2) float32.
        layers: (S, H/2, W/2) int64.
        pixels: (N, 4) uint8 of an `Atlas`.
        boxes: (S, L, 5) int64 of it.
        painted: (h, w, 4) float32.
        start_xy: see `Place`, as all that follow.
        scale: see there.
        agree_px: see there.
        sharpness: see there.
    """
    zero, one, half = np.float32(0), np.float32(1), np.float32(0.5)
    rows, columns = maps.shape[0], maps.shape[1]
    node_rows, node_columns = shares.shape[1], shares.shape[2]
    node_px = np.float32(2 / scale)
    limit = np.float32(agree_px * agree_px)
    sharp, outside, fill = np.float32(sharpness), np.float32(BORDER_LOGIT), np.float32(FILL_LOGIT)
    px, py = np.empty(4, np.float32), np.empty(4, np.float32)
    weight, member = np.empty(4, np.float32), np.empty(4, np.bool_)
    for y in range(canvas.shape[0]):
        cy = np.float32(start_xy[1] + y * scale)
        my = min(max(cy, zero), np.float32(rows - 1))
        iy = min(int(my), rows - 2)
        wy = my - np.float32(iy)
        ny = min(max(half * cy - np.float32(0.25), zero), np.float32(node_rows - 1))
        jy = min(int(ny), node_rows - 2)
        vy = ny - np.float32(jy)
        for x in range(canvas.shape[1]):
            cx = np.float32(start_xy[0] + x * scale)
            mx = min(max(cx, zero), np.float32(columns - 1))
            ix = min(int(mx), columns - 2)
            wx = mx - np.float32(ix)
            a, b = (one - wx) * (one - wy), wx * (one - wy)
            c, d = (one - wx) * wy, wx * wy
            p, q, r, t = maps[iy, ix], maps[iy, ix + 1], maps[iy + 1, ix], maps[iy + 1, ix + 1]
            logit = a * p[0] + b * q[0] + c * r[0] + d * t[0]
            if logit < OUTSIDE_LOGIT:
                canvas[y, x] = 0
                continue
            gate = a * p[1] + b * q[1] + c * r[1] + d * t[1]
            nx = min(max(half * cx - np.float32(0.25), zero), np.float32(node_columns - 1))
            jx = min(int(nx), node_columns - 2)
            vx = nx - np.float32(jx)
            weight[0], weight[1] = (one - vx) * (one - vy), vx * (one - vy)
            weight[2], weight[3] = (one - vx) * vy, vx * vy
            red, green, blue, matte = zero, zero, zero, zero
            for s in range(boxes.shape[0]):
                share = zero
                for k in range(4):
                    iy_k, ix_k = jy + k // 2, jx + k % 2
                    away_x = (vx - np.float32(k % 2)) * node_px
                    away_y = (vy - np.float32(k // 2)) * node_px
                    slope = slopes[s, iy_k, ix_k]
                    px[k] = positions[s, iy_k, ix_k, 0] + slope[0] * away_x + slope[1] * away_y
                    py[k] = positions[s, iy_k, ix_k, 1] + slope[2] * away_x + slope[3] * away_y
                    share += weight[k] * shares[s, iy_k, ix_k]
                leader, most = 0, np.float32(-1)
                for k in range(4):
                    support = zero
                    for m in range(4):
                        if (px[k] - px[m]) ** 2 + (py[k] - py[m]) ** 2 < limit:
                            support += weight[m]
                    if support > most:
                        leader, most = k, support
                ahead_x, ahead_y, behind_x, behind_y, rest = zero, zero, zero, zero, zero
                strongest, second = np.float32(-1), np.float32(-1)
                first_layer, second_layer = 0, 0
                for k in range(4):
                    member[k] = (px[k] - px[leader]) ** 2 + (py[k] - py[leader]) ** 2 < limit
                for k in range(4):
                    layer, mass = layers[s, jy + k // 2, jx + k % 2], zero
                    for m in range(4):
                        if member[m] == member[k] and layers[s, jy + m // 2, jx + m % 2] == layer:
                            mass += weight[m]
                    if member[k]:
                        ahead_x += weight[k] * px[k]
                        ahead_y += weight[k] * py[k]
                        if weight[k] > 0 and mass > strongest:
                            strongest, first_layer = mass, layer
                    else:
                        behind_x += weight[k] * px[k]
                        behind_y += weight[k] * py[k]
                        rest += weight[k]
                        if weight[k] > 0 and mass > second:
                            second, second_layer = mass, layer
                ahead_x, ahead_y = ahead_x / most, ahead_y / most
                e, f, g, h = _look_up(pixels, boxes[s, first_layer], ahead_x, ahead_y)
                lead = (most - half) * node_px + half
                if rest > np.float32(1e-6) and lead < one:
                    e2, f2, g2, h2 = _look_up(
                        pixels, boxes[s, second_layer], behind_x / rest, behind_y / rest
                    )
                    lead = max(lead, zero)
                    e, f = e2 + lead * (e - e2), f2 + lead * (f - f2)
                    g, h = g2 + lead * (g - g2), h2 + lead * (h - h2)
                red, green = red + share * e, green + share * f
                blue, matte = blue + share * g, matte + share * h
                if s == 0 and where.shape[0] > 0:
                    where[y, x, 0], where[y, x, 1] = ahead_x, ahead_y
            byte = np.float32(1 / 255)
            over = painted[y, x]
            outline = one / (one + np.exp(-sharp * logit))
            border = one / (one + np.exp(-sharp * (logit + outside)))
            inner = one / (one + np.exp(-sharp * (logit - fill * gate)))
            copy = matte * byte * (gate * border + (one - gate) * (one - over[3]) * outline)
            under = (one - copy) * inner
            canvas[y, x, 0] = copy * byte * red + under * over[0]
            canvas[y, x, 1] = copy * byte * green + under * over[1]
            canvas[y, x, 2] = copy * byte * blue + under * over[2]
            canvas[y, x, 3] = copy + under * over[3]
            canvas[y, x, 4] = gate


def to_frame(maps: torch.Tensor, place: Place, share: float = 1.0) -> torch.Tensor:
    """(C, h, w) in a box of the frame from (C, H, W) of the crop, or a grid of `share` its size."""
    height, width = place.size_hw
    scale, start = place.scale * share, [(v + 0.5) * share - 0.5 for v in place.start_xy]
    if maps.device.type == "cpu":
        found = cv2.warpAffine(
            maps.permute(1, 2, 0).contiguous().numpy(),
            np.array([[scale, 0, start[0]], [0, scale, start[1]]]), (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return torch.from_numpy(found.reshape(height, width, -1)).permute(2, 0, 1)
    at = pixel_grid(height, width, device=maps.device) * scale
    at = at + at.new_tensor(start)[:, None, None]
    return sample(maps[None].float(), at, padding="border")[0]
