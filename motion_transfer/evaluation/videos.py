"""Protocols (b) and (c): clips, through the stages of `transfer`.

Self-reenactment takes one frame of a clip as the photo and lets the clip drive it. Its target poses
are the tracked ones, smoothed but not retargeted: the person is the same, and a shift of the whole
by some pixels would hide everything else in a comparison pixel by pixel. Cross-reenactment
retargets as `transfer` does; there is no truth, so only what needs none is measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from motion_transfer.driver import Driver, calibrate_driver, silent
from motion_transfer.errors import InputError
from motion_transfer.evaluation.cases import Case, Truth
from motion_transfer.evaluation.config import ClipConfig, EvaluateConfig
from motion_transfer.evaluation.metrics.stability import estimate_flow, flow_agreement
from motion_transfer.generator.articulated import Source
from motion_transfer.generator.warp import warp
from motion_transfer.media.decode import read_frames
from motion_transfer.media.photo import Photo, read_photo
from motion_transfer.person.matte import estimate_matte, matte_from_mask
from motion_transfer.person.subject import Subject, build_subject, locate
from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.pose.people import find_people
from motion_transfer.pose.retarget import retarget, smooth_scale
from motion_transfer.pose.smooth import smooth_track
from motion_transfer.pose.track import PoseTrack
from motion_transfer.preview import track


def clip_name(clip: ClipConfig) -> str:
    """The given name, or one made of the files' names."""
    if clip.name is not None:
        return clip.name
    driving = Path(clip.driving).stem
    return driving if clip.photo is None else f"{Path(clip.photo).stem}--{driving}"


def self_case(clip: ClipConfig, config: EvaluateConfig, folder: Path) -> Case:
    """Self-reenactment of a clip.

    Args:
        clip: the clip.
        config: of the evaluation.
        folder: where the pose track is kept.

    Raises:
        InputError: the clip cannot be used.
        FileNotFoundError: there is no such clip.
    """
    driver = _open_track(clip, folder)
    seen = smooth_track(driver.stack(list(driver.samples())), strength=config.smooth)
    num = len(seen)
    if not 0 <= clip.photo_frame < num:
        raise InputError(
            f"self_clips: photo_frame of {clip_name(clip)} must lie in 0 to {num - 1}, "
            f"got {clip.photo_frame}"
        )
    others = (f for f in range(0, num, config.every) if f != clip.photo_frame)
    frames = tuple(f for f in others if seen.present[f])
    wanted = {clip.photo_frame, *frames, *(f + 1 for f in frames)}
    pictures = dict(_pictures(clip, wanted, config.max_side))
    rgb = pictures[clip.photo_frame]
    photo = Photo(rgb=rgb, alpha=None, original_size_hw=rgb.shape[:2])
    subject = _subject(photo, config)
    targets = _scaled(seen, photo.size_hw)
    truths = _truths(pictures, frames, targets, config)
    return Case(
        name=clip_name(clip), protocol="self", photo=rgb,
        source=Source.of(subject),
        backdrop=subject.plate, targets=targets, frames=frames, truths=truths, whole=True,
        clip=clip,
    )  # fmt: skip


def cross_case(clip: ClipConfig, config: EvaluateConfig, folder: Path) -> Case:
    """Cross-reenactment of a photo by a clip; arguments and errors as in `self_case`."""
    assert clip.photo is not None
    driver = _open_track(clip, folder)
    samples = list(driver.samples())
    photo = read_photo(clip.photo, max_side=config.max_side)
    subject = _subject(photo, config)
    _, retargeting = calibrate_driver(
        iter(samples), driver, subject.pose, config.smooth, 1.0, silent
    )
    targets = retarget(smooth_track(driver.stack(samples), strength=config.smooth), retargeting)
    frames = tuple(f for f in range(0, len(targets), config.every) if targets.present[f])
    return Case(
        name=clip_name(clip), protocol="cross", photo=photo.rgb,
        source=Source.of(subject),
        backdrop=subject.plate, targets=targets, frames=frames, truths={}, whole=False,
        clip=clip,
    )  # fmt: skip


