"""RefinementNet on drawn frames: looked at in the crop, corrected at the frame's resolution.

Axes: C channels, h w pixels of a box in the frame, H W pixels of a window in the crop.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from motion_transfer.generator.articulated import Rendition
from motion_transfer.generator.canonical import Crop, Pose, crop_image
from motion_transfer.generator.paste import Place, to_frame
from motion_transfer.generator.pose_maps import draw_pose
from motion_transfer.generator.puppets import Box, place_map
from motion_transfer.generator.refinement_net import RefinementNet, apply_refinement

MARGIN_PX = 6
"""An outline may grow by so much, crop pixels."""
_GRID_PX = 16  # windows start at multiples of it, so that the network's grid does not jump


def refine(
    network: RefinementNet,
    drawn: Rendition,
    skirt: Rendition | None,
    *,
    pose: Pose,
    torso_px: torch.Tensor,
    crop: Crop,
    crop_hw: tuple[int, int],
    size_hw: tuple[int, int],
) -> Rendition:
    """A drawn frame, refined.

    Args:
        network: trained.
        drawn: with its visibility.
        skirt: the skirt alone, if the person wears one.
        pose: (1,) the frame's, in crop pixels.
        torso_px: (1,) see `pose_maps.draw_pose`.
        crop: (1,) where the crop lies in the frame.
        crop_hw: its size.
        size_hw: of the frame.
    """
    assert drawn.visibility is not None
    scale = float(crop.scale[0])
    box = _grown(drawn.box_xyxy, MARGIN_PX / scale, size_hw)
    rgba = place_map(drawn.rgba, drawn, box)
    seen = place_map(drawn.visibility * drawn.rgba[3:], drawn, box)
    held = torch.zeros_like(seen) if skirt is None else place_map(skirt.rgba[3:], skirt, box)
    (left, top), window_hw = _window(box, crop, crop_hw)
    planes = _shrink(torch.cat([rgba, seen, held]), box, crop, crop_hw, (left, top), window_hw)
    shift = planes.new_tensor([left, top])
    maps = draw_pose(
        Pose(pose.xy - shift, pose.depth, pose.known), full_hw=window_hw, torso_px=torso_px
    ).maps
    found = network(planes[:, :5], maps, planes[:, 5:])
    start = [
        (edge - float(centre)) * scale + (length - 1) / 2 - offset
        for edge, centre, length, offset in zip(
            box[:2], crop.centre[0], crop_hw[::-1], (left, top), strict=True
        )
    ]
    place = Place((start[0], start[1]), scale, (box[3] - box[1], box[2] - box[0]), 0.0)
    large = to_frame(torch.cat([found.painted, found.gate, found.step], 1)[0].float(), place)
    rgb, alpha = apply_refinement(rgba[None], large[None, :3], large[None, 3:4], large[None, 4:])
    alpha = _sharpen(alpha, large[None, 4:], scale)[0].clamp(0, 1)
    flow = None if drawn.flow is None else place_map(drawn.flow, drawn, box)
    visibility = place_map(drawn.visibility, drawn, box)
    return Rendition(torch.cat([rgb[0].clamp(0, 1) * alpha, alpha]), flow, visibility, box)


def _sharpen(alpha: torch.Tensor, step: torch.Tensor, scale: float) -> torch.Tensor:
    """An outline that was moved in the crop, as steep in the frame as one that was not."""
    gain = max(1.0, 1 / scale) - 1
    return (alpha - 0.5) * (1 + gain * (2 * step.abs()).clamp(max=1)) + 0.5


def _grown(box: Box, margin: float, size_hw: tuple[int, int]) -> Box:
    """The box with a margin in pixels, inside of the frame if it was."""
    room = math.ceil(margin)
    x0, y0, x1, y1 = box
    return (
        min(x0, max(0, x0 - room)), min(y0, max(0, y0 - room)),
        max(x1, min(size_hw[1], x1 + room)), max(y1, min(size_hw[0], y1 + room)),
    )  # fmt: skip


def _window(
    box: Box, crop: Crop, crop_hw: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First (x, y) and size (H, W) in crop pixels of what holds the box."""
    starts, sizes = [], []
    for axis, length in ((0, crop_hw[1]), (1, crop_hw[0])):
        ends = [
            (edge - float(crop.centre[0, axis])) * float(crop.scale[0]) + (length - 1) / 2
            for edge in (box[axis], box[axis + 2])
        ]
        start = math.floor(ends[0] / _GRID_PX) * _GRID_PX
        starts.append(start)
        sizes.append(max(1, math.ceil((ends[1] - start) / _GRID_PX)) * _GRID_PX)
    return (starts[0], starts[1]), (sizes[1], sizes[0])


def _shrink(
    maps: torch.Tensor,
    box: Box,
    crop: Crop,
    crop_hw: tuple[int, int],
    start_xy: tuple[int, int],
    window_hw: tuple[int, int],
) -> torch.Tensor:
    """(1, C, H, W) the window of maps (C, h, w) in a box; averaged where it is scaled down."""
    scale = float(crop.scale[0])
    height, width = maps.shape[-2:]
    zoom = min(1.0, scale)
    small_hw = (max(1, round(height * zoom)), max(1, round(width * zoom)))
    small = functional.interpolate(maps[None], small_hw, mode="area")
    factor = maps.new_tensor([small_hw[1] / width, small_hw[0] / height])
    middle = maps.new_tensor([(n - 1) / 2 for n in crop_hw[::-1]])
    inside = maps.new_tensor(start_xy) + maps.new_tensor([(n - 1) / 2 for n in window_hw[::-1]])
    centre = (inside - middle) / scale + crop.centre[0].to(maps) - maps.new_tensor(box[:2])
    at = Crop(((centre + 0.5) * factor - 0.5)[None], crop.scale.to(maps) / factor.mean())
    return crop_image(small, at, window_hw)
