"""The product: one photo and one dance in, one video out.

    photo ──> locate ──> build_subject ───────────────────────────────┐
    video ──> read_frames ──> track_people ──> smooth ──> retarget ──> plan, draw ──> composite
                                                                          └──> VideoWriter + sound

Everything after the photo streams: decoding, tracking, rendering and encoding each run in their
own thread, bounded queues between them, so memory does not grow with the length of the clip. An
exception anywhere ends the run, joins the threads and leaves no file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import logging
import math
import threading
import time
import typing
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from motion_transfer import sidecar
from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.media.audio import AudioRange
from motion_transfer.media.decode import Frame, read_frames
from motion_transfer.media.encode import VideoWriter
from motion_transfer.media.formats import can_be_transparent, can_hold_audio, parse_target
from motion_transfer.media.photo import Photo, read_photo
from motion_transfer.media.probe import probe
from motion_transfer.media.sample import sample_frames
from motion_transfer.person.background import (
    KINDS,
    check_background,
    cover,
    make_background,
    scene_plate,
)
from motion_transfer.person.subject import (
    MATTES,
    Subject,
    build_subject,
    locate,
    read_corrections,
)
from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.pose.people import PersonChoice, PoseSample, choose_person, find_people
from motion_transfer.pose.retarget import Retargeting, calibrate, margin_frames, retarget
from motion_transfer.pose.smooth import smooth_track, support_frames
from motion_transfer.pose.track import PoseTrack
from motion_transfer.pose.tracker import stack_samples
from motion_transfer.streams import Prefetch, blocks_with_margins

_LOG = logging.getLogger(__name__)

PathLike = str | Path
CALIBRATION_SECONDS = 10
BLOCK_FRAMES = 96
SCENE_FRAMES = 24  # looked at to take the dancer out of the driving video's scene
TRACKING_SIDE = 720  # longest side at which the driving video is looked at

Preset = Literal["fast", "hd"]
Device = Literal["auto", "cpu", "cuda", "mps"]
GeneratorName = Literal["articulated"]
Matte = Literal["u2net", "fast"]
DEVICES: tuple[str, ...] = typing.get_args(Device)
GENERATORS: tuple[str, ...] = typing.get_args(GeneratorName)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PresetValues:
    """What a preset stands for.

    Args:
        max_side: longest side of the output, pixels.
        encoder: x264's preset.
        crf: x264's quality.
    """

    max_side: int
    encoder: str
    crf: int


PRESETS = {
    "fast": PresetValues(max_side=1280, encoder="superfast", crf=20),
    "hd": PresetValues(max_side=1920, encoder="medium", crf=17),
}


class Progress(Protocol):
    """Called as work goes on; whatever it raises (`errors.Cancelled`, say) ends the run."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Stage by name, items done, and how many there will be if that is known."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferResult:
    """What `transfer` made.

    Args:
        output: the video.
        sidecar: JSON beside it: versions, settings, seed, hashes, timings.
        num_frames: as many as were driven.
        num_missing: frames of the driving video in which the person was not found.
        seconds: wall time by stage.
    """

    output: Path
    sidecar: Path
    num_frames: int
    num_missing: int
    seconds: dict[str, float]


