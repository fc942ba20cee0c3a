"""Before anything is rendered: the retargeted skeleton over the photo, and pose tracks."""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from motion_transfer import pipeline, sidecar
from motion_transfer.driver import (
    Driver,
    Progress,
    Sample,
    calibrate_driver,
    check_placement,
    check_share,
    parse_person,
    silent,
)
from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.media.encode import VideoWriter
from motion_transfer.media.formats import FORMATS
from motion_transfer.media.photo import read_photo
from motion_transfer.media.sample import contact_sheet, sample_frames
from motion_transfer.person.subject import locate, read_corrections, write_corrections
from motion_transfer.pose.draw import draw_pose
from motion_transfer.pose.retarget import retarget
from motion_transfer.pose.smooth import smooth_track
from motion_transfer.pose.track import PoseTrack
from motion_transfer.streams import Prefetch

PathLike = str | Path
NUM_STILLS = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreviewResult:
    """What `preview` wrote.

    Args:
        picture: the photo with its joints, then driver and target at five moments.
        clip: the retargeted skeleton over the photo.
        joints: the photo's joints, to be corrected and given to `--joints`.
    """

    picture: Path
    clip: Path
    joints: Path


def preview(
    source: PathLike,
    driving: PathLike,
    output: PathLike | None = None,
    *,
    start: float = 0.0,
    end: float | None = None,
    fps: str = "source",
    person: str = "largest",
    source_person: str = "largest",
    smooth: float = 0.5,
    travel: float = 1.0,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    joints: PathLike | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PreviewResult:
    """Show the retargeted skeleton over the photo before anything is rendered.

    Args:
        source: photo of a person.
        driving: video of somebody dancing, or a pose track (NPZ).
        output: the clip; picture and joints are written beside it. `SOURCE--DRIVING.preview.mp4`
            by default.
        start: where the dance starts, in seconds.
        end: where it ends, in seconds; the end of the video by default.
        fps: frame rate: `source` or a number.
        person: who drives if there are several: `largest`, a number from the left, or `x,y`.
        source_person: whom to take if the photo shows several, in the same way.
        smooth: 0 (every jitter kept) to 1 (very smooth).
        travel: how much of the dancer's way to the sides is gone, 0 (on the spot) to 1.
        scale: size of the person in the picture; 1 is as in the photo.
        shift: the person to the right and down, in shares of the picture's width and height.
        joints: JSON file with corrected joints of the photo.
        overwrite: replace existing files.
        progress: called with the stage, what is done, and how much there is if known.

    Raises:
        InputError: something given cannot be used.
        FileNotFoundError: there is no such photo or video.
    """
    report = progress or silent
    clip = Path(output or pipeline.default_output(source, driving).with_suffix(".preview.mp4"))
    if clip.suffix.lower() not in FORMATS:
        raise InputError(f"--output must end in one of {', '.join(FORMATS)}; got {clip.name!r}")
    picture, places = clip.with_suffix(".png"), clip.with_suffix(".joints.json")
    pipeline.check_inputs(source, driving)
    for path in (clip, picture, places):
        _check_new(path, overwrite)
    check_share("--smooth", smooth)
    check_share("--travel", travel)
    check_placement(scale, shift)
    corrections = read_corrections(joints) if joints is not None else None
    driver = Driver.open(driving, start, end, fps, person)
    photo = read_photo(source, max_side=pipeline.PRESETS["fast"].max_side)
    pose, _ = locate(
        photo,
        person=parse_person(source_person, "--source-person"),
        corrections=corrections,
    )
    samples = _follow(driver, report)
    _, retargeting = calibrate_driver(
        iter(samples), driver, pose, smooth, travel, silent, scale=scale, shift=shift
    )
    seen = driver.stack(samples)
    target = retarget(smooth_track(seen, strength=smooth), retargeting)

    dim = (photo.rgb * 0.5).astype(np.uint8)
    moments = np.linspace(0, len(target) - 1, NUM_STILLS).round().astype(int)
    stills = [draw_pose(photo.rgb, pose.xy[0], pose.confidence[0])]
    for rgb, frame in zip(_driver_stills(driver, seen, moments), moments, strict=True):
        stills.append(draw_pose(rgb, seen.xy[frame], seen.confidence[frame]))
        stills.append(draw_pose(dim, target.xy[frame], target.confidence[frame]))
    sheet = contact_sheet(stills, columns=len(stills), cell_height=480)
    with VideoWriter.open(
        clip, size_hw=photo.size_hw, fps=driver.fps, time_base=driver.time_base,
        overwrite=overwrite, metadata=sidecar.tags(),
    ) as writer:  # fmt: skip
        moment = Fraction(0)
        for frame, sample in enumerate(samples):
            image = draw_pose(dim, target.xy[frame], target.confidence[frame])
            moment = sample.pose.time or Fraction(0)
            writer.write(image, moment)
            report("preview", frame + 1, len(target))
        writer.finish(end_seconds=driver.end_of_last(len(samples), moment))
    temporary = picture.with_name(f".{picture.stem}.new.png")
    if not cv2.imwrite(str(temporary), sheet[..., ::-1]):
        raise InputError(f"--output: {picture} could not be written; check the folder")
    os.replace(temporary, picture)
    write_corrections(places, photo, pose)
    return PreviewResult(picture=picture, clip=clip, joints=places)


def track(
    driving: PathLike,
    output: PathLike | None = None,
    *,
    start: float = 0.0,
    end: float | None = None,
    fps: str = "source",
    person: str = "largest",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the dancer's key points as a pose track (NPZ) that `transfer` takes for a video.

    Args:
        driving: video of somebody dancing.
        output: the NPZ file; the video's name with .npz by default.
        start: where the dance starts, in seconds.
        end: where it ends, in seconds; the end of the video by default.
        fps: frame rate: `source` or a number.
        person: who drives if there are several: `largest`, a number from the left, or `x,y`.
        overwrite: replace an existing file.
        progress: called with the stage, what is done, and how much there is if known.

    Raises:
        InputError: something given cannot be used.
        FileNotFoundError: there is no such video.
    """
    path = Path(output) if output is not None else Path(Path(driving).stem + ".npz")
    if path.suffix.lower() != ".npz":
        raise InputError(f"--output must end in .npz, got {path.name}")
    pipeline.check_inputs(None, driving)
    _check_new(path, overwrite)
    driver = Driver.open(driving, start, end, fps, person)
    samples = _follow(driver, progress or silent)
    if not any(s.pose.present for s in samples):
        raise NoPersonError(
            f"--driving: no person was found in {driver.path.name}; "
            "give a video in which one is clearly visible"
        )
    driver.stack(samples).save(path)
    return path


def _check_new(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise InputError(f"--output: {path} already exists; choose another or --overwrite")


def _follow(driver: Driver, report: Progress) -> list[Sample]:
    """Every frame's pose, exactly as `transfer` sees it."""
    samples: list[Sample] = []
    with Prefetch(driver.samples(), depth=8, name="track") as tracked:
        for sample in tracked:
            samples.append(sample)
            total = driver.num_frames
            report("track", len(samples), None if total is None else max(total, len(samples)))
    report("track", len(samples), len(samples))
    return samples


def _driver_stills(driver: Driver, seen: PoseTrack, moments: np.ndarray) -> list[np.ndarray]:
    """Pictures of the driver, in the size that the track refers to."""
    if driver.track is not None:
        return [np.full((*seen.size_hw, 3), 40, np.uint8)] * len(moments)
    if driver.path.is_dir():  # --fps is the rate of its pictures, which times do not say
        frames = {int(m): np.empty(0) for m in moments}
        for number, frame in enumerate(driver.frames(max(seen.size_hw))):
            if number in frames:
                frames[number] = frame.rgb
        return [frames[int(m)] for m in moments]
    times = [driver.start + float(seen.times_seconds[m]) for m in moments]
    return sample_frames(driver.path, times_seconds=times, max_side=max(seen.size_hw))
