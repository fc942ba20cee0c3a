"""Before anything is rendered: the retargeted skeleton over the photo, and pose tracks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from motion_transfer import pipeline
from motion_transfer.errors import InputError
from motion_transfer.media.encode import VideoWriter
from motion_transfer.media.photo import read_photo
from motion_transfer.media.sample import contact_sheet, sample_frames
from motion_transfer.person.subject import locate, read_corrections, write_corrections
from motion_transfer.pose.draw import draw_pose
from motion_transfer.pose.retarget import calibrate, retarget
from motion_transfer.pose.smooth import smooth_track
from motion_transfer.pose.track import PoseTrack
from motion_transfer.pose.tracker import track_video

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
    joints: PathLike | None = None,
    overwrite: bool = False,
    progress: pipeline.Progress | None = None,
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
        joints: JSON file with corrected joints of the photo.
        overwrite: replace existing files.
        progress: called with the stage, what is done, and how much there is if known.

    Raises:
        InputError: something given cannot be used.
        FileNotFoundError: there is no such photo or video.
    """
    report = progress or pipeline._silent
    default = pipeline.default_output(source, driving).with_suffix(".preview.mp4")
    clip = Path(output) if output is not None else default
    picture, places = clip.with_suffix(".png"), clip.with_suffix(".joints.json")
    for path in (clip, picture, places):
        if path.exists() and not overwrite:
            raise InputError(f"--output: {path} already exists; choose another or --overwrite")
    for option, path in (("--source", source), ("--driving", driving)):
        if not Path(path).exists():
            raise FileNotFoundError(f"{option}: no such file: {path}")
    photo = read_photo(source, max_side=pipeline.PRESETS["fast"].max_side)
    corrections = read_corrections(joints) if joints is not None else None
    pose, _ = locate(
        photo,
        person=pipeline.parse_person(source_person, "--source-person"),
        corrections=corrections,
    )
    driver = load_track(driving, start=start, end=end, fps=fps, person=person, progress=report)
    smooth_driver = smooth_track(driver, strength=smooth)
    window = smooth_driver[: int(pipeline.CALIBRATION_SECONDS * driver.fps)]
    target = retarget(smooth_driver, calibrate(window, pose))

    dim = (photo.rgb * 0.5).astype(np.uint8)
    moments = np.linspace(0, len(target) - 1, NUM_STILLS).round().astype(int)
    stills = [draw_pose(photo.rgb, pose.xy[0], pose.confidence[0])]
    shown = _driver_stills(driving, driver, moments, start)
    for number, frame in enumerate(moments):
        stills.append(draw_pose(shown[number], driver.xy[frame], driver.confidence[frame]))
        stills.append(draw_pose(dim, target.xy[frame], target.confidence[frame]))
    sheet = contact_sheet(stills, columns=len(stills), cell_height=480)
    with VideoWriter.open(
        clip, size_hw=photo.size_hw, fps=driver.fps, overwrite=overwrite
    ) as writer:
        for frame in range(len(target)):
            image = draw_pose(dim, target.xy[frame], target.confidence[frame])
            writer.write(image, frame / driver.fps)
            report("preview", frame + 1, len(target))
        writer.finish()
    cv2.imwrite(str(picture), sheet[..., ::-1])
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
    progress: pipeline.Progress | None = None,
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
    if path.exists() and not overwrite:
        raise InputError(f"--output: {path} already exists; choose another or --overwrite")
    report = progress or pipeline._silent
    load_track(driving, start=start, end=end, fps=fps, person=person, progress=report).save(path)
    return path


def load_track(
    driving: PathLike,
    *,
    start: float,
    end: float | None,
    fps: str,
    person: str,
    progress: pipeline.Progress,
) -> PoseTrack:
    """The driver's track: read, or made from a video."""
    if not Path(driving).exists():
        raise FileNotFoundError(f"--driving: no such file: {driving}")
    if Path(driving).suffix.lower() == ".npz":
        return PoseTrack.load(driving)
    return track_video(
        driving,
        start_seconds=start,
        end_seconds=end,
        fps=pipeline.parse_fps(fps),
        person=pipeline.parse_person(person, "--person"),
        progress=lambda done: progress("track", done, None),
    )


def _driver_stills(
    driving: PathLike, driver: PoseTrack, moments: np.ndarray, start: float
) -> list[np.ndarray]:
    if Path(driving).suffix.lower() == ".npz":
        return [np.full((*driver.size_hw, 3), 40, np.uint8)] * len(moments)
    times = [start + float(driver.times_seconds[m]) for m in moments]
    return sample_frames(driving, times_seconds=times)
