"""From rendered samples to what the networks train on: canonical crops of source and target.

Axes: B batch, H W pixels of the crop.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from motion_transfer.generator.canonical import (
    CROP_HW,
    Crop,
    Pose,
    crop_image,
    crop_pose,
    fit_crop,
    from_blazepose,
    mirror_pose,
    picture_positions,
)
from motion_transfer.generator.pose_maps import CHANNELS, NUM_TEN
from motion_transfer.generator.warp import pixel_grid
from motion_transfer.synth.rig import KEYPOINTS, PARTS, TEN_OF_PART
from motion_transfer.synth.tracking import BLAZEPOSE_SOURCES

NUM_PARSE = 9
_PART_MIRROR = [
    PARTS.index(n.replace("left", "right") if n.startswith("left") else n.replace("right", "left"))
    for n in PARTS
]


class View(NamedTuple):
    """One side of a pair, in crop pixels.

    rgb: (B, 3, H, W) in [0, 1].
    alpha: (B, 1, H, W) in [0, 1].
    pose: joints as a tracker reports them.
    parse: (B, H, W) int64 garment classes.
    part: (B, H, W) int64 of the engine's body parts.
    """

    rgb: torch.Tensor
    alpha: torch.Tensor
    pose: Pose
    parse: torch.Tensor
    part: torch.Tensor


class Pair(NamedTuple):
    """Sources and targets with ground truth.

    source, target: the views.
    flow: (B, 2, H, W) crop pixels: where the target's surface lies in the source's crop.
    known: (B, 1, H, W) 1 where `flow` is known: on the target's body, nowhere in real pictures.
    visible: (B, 1, H, W) 1 where that surface shows in the source.
    """

    source: View
    target: View
    flow: torch.Tensor
    known: torch.Tensor
    visible: torch.Tensor


def make_pair(
    samples: dict[str, torch.Tensor],
    *,
    frame: int = 0,
    backward: bool = False,
    flip: bool = False,
    noise: float | torch.Tensor = 1.0,
    size_hw: tuple[int, int] = CROP_HW,
    source_crop: Crop | None = None,
) -> Pair:
    """Cut a batch of rendered samples to canonical crops.

    Args:
        samples: a collated batch of `synth.dataset.to_tensors`, on any device.
        frame: which target view.
        backward: exchange source and target.
        flip: mirror the pictures.
        noise: in [0, 1], or (B,) of it: share of the tracker's errors in the key points; with 0
            all of them are known.
        size_hw: of the crops.
        source_crop: of the source's view; None: fitted to its pose.
    """
    first, second = (frame + 1, 0) if backward else (0, frame + 1)
    picture_hw = (samples["rgb"].shape[-2], samples["rgb"].shape[-1])
    flow = samples["flow_back" if backward else "flow"][:, frame]
    visible = samples["visible_back" if backward else "visible"][:, frame]
    poses = [_pose(samples, view, noise) for view in (first, second)]
    if flip:
        poses = [mirror_pose(p, picture_hw[1]) for p in poses]
        flow = flow.flip(-1) * flow.new_tensor([-1.0, 1.0])[:, None, None]
        visible = visible.flip(-1)
    crops = [fit_crop(p, picture_hw, size_hw=size_hw) for p in poses]
    crops[0] = source_crop or crops[0]
    views = [
        _view(samples, view, pose, crop, flip, size_hw)
        for view, pose, crop in zip((first, second), poses, crops, strict=True)
    ]
    moved = _crop_flow(flow, crops[0], crops[1], size_hw)
    known = (views[1].part > 0)[:, None].float()
    seen = nearest(visible.float(), crops[1], size_hw) * known
    return Pair(views[0], views[1], moved * known, known, seen)


def make_picture_pair(
    samples: dict[str, torch.Tensor], *, flip: bool = False, size_hw: tuple[int, int] = CROP_HW
) -> Pair:
    """Cut real pictures of one person to canonical crops.

    Args:
        samples: a collated batch of `datasets.pictures.PicturePairs`, on any device.
        flip: mirror the pictures.
        size_hw: of the crops.

    Returns:
        The pair; nothing is known of its flow, visibility, body parts and garments (zeros).
    """
    unknown = torch.zeros_like(samples["alpha"])
    samples = {**samples, "parse": unknown, "part": unknown}
    picture_hw = (samples["rgb"].shape[-2], samples["rgb"].shape[-1])
    views = []
    for view in range(2):
        joints = samples["joints"][:, view]
        pose = from_blazepose(joints[..., :2], joints[..., 2], joints[..., 3])
        if flip:
            pose = mirror_pose(pose, picture_hw[1])
        crop = fit_crop(pose, picture_hw, size_hw=size_hw)
        views.append(_view(samples, view, pose, crop, flip, size_hw))
    source, target = views
    nothing = torch.zeros_like(target.alpha)
    return Pair(source, target, nothing.expand(-1, 2, -1, -1), nothing, nothing)


def nearest(image: torch.Tensor, crop: Crop, size_hw: tuple[int, int]) -> torch.Tensor:
    """The crop of maps (B, C, h, w) that must not be interpolated; zeros outside."""
    height, width = image.shape[-2:]
    at = picture_positions(crop, size_hw).round().long()
    x, y = at[:, 0], at[:, 1]
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    index = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten(1)[:, None]
    picked = image.flatten(2).gather(2, index.expand(-1, image.shape[1], -1))
    return picked.unflatten(2, size_hw) * inside[:, None].to(image.dtype)


def _crop_flow(
    flow: torch.Tensor, source: Crop, target: Crop, size_hw: tuple[int, int]
) -> torch.Tensor:
    """Flow (B, 2, h, w) between pictures to flow between crops."""
    # the vector of the nearest pixel is carried over to the exact position
    found = picture_positions(target, size_hw) + nearest(flow, target, size_hw)
    middle = found.new_tensor([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2])[:, None, None]
    place = (found - source.centre[:, :, None, None]) * source.scale[:, None, None, None] + middle
    return place - pixel_grid(*size_hw, device=flow.device)


def _pose(samples: dict[str, torch.Tensor], view: int, noise: float | torch.Tensor) -> Pose:
    """A view's joints in picture pixels, from the same 33 points as a tracker gives."""
    truth, tracked = samples["keypoints"][:, view], samples["tracked"][:, view]
    share = torch.as_tensor(noise, device=truth.device).expand(len(truth))[:, None, None]
    confidence = torch.where(share > 0, tracked[..., 3:], 1.0)
    error = torch.nan_to_num(tracked[..., :3] - truth)
    points = torch.cat([truth + share * error, confidence], -1)
    rows = [points[:, [KEYPOINTS.index(n) for n in names]] for names in BLAZEPOSE_SOURCES]
    mixed = torch.stack([torch.cat([r[..., :3].mean(1), r[..., 3].amin(1)[:, None]], -1)
                         for r in rows], 1)  # fmt: skip
    return from_blazepose(mixed[..., :2], mixed[..., 2], mixed[..., 3])