def _open_track(clip: ClipConfig, folder: Path) -> Driver:
    """The clip's pose track as a driver; tracked once, then kept."""
    end = "" if clip.end is None else f"{clip.end:g}"
    path = folder / f"{Path(clip.driving).stem}-{clip.start:g}-{end}.npz"
    if not path.is_file():
        track(clip.driving, path, start=clip.start, end=clip.end)
    return Driver.open(path, 0.0, None, "source", "largest")


def _pictures(
    clip: ClipConfig, wanted: set[int], max_side: int
) -> Iterator[tuple[int, np.ndarray]]:
    frames = read_frames(
        clip.driving, start_seconds=clip.start, end_seconds=clip.end, max_side=max_side
    )
    for number, frame in enumerate(frames):
        if number in wanted:
            yield number, frame.rgb
        if number >= max(wanted):
            return


def _subject(photo: Photo, config: EvaluateConfig) -> Subject:
    pose, mask = locate(photo)
    return build_subject(photo, pose, mask, matte=config.matte)


def _scaled(track_: PoseTrack, size_hw: tuple[int, int]) -> PoseTrack:
    """The track in pixels of pictures of another size, with a steady size of the person."""
    factor = size_hw[0] / track_.size_hw[0]
    return dataclasses.replace(
        track_,
        xy=((track_.xy + 0.5) * factor - 0.5).astype(np.float32),
        depth=(track_.depth * factor).astype(np.float32),
        px_per_metre=(smooth_scale(track_) * factor).astype(np.float32),
        size_hw=size_hw,
    )


def _truths(
    pictures: dict[int, np.ndarray],
    frames: tuple[int, ...],
    targets: PoseTrack,
    config: EvaluateConfig,
) -> dict[int, Truth]:
    """True frames with mattes; of those that are measured, with their motion too."""
    blazepose = BlazePose()
    truths = {}
    for frame in frames:
        if frame not in pictures:
            continue
        rgb = pictures[frame]
        alpha = _matte(rgb, targets, frame, blazepose, config.matte)
        motion = known = None
        if frame + 1 in pictures:
            motion, known = estimate_motion(rgb, pictures[frame + 1])
            truths[frame + 1] = Truth(
                rgb=pictures[frame + 1], alpha=_carried(alpha, pictures[frame + 1], rgb)
            )
        truths[frame] = Truth(rgb=rgb, alpha=alpha, motion=motion, motion_known=known)
    return truths


def estimate_motion(now: np.ndarray, then: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow (2, H, W) from one picture to the next, and (H, W) bool where it can be trusted."""
    there, back = estimate_flow(now, then), estimate_flow(then, now)
    known = flow_agreement(torch.from_numpy(there)[None], torch.from_numpy(back)[None])
    return there, known[0, 0].numpy()


def _matte(
    rgb: np.ndarray, targets: PoseTrack, frame: int, blazepose: BlazePose, matte: str
) -> np.ndarray:
    """Matte of the person who stands where the track says."""
    xy = np.nan_to_num(targets.xy[frame])
    middle = xy[targets.confidence[frame] > 0].mean(0)
    people = find_people(rgb, blazepose=blazepose)
    if not people:
        return np.zeros(rgb.shape[:2], np.float32)
    nearest = min(
        people, key=lambda p: np.linalg.norm((p.box_xyxy[:2] + p.box_xyxy[2:]) / 2 - middle)
    )
    mask = nearest.sample.mask(rgb.shape[:2])
    if matte == "fast":
        return matte_from_mask(rgb, mask)
    return estimate_matte(
        rgb, person_mask=mask, joints_xy=xy, joints_confidence=targets.confidence[frame]
    )


def _carried(alpha: np.ndarray, there: np.ndarray, here: np.ndarray) -> np.ndarray:
    """A matte moved from one frame (`here`) onto the next (`there`), whose own is not needed."""
    flow = torch.from_numpy(estimate_flow(there, here))[None]
    return warp(torch.from_numpy(alpha)[None, None], flow, padding="border")[0, 0].numpy()