def transfer(
    source: PathLike,
    driving: PathLike,
    output: PathLike | None = None,
    *,
    start: float = 0.0,
    end: float | None = None,
    fps: str = "source",
    person: str = "largest",
    source_person: str = "largest",
    preset: Preset = "fast",
    background: str = "original",
    smooth: float = 0.5,
    generator: GeneratorName = "articulated",
    matte: Matte = "u2net",
    joints: PathLike | None = None,
    audio: bool = True,
    side_by_side: bool = False,
    device: Device = "auto",
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> TransferResult:
    """Let the person in a photo do the dance of a video.

    Args:
        source: photo of a person. A real alpha channel is used as the matte.
        driving: video (or GIF, or folder of pictures) of somebody dancing, or a pose track (NPZ).
        output: what to write; the name decides the format: .mp4 .m4v .mkv (H.264), .webm (VP9),
            .mov (ProRes 4444), .gif, a folder of PNG frames. `SOURCE--DRIVING.mp4` by default.
        start: where the dance starts, in seconds.
        end: where it ends, in seconds; the end of the video by default.
        fps: frame rate: `source` keeps the video's exact frames and times, or a number.
        person: who drives if there are several: `largest`, a number from the left, or `x,y`.
        source_person: whom to take if the photo shows several, in the same way.
        preset: `fast` (long side at most 1280) or `hd` (1920, slower and better encoding).
        background: `original`, `blur`, `driving` (the video's scene without its dancer, for a
            camera that stands still), `transparent`, a colour or a picture.
        smooth: 0 (every jitter kept) to 1 (very smooth).
        generator: what re-renders the person.
        matte: `u2net`, or `fast`: the tracker's rough mask.
        joints: JSON file with corrected joints of the photo, as `preview` writes it.
        audio: keep the sound of the driving video.
        side_by_side: driving video, photo and result next to each other.
        device: where to compute.
        seed: of everything that is drawn at random.
        resume: go on where an interrupted run stopped.
        overwrite: replace an existing output.
        progress: called with the stage, what is done, and how much there is if known.

    Returns:
        Where the result is, and how it came about.

    Raises:
        InputError: something given cannot be used; the message says what and how to mend it.
        FileNotFoundError: there is no such photo or video.
    """
    report = progress or silent
    clock = _Clock()
    settings: dict[str, Any] = {
        "start": start, "end": end, "fps": fps, "person": person, "source_person": source_person,
        "preset": preset, "background": background, "smooth": smooth, "generator": generator,
        "matte": matte, "joints": None if joints is None else str(joints), "audio": audio,
        "side_by_side": side_by_side, "device": device, "seed": seed,
    }  # fmt: skip
    # not made a Path: a slash at the end means a folder of pictures
    output = output if output is not None else default_output(source, driving)
    values = _check(settings | {"overwrite": overwrite}, source, driving, output)
    inputs = {"source": source, "driving": driving, "joints": joints,
              "background": _picture_of(background)}  # fmt: skip

    report("photo", 0, 3)
    driver = Driver.open(driving, start, end, fps, person)
    corrections = read_corrections(joints) if joints is not None else None
    photo = read_photo(source, max_side=values.max_side)
    with contextlib.ExitStack() as stack:
        # tracking starts while the photo is still being taken apart
        tracking = Prefetch(driver.samples(), depth=4 * BLOCK_FRAMES, name="track")
        samples = stack.enter_context(tracking)
        # so does the import of torch, seconds on their own
        threading.Thread(target=_import_generators, daemon=True).start()
        pose, mask = locate(
            photo, person=parse_person(source_person, "--source-person"), corrections=corrections
        )
        report("photo", 1, 3)
        subject = build_subject(
            photo, pose, mask, matte=matte, with_plate=background in ("original", "blur")
        )
        if background == "driving":
            backdrop = cover(_scene(driver, max(photo.size_hw)), photo.size_hw)
        else:
            backdrop = make_background(background, subject.plate)
        report("photo", 2, 3)
        puppet = _make_generator(generator, subject, resolve_device(device), smooth)
        report("photo", 3, 3)
        clock.lap("photo")

        head, retargeting = calibrate_driver(samples, driver, pose, smooth, report)
        clock.lap("track")
        panels = _Panels(photo, driver) if side_by_side else None
        size_hw = _output_size(photo, panels)
        writer = stack.enter_context(
            VideoWriter.open(
                output,
                size_hw=size_hw,
                fps=driver.fps,
                time_base=driver.time_base,
                has_alpha=background == "transparent",
                crf=values.crf,
                preset=values.encoder,
                overwrite=overwrite,
                resume=resume,
                keep_parts=True,
                fingerprint=sidecar.fingerprint(settings, inputs.values()),
                metadata=sidecar.tags(),
            )
        )
        skip = writer.num_finished_frames
        if skip:
            _LOG.info("going on after frame %d of an interrupted run", skip)
        counts = _Counts()
        targets = _targets(
            _chain(head, samples), driver, retargeting, smooth, puppet.margin_frames, counts
        )
        images = _render(targets, puppet, backdrop, photo, panels, skip)
        images = stack.enter_context(Prefetch(images, depth=8, name="render"))
        stack.callback(tracking.stop)  # first of all: the renderer may be waiting for a pose
        total = driver.num_frames
        number, moment = 0, Fraction(0)
        for number, (image, moment) in enumerate(images, 1):
            if image is not None:
                writer.write(image, moment)
            report("render", number, None if total is None else max(total, number))
        if number == 0:
            raise InputError(f"--driving: {Path(driving).name} has no frames in the range")
        report("render", number, number)
        clock.lap("render")
        report("finish", 0, 1)
        sound = None
        if audio and driver.has_audio and can_hold_audio(output):
            sound = AudioRange(path=driving, start_seconds=start)
        written = writer.finish(audio=sound, end_seconds=driver.end_of_last(number, moment))
        clock.lap("finish")
        report("finish", 1, 1)
    path = sidecar.write(
        written, settings=settings, inputs=inputs,
        num_frames=number, num_missing=counts.missing, seconds=clock.seconds,
    )  # fmt: skip
    return TransferResult(
        output=written, sidecar=path, num_frames=number, num_missing=counts.missing,
        seconds=clock.seconds,
    )  # fmt: skip


def default_output(source: PathLike, driving: PathLike) -> Path:
    """`SOURCE--DRIVING.mp4` in the present folder."""
    return Path(f"{Path(source).stem}--{Path(driving).stem}.mp4")


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


def resolve_device(name: str) -> str:
    """`auto` takes CUDA, then MPS, then the CPU.

    Raises:
        InputError: the device is not there.
    """
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(),
             "mps": torch.backends.mps.is_available()}  # fmt: skip
    if name == "auto":
        return next(n for n in ("cuda", "mps", "cpu") if there[n])
    if not there[name]:
        have = ", ".join(n for n, ok in there.items() if ok)
        raise InputError(f"--device: {name} is not available here; choose auto or one of {have}")
    return name


