"""People at one size: the joints that the networks see, and the crop that follows them.

Source and target person are cut out so that the torso has a fixed length (`TORSO_PX` at the full
crop); everything that is learned happens in such crops, and the flow between two of them is in
their pixels.

Axes: B batch, J joints of `JOINTS`, H W pixels of the crop. Positions are (x, y) in pixels, an
integer is a pixel centre; depth is in the same pixels, smaller is nearer, 0 between the hips.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from motion_transfer.generator.warp import pixel_grid, sample
from motion_transfer.pose.skeleton import INDEX

CROP_HW = (256, 192)
TORSO_PX = 54.0
"""Neck to middle of the hips in the full crop: a standing person fills about 70 % of its height."""
MARGIN_TORSO = 0.45
"""Room around the outermost joints: the crown lies above the ears, fingers beyond the knuckles."""

JOINTS = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear", "right_hand", "left_hand", "right_toe",
    "left_toe",
)  # fmt: skip
JOINT = {name: number for number, name in enumerate(JOINTS)}
MIRROR = tuple(
    JOINT[n.replace("left", "right") if "left" in n else n.replace("right", "left")] for n in JOINTS
)
KNOWN_CONFIDENCE = 0.15
FACE_TORSOS, HAIR_TORSOS = 0.14, 0.42
"""Radius about nose and eyes of a face, and of the half disc above that holds hair."""
_FACE = [JOINT[name] for name in ("nose", "right_eye", "left_eye")]
_SOURCES: dict[str, tuple[str, ...]] = {
    "neck": ("left_shoulder", "right_shoulder"),
    "right_hand": ("right_index", "right_pinky"), "left_hand": ("left_index", "left_pinky"),
    "right_toe": ("right_foot_index",), "left_toe": ("left_foot_index",),
}  # fmt: skip


class Pose(NamedTuple):
    """A batch of poses.

    xy: (B, J, 2) pixels.
    depth: (B, J) pixels.
    known: (B, J) 1 where the joint was found, else 0; positions of unknown joints mean nothing.
    """

    xy: torch.Tensor
    depth: torch.Tensor
    known: torch.Tensor


class Crop(NamedTuple):
    """Where a crop lies in a picture.

    centre: (B, 2) picture pixels, what is at the middle of the crop.
    scale: (B,) crop pixels for a picture pixel.
    """

    centre: torch.Tensor
    scale: torch.Tensor


def from_blazepose(xy: torch.Tensor, depth: torch.Tensor, confidence: torch.Tensor) -> Pose:
    """BlazePose's 33 joints to `JOINTS`.

    Args:
        xy: (B, 33, 2) pixels, NaN where unknown.
        depth: (B, 33) pixels, NaN where unknown (then taken as 0).
        confidence: (B, 33) in [0, 1].
    """
    rows = [[INDEX[s] for s in _SOURCES.get(name, (name,))] for name in JOINTS]
    found = torch.isfinite(xy).all(-1) & (confidence >= KNOWN_CONFIDENCE)
    xy, depth = torch.nan_to_num(xy), torch.nan_to_num(depth)
    return Pose(
        torch.stack([xy[:, r].mean(1) for r in rows], 1).float(),
        torch.stack([depth[:, r].mean(1) for r in rows], 1).float(),
        torch.stack([found[:, r].all(1) for r in rows], 1).float(),
    )


def pose_at(poses: Pose, frames: torch.Tensor) -> Pose:
    """The poses of some frames (B,), in that order."""
    return Pose(*(t[frames.to(t.device)] for t in poses))


def mirror_pose(pose: Pose, width: int) -> Pose:
    """The pose in a picture of this width that was flipped left to right."""
    xy = pose.xy[:, list(MIRROR)]
    xy = torch.stack([width - 1 - xy[..., 0], xy[..., 1]], -1)
    return Pose(xy, pose.depth[:, list(MIRROR)], pose.known[:, list(MIRROR)])


def body_size(pose: Pose) -> torch.Tensor:
    """(B,) length of the torso in pixels, as if it were seen square on.

    The largest of several bones' lengths in units of a usual torso: a torso that leans towards the
    camera looks short, but then the legs do not.
    """

    def length(*names: str) -> torch.Tensor:
        at = [JOINT[n] for n in names]
        steps = (pose.xy[:, at[1:]] - pose.xy[:, at[:-1]]).norm(dim=-1).sum(1)
        return steps * pose.known[:, at].amin(1)

    hips = [JOINT["right_hip"], JOINT["left_hip"]]
    torso = (pose.xy[:, JOINT["neck"]] - pose.xy[:, hips].mean(1)).norm(dim=-1)
    torso = torso * pose.known[:, [JOINT["neck"], *hips]].amin(1)
    sizes = [torso, 1.15 * length("left_shoulder", "right_shoulder")]
    for side in ("left", "right"):
        sizes.append(0.58 * length(f"{side}_hip", f"{side}_knee", f"{side}_ankle"))
        sizes.append(0.9 * length(f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist"))
    return torch.stack(sizes, 1).amax(1).clamp_min(1.0)


def head_disc(pose: Pose, torso_px: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    """(B, 1, H, W) in [0, 1], 1 where face and hair are.

    What repaints a face makes another person of it, and rendered people have no buns or hats.

    Args:
        pose: (B,) in pixels of what is drawn; without nose and eyes there is no face.
        torso_px: (B,) length of the torso.
        size_hw: what is drawn.
    """
    centre, up, known = face_axis(pose)
    offset = pixel_grid(*size_hw, device=pose.xy.device) - centre[..., None, None]
    above = (offset * up[..., None, None]).sum(1)
    size = torso_px[:, None, None]
    radius = torch.where(above > 0, HAIR_TORSOS, FACE_TORSOS) * size
    inside = (radius - offset.norm(dim=1) + 0.5).clamp(0, 1)
    return (inside * known[:, None, None])[:, None]


def face_axis(pose: Pose) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(B, 2) the face's middle, (B, 2) which way its crown is; (B,) bool whether it is known."""
    known = pose.known[:, _FACE, None].float()
    centre = (pose.xy[:, _FACE] * known).sum(1) / known.sum(1).clamp_min(1)
    up = centre - pose.xy[:, JOINT["neck"]]
    return centre, up / up.norm(dim=-1, keepdim=True).clamp_min(1e-3), known.sum((1, 2)) > 0


