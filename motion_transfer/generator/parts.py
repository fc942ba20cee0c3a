"""Body parts as candidates: how each part's bone would carry a target pixel to the source.

For every part the 2D affine map that takes the target bone onto the source bone, a prior weight
per pixel (distance to the bone in units of its usual thickness, and depth), and what a candidate
finds where it points to: whether that is on the person at all, and whether the part lies under a
nearer limb there (else a hand before the chest is copied twice). The networks correct the weights;
they do not have to find the motion.

Besides fourteen bones there are a skirt or coat, which hangs between the thighs, and hair, which
moves with the head but does not turn with it.

Axes: B batch, K parts of `PART_NAMES`, h w a grid that is coarser than the crop. Flow is in pixels
of the full crop unless said otherwise.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch

from motion_transfer.generator.canonical import JOINT, Pose, body_size
from motion_transfer.generator.motion import perpendicular, unit
from motion_transfer.generator.warp import sample

MIDHIP, HEAD, CROWN, MIDKNEE = 22, 23, 24, 25


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A bone with its usual thickness in units of the torso.

    Args:
        ends: joints, also the virtual ones above.
        radius: of the capsule around the bone.
        bias: added to the prior weight (in logits).
        depth_bias: added to the depth, in torsos; negative is nearer.
    """

    ends: tuple[int, int]
    radius: float
    bias: float = 0.0
    depth_bias: float = 0.0


def _parts() -> dict[str, Part]:
    parts = {
        "torso": Part(ends=(JOINT["neck"], MIDHIP), radius=0.30),
        "head": Part(ends=(JOINT["neck"], CROWN), radius=0.20, depth_bias=-0.05),
    }
    for side in ("right", "left"):
        for name, a, b, radius in (
            ("upper_arm", "shoulder", "elbow", 0.13), ("lower_arm", "elbow", "wrist", 0.10),
            ("hand", "wrist", "hand", 0.11), ("upper_leg", "hip", "knee", 0.18),
            ("lower_leg", "knee", "ankle", 0.13), ("foot", "ankle", "toe", 0.11),
        ):  # fmt: skip
            ends = (JOINT[f"{side}_{a}"], JOINT[f"{side}_{b}"])
            parts[f"{side}_{name}"] = Part(ends=ends, radius=radius)
    parts["skirt"] = Part(ends=(MIDHIP, MIDKNEE), radius=0.30, bias=-2.0, depth_bias=-0.08)
    parts["hair"] = Part(ends=(JOINT["neck"], CROWN), radius=0.34, bias=-2.0)
    return parts


PARTS = _parts()
PART_NAMES = tuple(PARTS)
NUM_BONES = len(PARTS) - 2  # without skirt and hair
TEN_OF_BONE = tuple(
    {
        "torso": 0, "right_upper_leg": 1, "left_upper_leg": 2, "right_lower_leg": 3,
        "left_foot": 3, "left_lower_leg": 4, "right_foot": 4, "left_upper_arm": 5,
        "right_upper_arm": 6, "left_lower_arm": 7, "right_hand": 7, "right_lower_arm": 8,
        "left_hand": 8, "head": 9,
    }[name]
    for name in PART_NAMES[:NUM_BONES]
)  # fmt: skip
"""DensePose's 24 parts merged by parity to ten, as in `synth.rig.TEN_PARTS` less the background."""
_RADII = tuple(p.radius for p in PARTS.values())
SHARPNESS, NEARNESS, UNKNOWN = 0.2, 6.0, 100.0
HIDDEN_MARGIN, HIDDEN_SOFTNESS = 0.15, 0.05  # torsos


class Skeleton(NamedTuple):
    """Bones of a batch of poses in crop pixels.

    start, end: (B, K, 2).
    depth: (B, K, 2) of both ends, in torsos.
    known: (B, K) 1 where both ends were found.
    size: (B,) torso in pixels.
    across: (B, 2) signed width of torso and of the legs' gap, pixels; negative seen from behind.
    head: (B, 2) the point that the head turns about.
    """

    start: torch.Tensor
    end: torch.Tensor
    depth: torch.Tensor
    known: torch.Tensor
    size: torch.Tensor
    across: torch.Tensor
    head: torch.Tensor


class Affine(NamedTuple):
    """Target to source per part: `source = matrix @ target + offset`.

    matrix: (B, K, 2, 2).
    offset: (B, K, 2).
    """

    matrix: torch.Tensor
    offset: torch.Tensor


class Coverage(NamedTuple):
    """A pose's capsules on a grid.

    distance: (B, K, h, w) to the bone in units of the part's radius; 1 is the usual outline.
    depth: (B, K, h, w) torsos, of the nearest point of the bone.
    """

    distance: torch.Tensor
    depth: torch.Tensor


