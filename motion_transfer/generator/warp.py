"""The only place that samples images: backward warping by flow.

`sample`, `warp` and `resize_flow` are torch, on any device. `draw_layer` and `draw_turned_layer`
are the same look-up for one layer on a CPU, fused with the interpolation of its coarse flow and
with the compositing, in one pass over the pixels: several times faster there than the torch calls
one after the other.

Flow is (B, 2, H, W) as (dx, dy) in pixels: `out[y, x] = image[y + dy, x + dx]`. A position's
integer is a pixel centre, so `align_corners=False` with half a pixel added is exact.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch.nn import functional

NEAREST = 0.499  # to add before rounding down: half a pixel is a tie, and noise would decide
Weights = tuple[Any, Any, Any, Any]


def sample(image: torch.Tensor, xy: torch.Tensor, *, padding: str = "zeros") -> torch.Tensor:
    """Bilinear look-up at absolute positions.

    Args:
        image: (B, C, H, W).
        xy: (B, 2, h, w) positions in pixels of `image`, as (x, y).
        padding: "zeros" or "border", what lies outside.

    Returns:
        (B, C, h, w).
    """
    height, width = image.shape[-2:]
    x = (2 * xy[:, 0] + 1) / width - 1
    y = (2 * xy[:, 1] + 1) / height - 1
    return functional.grid_sample(
        image, torch.stack([x, y], -1), mode="bilinear", padding_mode=padding, align_corners=False
    )


def pixel_grid(height: int, width: int, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """(1, 2, H, W) the position of each pixel's centre."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=device),
        torch.arange(width, dtype=torch.float32, device=device),
        indexing="ij",
    )
    return torch.stack([x, y])[None]


def warp(image: torch.Tensor, flow: torch.Tensor, *, padding: str = "zeros") -> torch.Tensor:
    """Backward warp: `out[y, x] = image[y + dy, x + dx]`.

    Args:
        image: (B, C, H, W).
        flow: (B, 2, H, W) in pixels of `image`.
        padding: "zeros" or "border".
    """
    grid = pixel_grid(*flow.shape[-2:], device=flow.device)
    return sample(image, grid.to(flow.dtype) + flow, padding=padding)


