"""What the networks see of a pose: key points, limbs, depth, the ten-part body map.

Each of them may be absent (no DensePose, a tracker without depth): its channels are then zero,
and training leaves them out at random so that one set of weights serves all cases.

Axes: B batch, K parts, h w pixels at half the crop's size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

from motion_transfer.generator.canonical import CROP_HW, JOINTS, Pose
from motion_transfer.generator.parts import (
    NUM_BONES,
    TEN_OF_BONE,
    UNKNOWN,
    Affine,
    Coverage,
    Skeleton,
    axes,
    cover,
    hidden_parts,
    look_up,
    mix,
    part_affine,
    part_flows,
    prior_logits,
    skeleton,
)

SPOT_TORSO = 0.05
NUM_TEN = 10
CHANNELS = {"key points": len(JOINTS), "limbs": NUM_BONES, "depth": 1, "ten parts": NUM_TEN}
MAP_CHANNELS = sum(CHANNELS.values())


class PoseMaps(NamedTuple):
    """One pose, ready for the networks.

    maps: (B, `MAP_CHANNELS`, h, w), in the order of `CHANNELS`.
    bones: where the parts are.
    covered: (B, K, h, w) distance to and depth of the parts.
    prior: (B, K, h, w) logits of the parts' weights.
    """

    maps: torch.Tensor
    bones: Skeleton
    covered: Coverage
    prior: torch.Tensor


class SourceMaps(NamedTuple):
    """The source's side, computed once for all frames.

    pose: its maps.
    mask: (B, 1, H, W) matte in the crop.
    hidden: (B, K, h/2, w/2) whether a part lies under a nearer one.
    """

    pose: PoseMaps
    mask: torch.Tensor
    hidden: torch.Tensor


class Candidates(NamedTuple):
    """The parts' proposals for every target pixel.

    affine: the maps themselves.
    prior: (B, K, h, w) logits.
    inside: (B, K, h, w) the source's matte where the candidate points to.
    hidden: (B, K, h, w) whether the part is hidden there.
    face: (B, 1, h, w) 1 in the target's face, where the head must stay rigid.
    outline: (B, 1, h, w) positive on the target's bones, 0 at their usual outline.
    torso_px: (B,) the target's torso in the full crop.
    """

    affine: Affine
    prior: torch.Tensor
    inside: torch.Tensor
    hidden: torch.Tensor
    face: torch.Tensor
    outline: torch.Tensor
    torso_px: torch.Tensor


def draw_pose(
    pose: Pose,
    *,
    full_hw: tuple[int, int] = CROP_HW,
    torso_px: torch.Tensor | None = None,
    ten_parts: torch.Tensor | None = None,
    has_parts: torch.Tensor | None = None,
    keep: torch.Tensor | None = None,
) -> PoseMaps:
    """Draw a pose at half the crop's size.

    Args:
        pose: in pixels of the crop.
        full_hw: of the crop.
        torso_px: see `parts.skeleton`.
        ten_parts: (B, 10, h, w) one-hot body map from a tracker that has one (DensePose); None:
            made from the joints.
        has_parts: (B,) bool, for which samples `ten_parts` holds; None: for all.
        keep: (B, 4) which of `CHANNELS` to keep; None: all.
    """
    size_hw = (full_hw[0] // 2, full_hw[1] // 2)
    bones = skeleton(pose, torso_px)
    covered = cover(bones, size_hw, full_hw)
    prior = prior_logits(covered, bones.known)
    known = bones.known[:, :NUM_BONES, None, None]
    limbs = bell(covered.distance[:, :NUM_BONES] ** 2) * known
    weights = torch.softmax(prior[:, :NUM_BONES], 1)
    depth = (weights * covered.depth[:, :NUM_BONES]).sum(1, keepdim=True)
    depth = 2 * depth * limbs.amax(1, keepdim=True)
    if ten_parts is None or has_parts is not None:
        filled = weights * torch.sigmoid((1.05 - covered.distance[:, :NUM_BONES]) / 0.1) * known
        index = torch.tensor(TEN_OF_BONE, device=filled.device)
        made = filled.new_zeros(len(filled), NUM_TEN, *size_hw).index_add(1, index, filled)
        if ten_parts is None or has_parts is None:
            ten_parts = made
        else:
            ten_parts = torch.where(has_parts[:, None, None, None], ten_parts, made)
    groups = [_spots(pose, bones.size, size_hw, full_hw), limbs, depth, ten_parts]
    if keep is not None:
        groups = [g * keep[:, k, None, None, None] for k, g in enumerate(groups)]
    return PoseMaps(torch.cat(groups, 1), bones, covered, prior)


def bell(x: torch.Tensor) -> torch.Tensor:
    """exp(-x), but never so small that the processor slows down (denormal numbers)."""
    return torch.exp(-x.clamp_max(30.0))


def _spots(
    pose: Pose, size: torch.Tensor, size_hw: tuple[int, int], full_hw: tuple[int, int]
) -> torch.Tensor:
    """(B, J, h, w) a Gaussian at every joint that is known."""
    x, y = axes(size_hw, full_hw, pose.xy.device)
    spread = (2 * (SPOT_TORSO * size) ** 2)[:, None, None]
    gauss_x = bell((x - pose.xy[..., 0, None]) ** 2 / spread)
    gauss_y = bell((y - pose.xy[..., 1, None]) ** 2 / spread)
    return gauss_y[..., :, None] * (gauss_x * pose.known[..., None])[..., None, :]


def draw_source(
    pose: Pose,
    mask: torch.Tensor,
    *,
    ten_parts: torch.Tensor | None = None,
    has_parts: torch.Tensor | None = None,
    keep: torch.Tensor | None = None,
) -> SourceMaps:
    """Prepare a source photo's side; arguments as for `draw_pose`, `mask` (B, 1, H, W)."""
    full_hw = (mask.shape[-2], mask.shape[-1])
    maps = draw_pose(pose, full_hw=full_hw, ten_parts=ten_parts, has_parts=has_parts, keep=keep)
    coarse = cover(maps.bones, (full_hw[0] // 4, full_hw[1] // 4), full_hw)
    return SourceMaps(maps, mask, hidden_parts(coarse, maps.bones.known))


def propose(source: SourceMaps, target: PoseMaps) -> Candidates:
    """The candidates between sources and target poses, as many as targets or one for all."""
    full_hw = (source.mask.shape[-2], source.mask.shape[-1])
    size_hw = (target.maps.shape[-2], target.maps.shape[-1])
    affine = part_affine(source.pose.bones, target.bones)
    flows = part_flows(affine, size_hw, full_hw)
    half = functional.avg_pool2d(source.mask, 2)
    inside, hidden = look_up(flows, half, source.hidden, full_hw)
    x, y = axes(size_hw, full_hw, flows.device)
    head, size = target.bones.head, target.bones.size[:, None, None]
    dx, dy = x - head[:, 0, None, None], y[:, None] - head[:, 1, None, None]
    away = (dx * dx + dy * dy).sqrt() / (0.2 * size)
    missing = UNKNOWN * (1 - source.pose.bones.known)[..., None, None]
    return Candidates(
        affine,
        target.prior - missing,
        inside,
        hidden,
        bell(away**4)[:, None] * target.bones.known[:, 1, None, None, None],
        1 - _outline_distance(target)[:, None],
        target.bones.size,
    )


def _outline_distance(pose: PoseMaps) -> torch.Tensor:
    """(B, h, w) to the nearest known bone in units of its radius."""
    unknown = 9.0 * (1 - pose.bones.known)[..., None, None]
    return (pose.covered.distance + unknown)[:, :NUM_BONES].amin(1)


def prior_flow(candidates: Candidates) -> torch.Tensor:
    """(B, 2, h, w) the articulated flow, pixels of the full crop."""
    height, width = candidates.prior.shape[-2:]
    return mix(candidates.affine, candidates.prior, (2 * height, 2 * width))[0]