def silent(stage: str, done: int, total: int | None) -> None:
    """The progress callback of those who want none."""
    del stage, done, total


class _Clock:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now


@dataclasses.dataclass
class _Counts:
    missing: int = 0


def _check(
    settings: dict[str, Any], source: PathLike, driving: PathLike, output: PathLike
) -> PresetValues:
    """Everything that can be known to be wrong before any work is done."""
    check_inputs(source, driving)
    target = parse_target(output)
    for option, path in (("--source", source), ("--driving", driving)):
        if target.path.exists() and target.path.samefile(path):
            raise InputError(f"--output must not be the file of {option}, {path}; choose another")
    for option, choices in (
        ("preset", tuple(PRESETS)), ("matte", MATTES), ("generator", GENERATORS),
        ("device", DEVICES),
    ):  # fmt: skip
        if settings[option] not in choices:
            raise InputError(
                f"--{option} must be one of {', '.join(choices)}; got {settings[option]!r}"
            )
    check_smooth(settings["smooth"])
    if (existing := target.existing()) and not settings["overwrite"]:
        raise InputError(
            f"--output: {existing[0]} already exists; choose another name or --overwrite"
        )
    check_background(settings["background"])
    if settings["background"] == "transparent":
        if not can_be_transparent(output):
            raise InputError(
                f"--background transparent: {target.path.name} cannot be transparent; "
                "name the output .webm, .mov, .gif or a folder"
            )
        if settings["side_by_side"]:
            raise InputError(
                "--side-by-side needs a background; leave out --background transparent"
            )
    if settings["background"] == "driving" and _is_track(driving):
        raise InputError("--background driving needs a driving video, not a pose track")
    if settings["side_by_side"] and _is_track(driving):
        raise InputError("--side-by-side needs a driving video, not a pose track")
    resolve_device(settings["device"])
    return PRESETS[settings["preset"]]


