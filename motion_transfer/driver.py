"""The driver: where the motion comes from, a video that is tracked or a pose track."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.media.decode import Frame, read_frames
from motion_transfer.media.probe import probe
from motion_transfer.media.sample import sample_frames
from motion_transfer.person.background import scene_plate
from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.pose.people import PersonChoice, PoseSample, choose_person, find_people
from motion_transfer.pose.retarget import Retargeting, calibrate
from motion_transfer.pose.smooth import smooth_track
from motion_transfer.pose.track import PoseTrack
from motion_transfer.pose.tracker import stack_samples
from motion_transfer.streams import Prefetch

PathLike = str | Path
CALIBRATION_SECONDS = 10
SCENE_FRAMES = 24  # looked at to take the dancer out of the driving video's scene
TRACKING_SIDE = 720  # longest side at which the driving video is looked at
SMALL_PERSON_SIDE = 1440  # and where the person is smaller than this many pixels in that size
SMALL_PERSON_PX = 150


class Progress(Protocol):
    """Called as work goes on; whatever it raises (`errors.Cancelled`, say) ends the run."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Stage by name, items done, and how many there will be if that is known."""
        ...


def parse_person(text: str, option: str) -> PersonChoice:
    """`largest`, a number from the left, or a point `x,y` in pixels.

    Raises:
        InputError: it is none of these.
    """
    if text == "largest":
        return "largest"
    parts = text.split(",")
    with contextlib.suppress(ValueError):
        if len(parts) == 1 and int(text) >= 0:
            return int(text)
        if len(parts) == 2 and all(math.isfinite(float(p)) for p in parts):
            return float(parts[0]), float(parts[1])
    raise InputError(
        f"{option} must be 'largest', a number (0 is the leftmost) or a point x,y; got {text!r}"
    )


def parse_fps(text: str) -> Fraction | None:
    """`source` is None; `25`, `29.97` or `30000/1001` is a rate.

    Raises:
        InputError: it is no rate between 1 and 240.
    """
    if text == "source":
        return None
    with contextlib.suppress(ValueError, ZeroDivisionError):
        rate = Fraction(text if "e" not in text.lower() else "")  # 1e999999999 takes for ever
        ntsc = Fraction(round(rate) * 1000, 1001)
        if abs(rate - ntsc) < Fraction(1, 200) and rate != round(rate):
            rate = ntsc  # 29.97 means 30000/1001
        if 1 <= rate <= 240:
            return rate
    raise InputError(f"--fps must be 'source' or a rate from 1 to 240, got {text!r}")


def silent(stage: str, done: int, total: int | None) -> None:
    """The progress callback of those who want none."""
    del stage, done, total


def check_share(option: str, value: float) -> None:
    """A setting that is a share, before any work is done.

    Raises:
        InputError: it is outside of [0, 1].
    """
    if not 0 <= value <= 1:
        raise InputError(f"{option} must lie in 0 to 1, got {value}")


def check_placement(scale: float, shift: tuple[float, float]) -> None:
    """Size and place of the person in the picture, before any work is done.

    Raises:
        InputError: the size is outside of [0.2, 4], a shift outside of [-1, 1].
    """
    if not 0.2 <= scale <= 4:
        raise InputError(f"--scale must lie in 0.2 to 4, got {scale}")
    if len(shift) != 2 or not all(-1 <= s <= 1 for s in shift):
        raise InputError(f"--shift must be two numbers from -1 to 1, got {shift}")


