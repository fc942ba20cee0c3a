"""PoseFlowNet's answers over time: kept while neighbours need them, and smoothed.

A neighbouring frame's flow is carried along the motion of the target's parts; where it then says
nearly the same, it counts, so that nothing is blurred where limbs cross.

Axes: B frames that are computed at once, H W pixels of the crop.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

from motion_transfer.generator.canonical import CROP_HW, TORSO_PX, Pose, pose_at
from motion_transfer.generator.parts import mix, part_affine, skeleton
from motion_transfer.generator.pose_flow_net import FlowLevel, PoseFlow
from motion_transfer.generator.pose_maps import Candidates
from motion_transfer.generator.temporal import agreement
from motion_transfer.generator.warp import pixel_grid, sample

FLOW_RADIUS = 2
"""Frames on either side whose flows are averaged."""
TOLERANCE_TORSO = 0.12
"""Flows of neighbouring frames that differ by this much hardly count."""


class Looked(NamedTuple):
    """PoseFlowNet's answer for one frame and one photo.

    flow: its levels, batches of one.
    finest: (4, H/2, W/2) flow, visibility and mask of the finest level.
    slopes: (4, H/2, W/2) of the flow's affine mixture, photo crop for frame crop.
    """

    flow: PoseFlow
    finest: torch.Tensor
    slopes: torch.Tensor


Track = dict[int, list[Looked]]
"""Frames' answers, one for each photo."""


def split_frames(flow: PoseFlow, candidates: Candidates) -> list[Looked]:
    """The frames of a batch."""
    weights = torch.softmax(flow.finest.part_logits, 1)
    matrix = candidates.affine.matrix.flatten(2)  # (B, K, 4)
    slopes = torch.einsum("bkhw,bkc->bchw", weights, matrix)
    finest = _stack_level(flow.finest)
    result = []
    for k in range(len(finest)):
        levels = [FlowLevel(*(t[k : k + 1] for t in level)) for level in flow.levels]
        each = PoseFlow((levels[0], levels[1], levels[2]))
        result.append(Looked(each, finest[k], slopes[k]))
    return result


def _join_frames(track: Track, frames: list[int], photo: int) -> PoseFlow:
    """Some frames' flows as a batch."""
    found = [track[f][photo].flow.levels for f in frames]
    levels = [
        FlowLevel(*(torch.cat(fields) for fields in zip(*(f[k] for f in found), strict=True)))
        for k in range(3)
    ]
    return PoseFlow((levels[0], levels[1], levels[2]))


def smooth_flows(
    track: Track,
    frames: torch.Tensor,
    poses: Pose,
    torso_px: torch.Tensor,
    *,
    strength: float,
    crop_hw: tuple[int, int],
) -> list[PoseFlow]:
    """Flows of some frames, blended with those of their neighbours along the target's motion.

    Args:
        track: holds the frames and `FLOW_RADIUS` more on either side, as far as there are any.
        frames: (B,) of them.
        poses: of all target frames, in crop pixels.
        torso_px: of all target frames.
        strength: 0 to 1.
        crop_hw: size of the crop.

    Returns:
        One batch for each photo.
    """
    photos = range(len(track[int(frames[0])]))
    own = [_join_frames(track, frames.tolist(), s) for s in photos]
    if strength <= 0:
        return own
    logits = own[0].finest.part_logits
    size_hw = (logits.shape[-2], logits.shape[-1])
    grid = pixel_grid(*size_hw, device=logits.device)
    tolerance_px = TOLERANCE_TORSO * TORSO_PX * size_hw[0] / CROP_HW[0]
    target = skeleton(pose_at(poses, frames), torso_px[frames])
    starts = [_finest(track, frames.tolist(), s) for s in photos]
    totals = list(starts)  # (B, 4, H/2, W/2)
    weights = [torch.ones_like(t[:, :1]) for t in totals]
    for step in (s for s in range(-FLOW_RADIUS, FLOW_RADIUS + 1) if s != 0):
        there = (frames + step).clamp(0, len(torso_px) - 1)
        bones = skeleton(pose_at(poses, there), torso_px[there])
        motion, _ = mix(part_affine(bones, target), logits, crop_hw)
        for s in photos:
            carried = sample(_finest(track, there.tolist(), s), grid + motion / 2, padding="border")
            carried = torch.cat([carried[:, :2] + motion / 2, carried[:, 2:]], 1)
            weight = strength * agreement(starts[s][:, :2], carried[:, :2], tolerance_px, dim=1)
            totals[s] = totals[s] + weight * carried
            weights[s] = weights[s] + weight
    return [
        _with_finest(flow, total / weight)
        for flow, total, weight in zip(own, totals, weights, strict=True)
    ]


def _finest(track: Track, frames: list[int], photo: int) -> torch.Tensor:
    """(B, 4, H/2, W/2) flow, visibility and mask of the finest level."""
    return torch.stack([track[f][photo].finest for f in frames])


def _stack_level(level: FlowLevel) -> torch.Tensor:
    """(B, 4, h, w) flow, visibility, mask."""
    return torch.cat([level.flow, level.visibility, level.mask], 1).float()


def _with_finest(flow: PoseFlow, finest: torch.Tensor) -> PoseFlow:
    """The flow with another finest level (B, 4, h, w); coarser levels change with it."""
    change = finest - _stack_level(flow.finest)
    levels = []
    for level in flow.levels:
        factor = change.shape[-2] // level.flow.shape[-2]
        here = _stack_level(level) + functional.avg_pool2d(change, factor) / change.new_tensor(
            [factor, factor, 1, 1]
        ).view(4, 1, 1)
        levels.append(level._replace(flow=here[:, :2], visibility=here[:, 2:3], mask=here[:, 3:]))
    return PoseFlow((levels[0], levels[1], levels[2]))
