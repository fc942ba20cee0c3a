"""Protocol (a): held-out rendered people, with exact flow, visibility, garments and key points.

The person is compared alone, over a flat grey: the true picture by its exact matte, the result by
its own, so a hole or a limb too many counts and the background does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.evaluation.cases import Case, Truth
from motion_transfer.evaluation.config import SyntheticConfig
from motion_transfer.generator.articulated import Source
from motion_transfer.generator.warp import pixel_grid, sample
from motion_transfer.person.foreground import estimate_foreground
from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.pose.face_mesh import FaceMesh
from motion_transfer.pose.people import choose_person, find_people
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.pose.track import PoseTrack
from motion_transfer.pose.tracker import PoseSample, stack_samples
from motion_transfer.synth.sample import Sample
from motion_transfer.synth.shards import list_shards, read_shard
from motion_transfer.synth.tracking import to_blazepose

GREY = 128
FPS = Fraction(30)
# Lengths in metres of an adult of 1.70 m (Drillis and Contini, 1966): thigh, shin, upper and lower
# arm; with them the exact joints say how many pixels a metre is.
_BONES_M = {
    ("hip", "knee"): 0.417, ("knee", "ankle"): 0.418,
    ("shoulder", "elbow"): 0.316, ("elbow", "wrist"): 0.248,
}  # fmt: skip


def check_samples(config: SyntheticConfig) -> None:
    """Whether the shards hold as many samples as are wanted.

    Raises:
        FileNotFoundError: there are no shards.
        InputError: there are fewer samples.
    """
    count = 0
    for path in list_shards(config.shards):
        with np.load(path, allow_pickle=False) as data:
            count += len(data["name"])
    if count < config.num:
        raise InputError(
            f"synthetic.shards: {Path(config.shards).name} must hold {config.num} samples, "
            f"got {count}; lower synthetic.num"
        )


def held_out_samples(config: SyntheticConfig) -> Iterator[Sample]:
    """The first samples of the shards; one shard at a time is in memory."""
    shards = (read_shard(path) for path in list_shards(config.shards))
    return itertools.islice(itertools.chain.from_iterable(shards), config.num)


def make_case(sampled: Sample, name: str, *, pose: str, blazepose: BlazePose | None = None) -> Case:
    """A sample as a case.

    Args:
        sampled: rendered source and targets.
        name: of the case.
        pose: `exact` joints of the rig, `tracked` with a tracker's errors, or `blazepose`: what
            the tracker finds in the pictures.
        blazepose: the networks for that.
    """
    track = _track(sampled, pose, blazepose)
    alpha = sampled.alpha.astype(np.float32) / 255
    own = [estimate_foreground(rgb, matte) for rgb, matte in zip(sampled.rgb, alpha, strict=True)]
    face = FaceMesh().find(sampled.rgb[0], track[:1])
    source = Source(rgb=own[0], alpha=alpha[0], pose=track[:1], face=face)
    targets = track[1:]
    truths = {}
    for k in range(len(targets)):
        motion, known = _motion(sampled, k) if k + 1 < len(targets) else (None, None)
        person = alpha[k + 1][..., None]
        truths[k] = Truth(
            rgb=np.round(own[k + 1] * person + GREY * (1 - person)).astype(np.uint8),
            alpha=alpha[k + 1],
            flow=sampled.flow[k].transpose(2, 0, 1).astype(np.float32),
            known=sampled.part[k + 1] > 0,
            visible=(sampled.visible[k] > 0) & (sampled.part[k + 1] > 0),
            parse=sampled.parse[k + 1],
            motion=motion,
            motion_known=known,
        )
    return Case(
        name=name, protocol="synthetic", photo=sampled.rgb[0], source=source,
        backdrop=np.full_like(sampled.rgb[0], GREY), targets=targets,
        frames=tuple(range(0, len(targets), 2)), truths=truths, whole=False,
        parse=sampled.parse[0],
    )  # fmt: skip


def _track(sampled: Sample, pose: str, blazepose: BlazePose | None) -> PoseTrack:
    """Source and targets, (N,), as a track."""
    num, height, width = sampled.alpha.shape
    if blazepose is not None:
        return _tracked(sampled, blazepose)
    exact = to_blazepose(sampled.keypoints)
    points = exact if pose == "exact" else to_blazepose(sampled.tracked)
    confidence = np.ones(points.shape[:2], np.float32) if pose == "exact" else points[..., 3]
    return PoseTrack(
        xy=points[..., :2].astype(np.float32), depth=points[..., 2].astype(np.float32),
        confidence=confidence.astype(np.float32),
        world=np.full((num, points.shape[1], 3), np.nan, np.float32),
        present=np.ones(num, bool), times_seconds=np.arange(num) / float(FPS), fps=FPS,
        size_hw=(height, width), px_per_metre=_px_per_metre(exact),
    )  # fmt: skip


def _tracked(sampled: Sample, blazepose: BlazePose) -> PoseTrack:
    """What the tracker finds in each picture on its own."""
    size_hw = sampled.alpha.shape[1:]
    samples = []
    for rgb in sampled.rgb:
        people = find_people(rgb, blazepose=blazepose, tiles=False)
        samples.append(choose_person(people).sample if people else PoseSample.absent())
    if not samples[0].present:
        raise NoPersonError(f"{sampled.name}: the tracker finds nobody in the rendered photo")
    return stack_samples(samples, fps=FPS, size_hw=(size_hw[0], size_hw[1]))


def _px_per_metre(points: np.ndarray) -> np.ndarray:
    """(T,) from exact joints (T, 33, 3): length of the limbs over that of an adult's."""
    total, metres = np.zeros(len(points)), 0.0
    for (first, second), length in _BONES_M.items():
        for side in ("left", "right"):
            ends = points[:, INDEX[f"{side}_{first}"]], points[:, INDEX[f"{side}_{second}"]]
            total += np.linalg.norm(ends[0] - ends[1], axis=-1)
            metres += length
    return (total / metres).astype(np.float32)


def _motion(sampled: Sample, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Flow (2, H, W) to the next target and where it is known, by way of the photo."""
    there = torch.from_numpy(sampled.flow[frame].transpose(2, 0, 1).astype(np.float32))[None]
    onward = torch.from_numpy(
        np.concatenate(
            [sampled.flow_back[frame + 1], sampled.visible_back[frame + 1][..., None]], -1
        )
        .transpose(2, 0, 1)
        .astype(np.float32)
    )[None]
    place = pixel_grid(*there.shape[-2:]) + there
    carried = sample(onward, place)
    # between a visible and a hidden pixel the flow would be a mixture
    known = (carried[0, 2] > 0.99) & torch.from_numpy(sampled.visible[frame] > 0)
    return (there + carried[:, :2])[0].numpy(), known.numpy()
