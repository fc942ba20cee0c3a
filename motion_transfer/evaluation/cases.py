"""What is evaluated: one photo, target poses, and what is known of the true result."""

from __future__ import annotations

import dataclasses

import numpy as np

from motion_transfer.evaluation.config import ClipConfig
from motion_transfer.generator.articulated import Source
from motion_transfer.pose.track import PoseTrack


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    """What is known of one frame.

    Args:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) float32 matte of the person in [0, 1].
        flow: (2, H, W) float32, where the person's surface lies in the photo, backward.
        known: (H, W) bool, where `flow` is known.
        visible: (H, W) bool, where that surface shows in the photo.
        parse: (H, W) uint8 garment labels.
        motion: (2, H, W) float32 flow to the next frame.
        motion_known: (H, W) bool, where `motion` is known and nothing is hidden.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    flow: np.ndarray | None = None
    known: np.ndarray | None = None
    visible: np.ndarray | None = None
    parse: np.ndarray | None = None
    motion: np.ndarray | None = None
    motion_known: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One photo and one target motion; all pictures have the photo's size.

    Args:
        name: unique in its protocol; names files.
        protocol: `synthetic`, `pairs`, `self` or `cross`.
        photo: (H, W, 3) uint8.
        source: the person in it.
        backdrop: (H, W, 3) uint8, what generated people are put over.
        targets: T poses in pixels of the photo.
        frames: which of them are measured.
        truths: by frame, for each of `frames` and, where known, for the frame after it.
        whole: pictures can be compared as a whole, since the backdrop is the truth's.
        parse: (H, W) uint8 garment labels of the photo.
        clip: what drives, where it is a file.
    """

    name: str
    protocol: str
    photo: np.ndarray
    source: Source
    backdrop: np.ndarray
    targets: PoseTrack
    frames: tuple[int, ...]
    truths: dict[int, Truth]
    whole: bool
    parse: np.ndarray | None = None
    clip: ClipConfig | None = None

    @property
    def drawn_frames(self) -> list[int]:
        """The measured frames, and each one's successor, from which flicker is seen."""
        last = len(self.targets) - 1
        return sorted({f for frame in self.frames for f in (frame, min(frame + 1, last))})