def is_track(path: PathLike) -> bool:
    """Whether a name is that of a pose track."""
    return Path(path).suffix.lower() == ".npz"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Driver:
    """Where the motion comes from: a video that is tracked, or a track.

    Args:
        path: the video, or the NPZ file.
        start, end: the driven range in seconds.
        rate: to resample to; None keeps the frames of the video.
        person: whom to follow; a point is in pixels of the video.
        track: what was read from an NPZ file, cut to the range.
        fps: nominal rate of the driven frames.
        size_hw: of the video.
        num_frames: in the range, as far as that is known before decoding.
        has_audio: the video has sound.
        time_base: unit of the frames' times where they are uneven.
        seconds: length of the range where frames are uneven.
    """

    path: Path
    start: float
    end: float | None
    rate: Fraction | None
    person: PersonChoice
    track: PoseTrack | None
    fps: Fraction
    size_hw: tuple[int, int]
    num_frames: int | None
    has_audio: bool
    time_base: Fraction | None
    seconds: Fraction | None

    @classmethod
    def open(cls, path: PathLike, start: float, end: float | None, fps: str, person: str) -> Driver:
        """Look at the file and check the range; arguments as in `transfer`.

        Raises:
            InputError: the file or the range cannot be used.
        """
        chosen = parse_person(person, "--person")
        rate = parse_fps(fps)
        if is_track(path):
            if rate is not None:
                raise InputError("--fps: a pose track keeps its own rate; leave it out")
            track = _cut_track(PoseTrack.load(path), Path(path).name, start, end)
            return cls(
                path=Path(path), start=start, end=end, rate=None, person=chosen, track=track,
                fps=track.fps, size_hw=track.size_hw, num_frames=len(track), has_audio=False,
                time_base=None, seconds=None,
            )  # fmt: skip
        info = probe(path)
        read_frames(path, start_seconds=start, end_seconds=end, fps=rate)  # checks the range
        shown = min(info.duration_seconds if end is None else Fraction(end), info.duration_seconds)
        shown -= Fraction(start)
        whole = start == 0 and end is None and rate is None
        size = info.num_frames if whole else max(1, round(shown * (rate or info.fps)))
        uneven = info.is_variable and rate is None
        fine = Fraction(1, 1_000_000) <= info.time_base <= Fraction(1, 100)
        return cls(
            path=Path(path), start=start, end=end, rate=rate, person=chosen,
            track=None, fps=rate or info.fps, size_hw=info.size_hw, num_frames=size,
            has_audio=info.has_audio, time_base=info.time_base if uneven and fine else None,
            seconds=shown if uneven else None,
        )  # fmt: skip

    def frames(self, max_side: int) -> Generator[Frame, None, None]:
        """The driven frames once more, for those who show them."""
        yield from read_frames(
            self.path, start_seconds=self.start, end_seconds=self.end, fps=self.rate,
            max_side=max_side,
        )  # fmt: skip

    def samples(self) -> Iterator[Sample]:
        """One sample a frame, with the time and the size of the picture it refers to."""
        if self.track is not None:
            yield from _samples_of(self.track)
            return
        from motion_transfer.pose.tracker import track_people

        blazepose = BlazePose()
        side = self._tracking_side(blazepose)
        person = _scaled(self.person, min(1.0, side / max(self.size_hw)))
        with Prefetch(self.frames(side), depth=8, name="decode") as frames:
            size_hw = (0, 0)

            def watched() -> Iterator[Frame]:
                nonlocal size_hw
                for frame in frames:
                    size_hw = (frame.rgb.shape[0], frame.rgb.shape[1])
                    yield frame

            for sample in track_people(watched(), person=person, blazepose=blazepose):
                light = dataclasses.replace(
                    PoseSample.absent(time=sample.time), xy=sample.xy, depth=sample.depth,
                    confidence=sample.confidence, world=sample.world, present=sample.present,
                )  # fmt: skip
                yield Sample(pose=light, size_hw=size_hw)

    def _tracking_side(self, blazepose: BlazePose) -> int:
        """Longest side of the pictures to track in: more where the person is far away."""
        if max(self.size_hw) <= TRACKING_SIDE:
            return TRACKING_SIDE
        person = _scaled(self.person, min(1.0, SMALL_PERSON_SIDE / max(self.size_hw)))
        with contextlib.closing(self.frames(SMALL_PERSON_SIDE)) as frames:
            for frame in itertools.islice(frames, 0, 60, 15):
                people = find_people(frame.rgb, blazepose=blazepose)
                with contextlib.suppress(NoPersonError):  # fewer people than the number asks for
                    box = choose_person(people, person).box_xyxy
                    size = max(box[2:] - box[:2]) * TRACKING_SIDE / max(frame.rgb.shape[:2])
                    return SMALL_PERSON_SIDE if size < SMALL_PERSON_PX else TRACKING_SIDE
        return TRACKING_SIDE

    def stack(self, samples: list[Sample]) -> PoseTrack:
        """Consecutive samples as a track."""
        return stack_samples([s.pose for s in samples], fps=self.fps, size_hw=samples[0].size_hw)

    def end_of_last(self, num_frames: int, last: Fraction) -> Fraction | None:
        """When the last frame ends, where the rate or the uneven range says it."""
        if self.rate is not None:
            return Fraction(num_frames) / self.rate
        return self.seconds if self.seconds is not None and self.seconds > last else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One tracked frame: the pose, and the size of the picture that it refers to."""

    pose: PoseSample
    size_hw: tuple[int, int]


def _scaled(person: PersonChoice, scale: float) -> PersonChoice:
    return (person[0] * scale, person[1] * scale) if isinstance(person, tuple) else person


def _cut_track(track: PoseTrack, name: str, start: float, end: float | None) -> PoseTrack:
    """The frames of a track from `start` to `end`, in seconds."""
    if not (math.isfinite(start) and start >= 0):
        raise InputError(f"--start must be a time in seconds, at least 0, got {start}")
    if end is not None and not start < end:
        raise InputError(f"--end must be later than --start, got {start:g} to {end:g}")
    half = 0.5 / float(track.fps)  # to the nearest frame, as for a video
    limits = [start - half, math.inf if end is None else end - half]
    first, last = np.searchsorted(track.times_seconds, limits)
    if len(track) == 0 or first >= len(track):
        raise InputError(f"--start must lie before the end of {name}, got {start:g}")
    return track[first : max(first + 1, last)]


def _samples_of(track: PoseTrack) -> Iterator[Sample]:
    first = float(track.times_seconds[0]) if len(track) else 0.0
    for k in range(len(track)):
        moment = Fraction(k) / track.fps
        seconds = float(track.times_seconds[k]) - first
        if abs(seconds - float(moment)) > 1e-4:  # a variable rate
            moment = Fraction(seconds).limit_denominator(90_000)
        pose = PoseSample(
            xy=track.xy[k], depth=track.depth[k], confidence=track.confidence[k],
            world=track.world[k], present=bool(track.present[k]), time=moment,
        )  # fmt: skip
        yield Sample(pose=pose, size_hw=track.size_hw)


def calibrate_driver(
    samples: Iterator[Sample],
    driver: Driver,
    pose: PoseTrack,
    smooth: float,
    travel: float,
    report: Progress,
    *,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> tuple[list[Sample], Retargeting]:
    """Take the first seconds of the dance and measure driver against photo.

    Args:
        samples: of the driver; as many as needed are taken.
        driver: where they come from.
        pose: of the photo.
        smooth: strength of smoothing.
        travel: share of the driver's way to the sides.
        report: called while samples come in.
        scale: size of the person in the picture; 1 is as in the photo.
        shift: to the right and down, in shares of the photo's width and height.

    Returns:
        The samples taken, and what was measured.

    Raises:
        NoPersonError: nobody was found.
    """
    head: list[Sample] = []
    wanted, seen = math.ceil(CALIBRATION_SECONDS * driver.fps), 0
    expected = min(wanted, driver.num_frames or wanted)
    for sample in samples:
        head.append(sample)
        seen += sample.pose.present
        report("track", len(head), max(expected, len(head)))
        # a person who enters late is waited for
        if len(head) >= wanted and seen >= min(wanted, math.ceil(driver.fps)):
            break
    if seen == 0:
        raise NoPersonError(
            f"--driving: no person was found in {driver.path.name}; "
            "use a video in which the dancer can be seen from head to foot"
        )
    track = smooth_track(driver.stack(head), strength=smooth)
    return head, calibrate(track, pose, travel=travel, scale=scale, shift=shift)


def find_scene(driver: Driver, max_side: int) -> np.ndarray:
    """The driving video's scene without its dancer, (H, W, 3) uint8, for a still camera."""
    end = float(probe(driver.path).duration_seconds) if driver.end is None else driver.end
    step = (end - driver.start) / SCENE_FRAMES
    times = [driver.start + step * (k + 0.5) for k in range(SCENE_FRAMES)]
    frames = sample_frames(driver.path, times_seconds=times, max_side=max_side)
    person = _scaled(driver.person, max(frames[0].shape[:2]) / max(driver.size_hw))
    blazepose, masks = BlazePose(), []
    for frame in frames:
        mask = np.zeros(frame.shape[:2], np.float32)
        people = find_people(frame, blazepose=blazepose, tiles=False)
        with contextlib.suppress(NoPersonError):  # fewer people in this frame
            if people:
                mask = choose_person(people, person).sample.mask(frame.shape[:2])
        masks.append(mask)
    return scene_plate(frames, masks)
