"""The canonical crops of a track, which glide with the person.

Axes: T frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from motion_transfer.generator.canonical import (
    Crop,
    Pose,
    body_size,
    crop_pose,
    fit_crop,
    from_blazepose,
    steady_crops,
)
from motion_transfer.pose.retarget import px_per_metre
from motion_transfer.pose.track import PoseTrack

CROP_RADIUS, CROP_SIGMA = 4, 2.0
"""Frames on either side over which the crop glides."""


class Framing(NamedTuple):
    """Of all frames that were given.

    poses: (T,) in crop pixels.
    torso_px: (T,) the torso's length in crop pixels, from the photo's by the track's scale: as
        steady as that, so that the head does not breathe.
    crops: (T,) where they lie.
    """

    poses: Pose
    torso_px: torch.Tensor
    crops: Crop

    def crop(self, frame: int) -> Crop:
        """(1,) of one frame."""
        return Crop(self.crops.centre[frame : frame + 1], self.crops.scale[frame : frame + 1])


def pose_of(track: PoseTrack, confidence: np.ndarray) -> Pose:
    """A track's poses in picture pixels."""
    return from_blazepose(
        torch.from_numpy(track.xy), torch.from_numpy(track.depth),
        torch.from_numpy(confidence.astype(np.float32)),
    )  # fmt: skip


def torso_metres(photo: PoseTrack) -> float:
    """Length of the torso in the metres of the track, from the one frame of a photo."""
    size = body_size(pose_of(photo, photo.confidence))
    return float(size[0]) / float(px_per_metre(photo)[0])


def frame_track(
    targets: PoseTrack,
    torso: float,
    crop_hw: tuple[int, int],
    *,
    device: torch.device | str = "cpu",
) -> Framing:
    """Crops for target poses; joints of confidence 0 are those that the person does not have.

    Args:
        targets: (T,) poses.
        torso: see `torso_metres`.
        crop_hw: size of the crops.
        device: where poses and lengths go.
    """
    pose = pose_of(targets, targets.confidence > 0)
    torso_px = torso * torch.from_numpy(px_per_metre(targets)).float()
    crops = steady_crops(
        fit_crop(pose, targets.size_hw, size_hw=crop_hw, torso_px=torso_px),
        radius=CROP_RADIUS, sigma=CROP_SIGMA,
    )  # fmt: skip
    poses = Pose(*(t.to(device) for t in crop_pose(pose, crops, crop_hw)))
    return Framing(poses, (torso_px * crops.scale).to(device), crops)