def _view(
    samples: dict[str, torch.Tensor],
    view: int,
    pose: Pose,
    crop: Crop,
    flip: bool,
    size_hw: tuple[int, int],
) -> View:
    def get(name: str) -> torch.Tensor:
        image = samples[name][:, view].float()
        return image.flip(-1) if flip else image

    labels = nearest(torch.cat([get("parse"), get("part")], 1), crop, size_hw).long()
    part = labels[:, 1]
    if flip:
        part = torch.tensor(_PART_MIRROR, device=part.device)[part]
    return View(
        rgb=crop_image(get("rgb") / 255, crop, size_hw, padding="border"),
        alpha=crop_image(get("alpha") / 255, crop, size_hw),
        pose=crop_pose(pose, crop, size_hw),
        parse=labels[:, 0],
        part=part,
    )


def ten_part_maps(part: torch.Tensor) -> torch.Tensor:
    """(B, 10, H/2, W/2) what DensePose would show, from the engine's parts (B, H, W)."""
    table = torch.from_numpy(TEN_OF_PART.astype("int64")).to(part.device)
    ten = table[part[:, ::2, ::2]]
    return torch.nn.functional.one_hot(ten, NUM_TEN + 1)[..., 1:].permute(0, 3, 1, 2).float()


def random_modalities(
    batch: int, *, drop: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """(B, 4) which of the pose maps' channel groups to keep; key points or parts always stay."""
    keep = (torch.rand(batch, len(CHANNELS), generator=generator) >= drop).float()
    lost = (keep[:, 0] + keep[:, 3]) == 0
    keep[:, 0] = torch.where(lost, 1.0, keep[:, 0])
    return keep