def fit_crop(
    pose: Pose,
    picture_hw: tuple[int, int],
    *,
    size_hw: tuple[int, int] = CROP_HW,
    torso_px: torch.Tensor | None = None,
) -> Crop:
    """Place the crop: the torso gets `TORSO_PX`, or less where arms or legs would not fit.

    Args:
        pose: in picture pixels.
        picture_hw: joints outside of the picture (guessed by the tracker) do not count.
        size_hw: of the crop.
        torso_px: (B,) length of the torso, where it is known better than by `body_size`.
    """
    height, width = picture_hw
    size = body_size(pose) if torso_px is None else torso_px
    room = (MARGIN_TORSO * size)[:, None]
    inside = (pose.xy >= -0.5).all(-1)
    inside &= (pose.xy[..., 0] < width) & (pose.xy[..., 1] < height)
    counts = ((pose.known > 0) & inside)[..., None]
    counts = counts | ~counts.any(1, keepdim=True)
    low = torch.where(counts, pose.xy, torch.inf).amin(1) - room
    high = torch.where(counts, pose.xy, -torch.inf).amax(1) + room
    limit = high.new_tensor([size_hw[1], size_hw[0]]) / (high - low).clamp_min(1.0)
    scale = torch.minimum(TORSO_PX * (size_hw[0] / CROP_HW[0]) / size, limit.amin(1))
    return Crop((low + high) / 2, scale)


def steady_crops(crops: Crop, *, radius: int, sigma: float) -> Crop:
    """Crops of successive frames, averaged over time so that they glide.

    Args:
        crops: (T,) of them.
        radius: frames on either side that are averaged; fewer at the ends.
        sigma: of the Gaussian weights, frames.
    """
    frames = torch.arange(len(crops.scale), device=crops.scale.device)
    rows = torch.cat([crops.centre, crops.scale.log()[:, None]], 1)
    total, weights = torch.zeros_like(rows), torch.zeros_like(rows[:, :1])
    for step in range(-radius, radius + 1):
        there = frames + step
        inside = ((there >= 0) & (there < len(frames))).float()[:, None]
        weight = math.exp(-0.5 * (step / sigma) ** 2) * inside
        total = total + weight * rows[there.clamp(0, len(frames) - 1)]
        weights = weights + weight
    mean = total / weights
    return Crop(mean[:, :2], mean[:, 2].exp())


def crop_points(xy: torch.Tensor, crop: Crop, size_hw: tuple[int, int]) -> torch.Tensor:
    """Picture positions (B, N, 2) to crop positions."""
    middle = xy.new_tensor([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2])
    return (xy - crop.centre[:, None]) * crop.scale[:, None, None] + middle


def crop_pose(pose: Pose, crop: Crop, size_hw: tuple[int, int] = CROP_HW) -> Pose:
    """The pose in crop pixels."""
    return Pose(crop_points(pose.xy, crop, size_hw), pose.depth * crop.scale[:, None], pose.known)


def picture_positions(crop: Crop, size_hw: tuple[int, int] = CROP_HW) -> torch.Tensor:
    """(B, 2, H, W) the picture position that each crop pixel shows."""
    grid = pixel_grid(*size_hw, device=crop.scale.device)
    middle = grid.new_tensor([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2])[:, None, None]
    return (grid - middle) / crop.scale[:, None, None, None] + crop.centre[:, :, None, None]


def crop_image(
    image: torch.Tensor, crop: Crop, size_hw: tuple[int, int] = CROP_HW, *, padding: str = "zeros"
) -> torch.Tensor:
    """Cut the crop out of pictures (B, C, h, w)."""
    return sample(image, picture_positions(crop, size_hw).to(image.dtype), padding=padding)