def resize_flow(flow: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    """Resample a flow to another resolution and scale its vectors with it."""
    height, width = flow.shape[-2:]
    resized = functional.interpolate(flow, size_hw, mode="bilinear", align_corners=False)
    factor = flow.new_tensor([size_hw[1] / width, size_hw[0] / height])
    return resized * factor[:, None, None]


@numba.njit(nogil=True, fastmath=True)
def _interpolate_line(line: np.ndarray, positions: np.ndarray, at: np.floating) -> None:
    """Fill (2, G) with the coarse grid's (2, G, G) values between two of its lines."""
    first = min(int(at), positions.shape[1] - 2)
    share = at - np.float32(first)
    for k in range(positions.shape[2]):
        for axis in range(2):
            top, bottom = positions[axis, first, k], positions[axis, first + 1, k]
            line[axis, k] = top + share * (bottom - top)


@numba.njit(cache=True, nogil=True, fastmath=True)
def draw_layer(
    canvas: np.ndarray,
    flow: np.ndarray,
    texture: np.ndarray,
    positions: np.ndarray,
    corner_xy: tuple[int, int],
    size_hw: tuple[int, int],
    origin_xy: tuple[int, int],
    seen: float,
) -> None:
    """Put one warped layer over what has been drawn, in place.

    Args:
        canvas: (h, w, 5) float32, premultiplied colour, alpha, visibility.
        flow: (h, w, 2) float32, written where the layer covers; (0, 0, 2) to leave it out.
        texture: (H, W, 5) float32 like the canvas; its outermost pixels are transparent.
        positions: (2, G, G) float32, where to look up in the texture, (x, y), on a coarse grid
            from the first pixel's centre of the box to the last's.
        corner_xy: left upper corner of the box in the canvas.
        size_hw: height and width of the box.
        origin_xy: what to add to a position minus a canvas pixel to get the flow.
        seen: factor of the visibility.
    """
    grid = positions.shape[1]
    height, width = size_hw
    rows, columns = texture.shape[0], texture.shape[1]
    with_flow = flow.shape[0] > 0
    line = np.empty((2, grid), np.float32)
    one = np.float32(1)
    step_y = np.float32((grid - 1) / max(height - 1, 1))
    step_x = np.float32((grid - 1) / max(width - 1, 1))
    for y in range(height):
        _interpolate_line(line, positions, np.float32(y) * step_y)
        cy = corner_xy[1] + y
        for x in range(width):
            gx = np.float32(x) * step_x
            ix = min(int(gx), grid - 2)
            fx = gx - np.float32(ix)
            px = line[0, ix] + fx * (line[0, ix + 1] - line[0, ix])
            py = line[1, ix] + fx * (line[1, ix + 1] - line[1, ix])
            if not (px >= 0 and py >= 0 and px < columns - 1 and py < rows - 1):
                continue  # the texture's border is transparent
            sx, sy = int(px), int(py)
            wx, wy = px - np.float32(sx), py - np.float32(sy)
            a, b = (one - wx) * (one - wy), wx * (one - wy)
            c, d = (one - wx) * wy, wx * wy
            p, q = texture[sy, sx], texture[sy, sx + 1]
            r, s = texture[sy + 1, sx], texture[sy + 1, sx + 1]
            alpha = a * p[3] + b * q[3] + c * r[3] + d * s[3]
            if alpha <= 0:
                continue
            cx = corner_xy[0] + x
            rest = one - alpha
            here = canvas[cy, cx]
            here[0] = a * p[0] + b * q[0] + c * r[0] + d * s[0] + rest * here[0]
            here[1] = a * p[1] + b * q[1] + c * r[1] + d * s[1] + rest * here[1]
            here[2] = a * p[2] + b * q[2] + c * r[2] + d * s[2] + rest * here[2]
            here[3] = alpha + rest * here[3]
            here[4] = seen * (a * p[4] + b * q[4] + c * r[4] + d * s[4]) + rest * here[4]
            if with_flow and alpha > 0.5:
                flow[cy, cx, 0] = px - cx + origin_xy[0]
                flow[cy, cx, 1] = py - cy + origin_xy[1]


@numba.njit(inline="always")
def bilinear(
    image: np.ndarray, y: np.unsignedinteger, x: np.unsignedinteger, channel: int, weights: Weights
) -> float:
    """Bilinear look-up. Views of pixels, or indices with a sign, would take twice the time."""
    a, b, c, d = weights
    y1, x1 = y + np.uintp(1), x + np.uintp(1)
    return (
        a * image[y, x, channel] + b * image[y, x1, channel]
        + c * image[y1, x, channel] + d * image[y1, x1, channel]
    )  # fmt: skip


@numba.njit(inline="always")
def bilinear_weights(wx: float | np.floating, wy: float | np.floating) -> Weights:
    """Of the four pixels about a place that is so far from the first."""
    rx, ry = np.float32(1) - wx, np.float32(1) - wy
    return rx * ry, wx * ry, rx * wy, wx * wy


@numba.njit(cache=True, nogil=True, fastmath=True)
def draw_turned_layer(
    canvas: np.ndarray,
    flow: np.ndarray,
    texture: np.ndarray,
    colours: np.ndarray,
    moved: np.ndarray,
    step: int,
    positions: np.ndarray,
    corner_xy: tuple[int, int],
    size_hw: tuple[int, int],
    origin_xy: tuple[int, int],
    seen: float,
) -> None:
    """`draw_layer` for a layer that turns in depth: the texture gives its outline alone.

    Args:
        canvas: see `draw_layer`, as all that is not named here.
        flow: (h, w, 2).
        texture: (H, W, 5).
        colours: (H, W, 7) float32, `turning.Surface.colours`.
        moved: (H / step, W / step, 6) float32, `turning.Surface.turned`.
        step: pixels of the texture from one of its nodes to the next.
        positions: (2, G, G).
        corner_xy: of the box.
        size_hw: of the box.
        origin_xy: of the texture.
        seen: factor of the visibility.
    """
    grid = positions.shape[1]
    height, width = size_hw
    rows, columns = texture.shape[0], texture.shape[1]
    with_flow = flow.shape[0] > 0
    line = np.empty((2, grid), np.float32)
    one, zero, shown = np.float32(1), np.float32(0), np.float32(seen)
    fine = np.float32(1.0 / step)
    right, bottom = np.float32(columns - 1.001), np.float32(rows - 1.001)
    step_y = np.float32((grid - 1) / max(height - 1, 1))
    step_x = np.float32((grid - 1) / max(width - 1, 1))
    for y in range(height):
        _interpolate_line(line, positions, np.float32(y) * step_y)
        cy = corner_xy[1] + y
        for x in range(width):
            gx = np.float32(x) * step_x
            ix = min(int(gx), grid - 2)
            fx = gx - np.float32(ix)
            px = line[0, ix] + fx * (line[0, ix + 1] - line[0, ix])
            py = line[1, ix] + fx * (line[1, ix + 1] - line[1, ix])
            if not (px >= 0 and py >= 0 and px < columns - 1 and py < rows - 1):
                continue  # the texture's border is transparent
            sx, sy = np.uintp(px), np.uintp(py)
            at = bilinear_weights(px - np.float32(sx), py - np.float32(sy))
            alpha = bilinear(texture, sy, sx, 3, at)
            mx, my = px * fine, py * fine
            sx, sy = np.uintp(mx), np.uintp(my)
            at = bilinear_weights(mx - np.float32(sx), my - np.float32(sy))
            alpha = max(alpha * bilinear(moved, sy, sx, 3, at), bilinear(moved, sy, sx, 4, at))
            if alpha <= 0:
                continue
            hidden = bilinear(moved, sy, sx, 2, at)
            if moved[sy, sx, 5] > 0:  # torn: nothing between the nodes is meant
                sx, sy = np.uintp(mx + np.float32(NEAREST)), np.uintp(my + np.float32(NEAREST))
                at = bilinear_weights(zero, zero)
            px = min(max(px + bilinear(moved, sy, sx, 0, at), zero), right)
            py = min(max(py + bilinear(moved, sy, sx, 1, at), zero), bottom)
            sx, sy = np.uintp(px), np.uintp(py)
            at = bilinear_weights(px - np.float32(sx), py - np.float32(sy))
            front, back, rest = alpha * (one - hidden), alpha * hidden, one - alpha
            cx = corner_xy[0] + x
            red, green = rest * canvas[cy, cx, 0], rest * canvas[cy, cx, 1]
            blue, visible = rest * canvas[cy, cx, 2], rest * canvas[cy, cx, 4]
            if front > 0:
                red += front * bilinear(colours, sy, sx, 0, at)
                green += front * bilinear(colours, sy, sx, 1, at)
                blue += front * bilinear(colours, sy, sx, 2, at)
                visible += shown * front * bilinear(colours, sy, sx, 3, at)
            if back > 0:
                red += back * bilinear(colours, sy, sx, 4, at)
                green += back * bilinear(colours, sy, sx, 5, at)
                blue += back * bilinear(colours, sy, sx, 6, at)
            canvas[cy, cx, 0], canvas[cy, cx, 1], canvas[cy, cx, 2] = red, green, blue
            canvas[cy, cx, 3] = alpha + rest * canvas[cy, cx, 3]
            canvas[cy, cx, 4] = visible
            if with_flow and alpha > 0.5:
                flow[cy, cx, 0] = px - cx + origin_xy[0]
                flow[cy, cx, 1] = py - cy + origin_xy[1]
