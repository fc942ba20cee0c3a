"""Protocols (d) to (f): the field's pairs (DeepFashion, MVC, UBC Fashion, TikTok, own videos).

Reads what `motion-transfer dataset prepare` wrote, so resize, crop and choice of frames are those
in its `about.json`. Pictures are compared as a whole, as the field does, and on the person. Results
are drawn over the colour of the photo's background, which is flat in the studio sets, or over the
photo's background plate.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from motion_transfer.evaluation.cases import Case, Truth
from motion_transfer.evaluation.config import PairsConfig
from motion_transfer.generator.articulated import Source
from motion_transfer.person.foreground import estimate_foreground
from motion_transfer.person.plate import make_plate
from motion_transfer.pose.face_mesh import FaceMesh
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.pose.track import PoseTrack
from motion_transfer.training.datasets.pictures import Picture, Prepared

# Lengths in metres of an adult of 1.70 m (Drillis and Contini, 1966).
_LIMBS_M = {
    ("shoulder", "hip"): 0.490, ("hip", "knee"): 0.417, ("knee", "ankle"): 0.418,
    ("shoulder", "elbow"): 0.316, ("elbow", "wrist"): 0.248,
}  # fmt: skip


def read_pairs(config: PairsConfig) -> Iterator[tuple[str, Picture, Picture]]:
    """Name, photo and target of each pair of the list; shard by shard, so memory stays small.

    Raises:
        FileNotFoundError: the folder or the list is not there.
        InputError: it is no prepared folder.
    """
    for number, (photo, target) in enumerate(Prepared(config.folder).read(config.list)):
        if number == config.num:
            return
        yield f"{number:05d}", photo, target


def count_pairs(config: PairsConfig) -> int:
    """Pairs that `read_pairs` gives; errors as there."""
    count = sum(len(pairs) for _, pairs in Prepared(config.folder).by_shard(config.list))
    return count if config.num is None else min(count, config.num)


def pair_case(name: str, photo: Picture, target: Picture, *, backdrop: str) -> Case:
    """A pair as a case of one frame.

    Args:
        name: of the case.
        photo: the source.
        target: the truth, whose joints are asked for.
        backdrop: `flat` or `plate`.
    """
    alpha = photo.alpha.astype(np.float32) / 255
    if backdrop == "plate":
        behind = make_plate(photo.rgb, alpha)
    else:
        outside = photo.rgb[photo.alpha < 128]
        colour = np.median(outside, 0) if len(outside) else np.full(3, 255)
        behind = np.broadcast_to(colour.astype(np.uint8), photo.rgb.shape).copy()
    pose = _track(photo)
    source = Source(
        rgb=estimate_foreground(photo.rgb, alpha), alpha=alpha, pose=pose,
        face=FaceMesh().find(photo.rgb, pose),
    )  # fmt: skip
    truth = Truth(rgb=target.rgb, alpha=target.alpha.astype(np.float32) / 255)
    return Case(
        name=name, protocol="pairs", photo=photo.rgb, source=source, backdrop=behind,
        targets=_track(target), frames=(0,), truths={0: truth}, whole=True,
    )  # fmt: skip


def _track(picture: Picture) -> PoseTrack:
    joints = picture.joints[None].astype(np.float32)
    confidence = np.where(np.isfinite(joints[..., 0]), np.nan_to_num(joints[..., 3]), 0)
    scale = _px_per_metre(joints[0, :, :2])
    return PoseTrack(
        xy=joints[..., :2], depth=np.nan_to_num(joints[..., 2]),
        confidence=confidence.astype(np.float32),
        world=np.full((1, joints.shape[1], 3), np.nan, np.float32), present=np.ones(1, bool),
        times_seconds=np.zeros(1), fps=Fraction(25), size_hw=picture.alpha.shape,
        px_per_metre=np.array([scale], np.float32),
    )  # fmt: skip


def _px_per_metre(xy: np.ndarray) -> float:
    """Of the limb (33, 2) that is shortened least by perspective."""
    ratios = [
        np.linalg.norm(xy[INDEX[f"{side}_{first}"]] - xy[INDEX[f"{side}_{second}"]]) / length
        for (first, second), length in _LIMBS_M.items()
        for side in ("left", "right")
    ]
    known = [r for r in ratios if np.isfinite(r)]
    return float(max(known, default=1.0))