def check_inputs(source: PathLike | None, driving: PathLike) -> None:
    """Photo and video must be there.

    Raises:
        FileNotFoundError: one is not.
    """
    for option, path in (("--source", source), ("--driving", driving)):
        if path is not None and not Path(path).exists():
            raise FileNotFoundError(f"{option}: no such file: {path}")


def check_smooth(smooth: float) -> None:
    """Strength of smoothing, before any work is done.

    Raises:
        InputError: it is outside of [0, 1].
    """
    if not 0 <= smooth <= 1:
        raise InputError(f"--smooth must lie in 0 to 1, got {smooth}")


def _picture_of(background: str) -> Path | None:
    """The file that a background names, if it is one."""
    if background in KINDS or not Path(background).is_file():
        return None
    return Path(background)


def _is_track(path: PathLike) -> bool:
    return Path(path).suffix.lower() == ".npz"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Driver:
    """Where the motion comes from: a video that is tracked, or a track.

    Args:
        path: the video, or the NPZ file.
        start, end: the driven range in seconds.
        rate: to resample to; None keeps the frames of the video.
        person: whom to follow; a point is in pixels of the frames that are tracked.
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
        if _is_track(path):
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
        scale = min(1.0, TRACKING_SIDE / max(info.size_hw))
        uneven = info.is_variable and rate is None
        fine = Fraction(1, 1_000_000) <= info.time_base <= Fraction(1, 100)
        return cls(
            path=Path(path), start=start, end=end, rate=rate, person=_scaled(chosen, scale),
            track=None, fps=rate or info.fps, size_hw=info.size_hw, num_frames=size,
            has_audio=info.has_audio, time_base=info.time_base if uneven and fine else None,
            seconds=shown if uneven else None,
        )  # fmt: skip

    def frames(self, max_side: int) -> Iterator[Frame]:
        """The driven frames once more, for those who show them."""
        return read_frames(
            self.path, start_seconds=self.start, end_seconds=self.end, fps=self.rate,
            max_side=max_side,
        )  # fmt: skip

    def samples(self) -> Iterator[Sample]:
        """One sample a frame, with the time and the size of the picture it refers to."""
        if self.track is not None:
            yield from _samples_of(self.track)
            return
        from motion_transfer.pose.tracker import track_people

        with Prefetch(self.frames(TRACKING_SIDE), depth=8, name="decode") as frames:
            size_hw = (0, 0)

            def watched() -> Iterator[Frame]:
                nonlocal size_hw
                for frame in frames:
                    size_hw = (frame.rgb.shape[0], frame.rgb.shape[1])
                    yield frame

            for sample in track_people(watched(), person=self.person):
                light = dataclasses.replace(
                    PoseSample.absent(time=sample.time), xy=sample.xy, depth=sample.depth,
                    confidence=sample.confidence, world=sample.world, present=sample.present,
                )  # fmt: skip
                yield Sample(pose=light, size_hw=size_hw)

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
    report: Progress,
) -> tuple[list[Sample], Retargeting]:
    """Take the first seconds of the dance and measure driver against photo.

    Args:
        samples: of the driver; as many as needed are taken.
        driver: where they come from.
        pose: of the photo.
        smooth: strength of smoothing.
        report: called while samples come in.

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
    return head, calibrate(track, pose)


def _chain(head: list[Sample], rest: Iterator[Sample]) -> Iterator[Sample]:
    yield from head
    yield from rest