def skeleton(pose: Pose, torso_px: torch.Tensor | None = None) -> Skeleton:
    """Bones from joints.

    Args:
        pose: in crop pixels.
        torso_px: (B,) length of the torso, where it is known better than by `body_size`: heads
            are as large as it says.
    """
    size = body_size(pose) if torso_px is None else torso_px
    xyz = torch.cat([pose.xy, (pose.depth / size[:, None])[..., None]], -1)

    def middle(*names: str) -> tuple[torch.Tensor, torch.Tensor]:
        at = [JOINT[n] for n in names]
        return xyz[:, at].mean(1), pose.known[:, at].amin(1)

    hips, hips_known = middle("left_hip", "right_hip")
    knees, knees_known = middle("left_knee", "right_knee")
    ears, ears_known = middle("left_ear", "right_ear")
    nose = xyz[:, JOINT["nose"]]
    up = unit(ears[:, :2] - xyz[:, JOINT["neck"], :2])
    crown = torch.cat([ears[:, :2] + 0.14 * size[:, None] * up, ears[:, 2:]], -1)
    centre = torch.cat([(ears[:, :2] + nose[:, :2]) / 2, ears[:, 2:]], -1)
    points = torch.cat([xyz, torch.stack([hips, centre, crown, knees], 1)], 1)
    extra = torch.stack([hips_known, ears_known, ears_known, knees_known], 1)
    known = torch.cat([pose.known, extra], 1)
    first = [p.ends[0] for p in PARTS.values()]
    last = [p.ends[1] for p in PARTS.values()]
    bias = xyz.new_tensor([p.depth_bias for p in PARTS.values()])
    spine = unit(points[:, MIDHIP, :2] - points[:, JOINT["neck"], :2])
    side = perpendicular(spine)

    def width(name: str) -> torch.Tensor:
        gap = pose.xy[:, JOINT[f"right_{name}"]] - pose.xy[:, JOINT[f"left_{name}"]]
        return (gap * side).sum(-1)

    return Skeleton(
        start=points[:, first, :2],
        end=points[:, last, :2],
        depth=torch.stack([points[:, first, 2], points[:, last, 2]], -1) + bias[:, None],
        known=known[:, first] * known[:, last],
        size=size,
        across=torch.stack([width("shoulder") + width("hip"), width("hip") + width("knee")], -1),
        head=points[:, HEAD, :2],
    )


def part_affine(source: Skeleton, target: Skeleton) -> Affine:
    """The map of each part: along the bone by its length, across it by the people's size."""
    zoom = (source.size / target.size)[:, None]
    start = 0.035 * source.size[:, None]
    vector_s, vector_t = source.end - source.start, target.end - target.start
    length_s, length_t = vector_s.norm(dim=-1), vector_t.norm(dim=-1)
    along = zoom * (length_s + start) / (length_t * zoom + start)
    along = torch.maximum(torch.minimum(along, 4 * zoom), 0.2 * zoom)
    across = zoom.expand_as(along).clone()
    # a torso or skirt is as wide as the joints are apart, and mirrored when seen from behind
    least = 0.14 * source.size[:, None]
    wide_s, wide_t = source.across, target.across * zoom
    ratio = (wide_s.abs() + least) / (wide_t.abs() + least)
    sign = torch.where(wide_s * wide_t < 0, -1.0, 1.0)
    ratio = sign * ratio.clamp(0.4, 2.2) * zoom
    names = list(PARTS)
    across[:, names.index("torso")], across[:, names.index("skirt")] = ratio[:, 0], ratio[:, 1]
    head, hair = names.index("head"), names.index("hair")
    along[:, head] = across[:, head] = zoom[:, 0]  # rigid
    unit_s, unit_t = unit(vector_s), unit(vector_t)
    matrix = along[..., None, None] * unit_s[..., :, None] * unit_t[..., None, :]
    matrix = matrix + across[..., None, None] * (
        perpendicular(unit_s)[..., :, None] * perpendicular(unit_t)[..., None, :]
    )
    matrix[:, hair] = torch.eye(2, device=zoom.device) * zoom[..., None]
    centre_s, centre_t = (source.start + source.end) / 2, (target.start + target.end) / 2
    rigid = torch.zeros(len(names), 1, dtype=torch.bool, device=zoom.device)
    rigid[[head, hair]] = True
    centre_s = torch.where(rigid, source.head[:, None], centre_s)
    centre_t = torch.where(rigid, target.head[:, None], centre_t)
    # a product, not a matrix multiplication: autocast would round that to 8 bits
    return Affine(matrix, centre_s - (matrix * centre_t[..., None, :]).sum(-1))