def _targets(
    samples: Iterable[Sample],
    driver: Driver,
    retargeting: Retargeting,
    smooth: float,
    extra: int,
    counts: _Counts,
) -> Iterator[tuple[PoseTrack, slice, list[Fraction]]]:
    """Smoothed and retargeted blocks, each with up to `extra` frames on either side."""
    rate = float(driver.fps)
    margin = support_frames(driver.fps) + margin_frames(rate) + extra
    for block, wanted in blocks_with_margins(samples, size=BLOCK_FRAMES, margin=margin):
        counts.missing += sum(not s.pose.present for s in block[wanted])
        track = retarget(smooth_track(driver.stack(block), strength=smooth), retargeting)
        first = max(0, wanted.start - extra)
        last = min(len(track), wanted.stop + extra)
        times = [s.pose.time or Fraction(0) for s in block[wanted]]
        yield track[first:last], slice(wanted.start - first, wanted.stop - first), times


def _render(
    targets: Iterable[tuple[PoseTrack, slice, list[Fraction]]],
    puppet: Any,
    backdrop: np.ndarray | None,
    photo: Photo,
    panels: _Panels | None,
    skip: int,
) -> Iterator[tuple[np.ndarray | None, Fraction]]:
    """Finished pictures and their times; None for frames that an earlier run has finished."""
    from motion_transfer.compositing import over, straight_rgba

    state, number = None, 0
    for track, wanted, times in targets:
        plan, state = puppet.plan(track, wanted, state)
        for k, moment in enumerate(times):
            panel = None if panels is None else panels.next()
            number += 1
            if number <= skip:
                yield None, moment
                continue
            drawn = puppet.draw(plan, k)
            if backdrop is None:
                yield straight_rgba(drawn, photo.size_hw), moment
                continue
            image = over(drawn, backdrop)
            yield (image if panel is None else np.concatenate([panel, image], 1)), moment


def _scene(driver: Driver, max_side: int) -> np.ndarray:
    """The driving video's scene without its dancer, (H, W, 3) uint8."""
    end = float(probe(driver.path).duration_seconds) if driver.end is None else driver.end
    step = (end - driver.start) / SCENE_FRAMES
    times = [driver.start + step * (k + 0.5) for k in range(SCENE_FRAMES)]
    frames = sample_frames(driver.path, times_seconds=times, max_side=max_side)
    tracked_side = min(TRACKING_SIDE, max(driver.size_hw))
    person = _scaled(driver.person, max(frames[0].shape[:2]) / tracked_side)
    blazepose, masks = BlazePose(), []
    for frame in frames:
        mask = np.zeros(frame.shape[:2], np.float32)
        people = find_people(frame, blazepose=blazepose, tiles=False)
        with contextlib.suppress(NoPersonError):  # fewer people in this frame
            if people:
                mask = choose_person(people, person).sample.mask(frame.shape[:2])
        masks.append(mask)
    return scene_plate(frames, masks)


class _Panels:
    """Driving video and photo, to be put to the left of the result."""

    def __init__(self, photo: Photo, driver: Driver) -> None:
        self._height = photo.size_hw[0]
        self._photo = photo.rgb
        self._width = max(2, round(driver.size_hw[1] * self._height / driver.size_hw[0]))
        self._frames = driver.frames(max(self._height, self._width))

    @property
    def width(self) -> int:
        """Of both panels together, pixels."""
        return self._width + self._photo.shape[1]

    def next(self) -> np.ndarray:
        """(H, width, 3) for the next frame."""
        frame = cover(next(self._frames).rgb, (self._height, self._width))
        return np.concatenate([frame, self._photo], 1)


def _output_size(photo: Photo, panels: _Panels | None) -> tuple[int, int]:
    height, width = photo.size_hw
    return height, width + (panels.width if panels is not None else 0)


def _import_generators() -> None:
    importlib.import_module("motion_transfer.generator.articulated")


def _make_generator(name: str, subject: Subject, device: str, smooth: float) -> Any:
    from motion_transfer.generator.articulated import ArticulatedGenerator, Source

    source = Source(rgb=subject.rgb, alpha=subject.alpha, pose=subject.pose)
    makers: dict[str, Callable[[], Any]] = {
        "articulated": functools.partial(
            ArticulatedGenerator, source, device=device, flow_smoothing=smooth
        )
    }
    return makers[name]()