def axes(
    size_hw: tuple[int, int], full_hw: tuple[int, int], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions x (w,) and y (h,) of a coarse grid's pixel centres, in pixels of the full crop."""
    x, y = (
        (torch.arange(n, device=device, dtype=torch.float32) + 0.5) * (full / n) - 0.5
        for n, full in ((size_hw[1], full_hw[1]), (size_hw[0], full_hw[0]))
    )
    return x, y


def part_flows(affine: Affine, size_hw: tuple[int, int], full_hw: tuple[int, int]) -> torch.Tensor:
    """(B, K, 2, h, w) the flow that each part would have, pixels of the full crop."""
    x, y = axes(size_hw, full_hw, affine.offset.device)
    move = affine.matrix - torch.eye(2, device=x.device)
    rows = move[..., 1, None] * y + affine.offset[..., None]  # (B, K, 2, h)
    columns = move[..., 0, None] * x  # (B, K, 2, w)
    return rows[..., :, None] + columns[..., None, :]


def cover(bones: Skeleton, size_hw: tuple[int, int], full_hw: tuple[int, int]) -> Coverage:
    """Distance to and depth of every part on a grid."""
    x, y = axes(size_hw, full_hw, bones.start.device)
    vector = bones.end - bones.start
    step = vector / (vector * vector).sum(-1, keepdim=True).clamp_min(1e-3)
    offset_x = x - bones.start[..., 0, None]  # (B, K, w)
    offset_y = y - bones.start[..., 1, None]  # (B, K, h)
    t = (offset_x * step[..., 0, None])[..., None, :] + (offset_y * step[..., 1, None])[..., None]
    t = t.clamp(0, 1)
    dx = offset_x[..., None, :] - t * vector[..., 0, None, None]
    dy = offset_y[..., None] - t * vector[..., 1, None, None]
    radius = bones.size[:, None] * bones.size.new_tensor(_RADII)
    distance = (dx * dx + dy * dy).sqrt() / radius[..., None, None]
    near, far = bones.depth[..., 0, None, None], bones.depth[..., 1, None, None]
    return Coverage(distance, near + t * (far - near))


def prior_logits(covered: Coverage, known: torch.Tensor) -> torch.Tensor:
    """(B, K, h, w) logits of the weights: close to the bone and near to the camera."""
    bias = known.new_tensor([p.bias for p in PARTS.values()]) - UNKNOWN * (1 - known)
    away = (covered.distance - 0.3).clamp_min(0)
    depth = NEARNESS * covered.depth / (1 + covered.distance**2 * covered.distance**2)
    return -(away**2 / SHARPNESS).clamp_max(60) - depth + bias[..., None, None]


def hidden_parts(covered: Coverage, known: torch.Tensor) -> torch.Tensor:
    """(B, K, h, w) in [0, 1]: whether the part lies under a nearer one at this place.

    Args:
        covered: of the source, on a coarse grid (this compares all pairs of parts).
        known: (B, K).
    """
    bones = slice(0, NUM_BONES)
    over = torch.sigmoid((1.05 - covered.distance[:, bones]) / 0.12) * known[:, bones, None, None]
    gap = covered.depth[:, :, None] - covered.depth[:, None, bones]  # (B, K, bones, h, w)
    return (torch.sigmoid((gap - HIDDEN_MARGIN) / HIDDEN_SOFTNESS) * over[:, None]).amax(2)


def look_up(
    flows: torch.Tensor, source_mask: torch.Tensor, hidden: torch.Tensor, full_hw: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each candidate finds in the source.

    Args:
        flows: (B, K, 2, h, w) from `part_flows`.
        source_mask: (B, 1, H', W') of the source person, on any grid over the crop; 1 for all.
        hidden: (B, K, h', w') from `hidden_parts`; 1 for all.
        full_hw: size of the crop that the flows' pixels refer to.

    Returns:
        (B, K, h, w) the mask's value and (B, K, h, w) the hidden part's value there.
    """
    b, k, _, h, w = flows.shape
    x, y = axes((h, w), full_hw, flows.device)
    at = torch.stack([flows[:, :, 0] + x, flows[:, :, 1] + y[:, None]], 2)  # (B, K, 2, h, w)

    def place(size_hw: torch.Size) -> torch.Tensor:
        factor = at.new_tensor([size_hw[1] / full_hw[1], size_hw[0] / full_hw[0]])[:, None, None]
        return (at + 0.5) * factor - 0.5

    tall = place(source_mask.shape[-2:]).transpose(1, 2).reshape(b, 2, k * h, w)
    inside = sample(source_mask.expand(b, -1, -1, -1), tall).view(b, k, h, w)
    covered = hidden.expand(b, -1, -1, -1).flatten(0, 1)[:, None]
    under = sample(covered, place(hidden.shape[-2:]).flatten(0, 1)).view(b, k, h, w)
    return inside, under


def mix(
    affine: Affine, logits: torch.Tensor, full_hw: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend the candidates: the flow (B, 2, h, w), crop pixels, and the weights (B, K, h, w).

    A mixture of affine flows is affine with mixed coefficients, so the candidates' flows need not
    be drawn for it.
    """
    size_hw = (logits.shape[-2], logits.shape[-1])
    weights = torch.softmax(logits.float(), 1)
    move = affine.matrix - torch.eye(2, device=weights.device)
    coefficients = torch.cat([move, affine.offset[..., None]], -1)  # (B, K, 2, 3)
    with torch.autocast(weights.device.type, enabled=False):
        mixed = coefficients.flatten(2).transpose(1, 2) @ weights.flatten(2)  # (B, 6, h w)
    by_x, by_y, offset = mixed.unflatten(1, (2, 3)).unflatten(-1, size_hw).unbind(2)
    x, y = axes(size_hw, full_hw, weights.device)
    return by_x * x + by_y * y[:, None] + offset, weights
