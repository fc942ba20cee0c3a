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
import logging
import math
import time
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
from motion_transfer.person.background import check_background, cover, make_background
from motion_transfer.person.subject import Subject, build_subject, locate, read_corrections
from motion_transfer.pose.people import PersonChoice, PoseSample
from motion_transfer.pose.retarget import Retargeting, calibrate, margin_frames, retarget
from motion_transfer.pose.smooth import smooth_track, support_frames
from motion_transfer.pose.track import PoseTrack
from motion_transfer.pose.tracker import stack_samples
from motion_transfer.streams import Prefetch, blocks_with_margins

_LOG = logging.getLogger(__name__)

PathLike = str | Path
CALIBRATION_SECONDS = 10
BLOCK_FRAMES = 96
TRACKING_SIDE = 720  # longest side at which the driving video is looked at

Preset = Literal["fast", "hd"]
Device = Literal["auto", "cpu", "cuda", "mps"]
GeneratorName = Literal["articulated"]
Matte = Literal["u2net", "fast"]


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
    "fast": PresetValues(max_side=1280, encoder="veryfast", crf=20),
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
        background: `original`, `blur`, `driving`, `transparent`, a colour or a picture.
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
    report = progress or _silent
    clock = _Clock()
    settings: dict[str, Any] = {
        "start": start, "end": end, "fps": fps, "person": person, "source_person": source_person,
        "preset": preset, "background": background, "smooth": smooth, "generator": generator,
        "matte": matte, "joints": None if joints is None else str(joints), "audio": audio,
        "side_by_side": side_by_side, "device": device, "seed": seed,
    }  # fmt: skip
    output = Path(output) if output is not None else default_output(source, driving)
    values = _check(settings | {"overwrite": overwrite}, source, driving, output)
    if side_by_side and background == "transparent":
        raise InputError("--side-by-side needs a background; leave out --background transparent")

    report("photo", 0, 3)
    photo = read_photo(source, max_side=values.max_side)
    driver = _Driver.open(driving, start, end, fps, parse_person(person, "--person"))
    corrections = read_corrections(joints) if joints is not None else None
    with contextlib.ExitStack() as stack:
        # tracking starts while the photo is still being taken apart
        samples = stack.enter_context(
            Prefetch(driver.samples(), depth=4 * BLOCK_FRAMES, name="track")
        )
        blazepose = driver.second_blazepose()
        pose, mask = locate(
            photo, person=parse_person(source_person, "--source-person"),
            corrections=corrections, blazepose=blazepose,
        )  # fmt: skip
        report("photo", 1, 3)
        subject = build_subject(photo, pose, mask, matte=matte)
        backdrop = make_background(background, subject.plate)
        report("photo", 2, 3)
        puppet = _make_generator(generator, subject, resolve_device(device), smooth)
        report("photo", 3, 3)
        clock.lap("photo")

        head, retargeting = _calibrate(samples, driver, pose, smooth)
        clock.lap("calibrate")
        panels = _Panels(photo, driver) if side_by_side else None
        size_hw = _output_size(photo, panels)
        writer = stack.enter_context(
            VideoWriter.open(
                output,
                size_hw=size_hw,
                fps=driver.fps,
                has_alpha=background == "transparent",
                crf=values.crf,
                preset=values.encoder,
                overwrite=overwrite,
                resume=resume,
                fingerprint=sidecar.fingerprint(settings, [source, driving, joints]),
                metadata=sidecar.tags(),
            )
        )
        skip = writer.num_finished_frames
        if skip:
            _LOG.info("going on after frame %d of an interrupted run", skip)
        counts = _Counts()
        targets = _targets(_chain(head, samples), driver, retargeting, smooth, puppet, counts)
        images = _render(targets, puppet, backdrop, driver, photo, panels, background, skip)
        images = stack.enter_context(Prefetch(images, depth=8, name="render"))
        total = driver.num_frames
        number = 0
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
        written = writer.finish(audio=sound, end_seconds=driver.end_of_last(number))
        clock.lap("finish")
        report("finish", 1, 1)
    path = sidecar.write(
        written, settings=settings,
        inputs={"source": source, "driving": driving, "joints": joints},
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
        if len(parts) == 2:
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
        rate = Fraction(text)
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
    if not there.get(name, False):
        have = ", ".join(n for n, ok in there.items() if ok)
        raise InputError(f"--device: {name} is not available here; choose auto or one of {have}")
    return name


def _silent(stage: str, done: int, total: int | None) -> None:
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
    settings: dict[str, Any], source: PathLike, driving: PathLike, output: Path
) -> PresetValues:
    """Everything that can be known to be wrong before any work is done."""
    for option, path in (("--source", source), ("--driving", driving)):
        if not Path(path).exists():
            raise FileNotFoundError(f"{option}: no such file: {path}")
    existing = parse_target(output).existing()
    if not 0 <= settings["smooth"] <= 1:
        raise InputError(f"--smooth must lie in 0 to 1, got {settings['smooth']}")
    if settings["preset"] not in PRESETS:
        raise InputError(f"--preset must be one of {', '.join(PRESETS)}; got {settings['preset']}")
    if existing and not settings["overwrite"]:
        raise InputError(
            f"--output: {existing[0]} already exists; choose another name or --overwrite"
        )
    check_background(settings["background"])
    if settings["background"] == "transparent" and not can_be_transparent(output):
        raise InputError(
            f"--background transparent: {output.name} cannot be transparent; "
            "name the output .webm, .mov, .gif or a folder"
        )
    if settings["background"] == "driving" and _is_track(driving):
        raise InputError("--background driving needs a driving video, not a pose track")
    if settings["side_by_side"] and _is_track(driving):
        raise InputError("--side-by-side needs a driving video, not a pose track")
    return PRESETS[settings["preset"]]


def _is_track(path: PathLike) -> bool:
    return Path(path).suffix.lower() == ".npz"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Driver:
    """Where the motion comes from: a video that is tracked, or a track."""

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

    @classmethod
    def open(
        cls, path: PathLike, start: float, end: float | None, fps: str, person: PersonChoice
    ) -> _Driver:
        rate = parse_fps(fps)
        if _is_track(path):
            if rate is not None:
                raise InputError("--fps: a pose track keeps its own rate; leave it out")
            track = PoseTrack.load(path)
            first, last = np.searchsorted(track.times_seconds, [start, end or math.inf])
            track = track[first:last]
            return cls(
                path=Path(path), start=start, end=end, rate=None, person=person, track=track,
                fps=track.fps, size_hw=track.size_hw, num_frames=len(track), has_audio=False,
            )  # fmt: skip
        info = probe(path)
        shown = float(min(end or math.inf, info.duration_seconds)) - start
        whole = start == 0 and end is None and rate is None
        size = info.num_frames if whole else max(1, round(shown * float(rate or info.fps)))
        scale = min(1.0, TRACKING_SIDE / max(info.size_hw))
        return cls(
            path=Path(path), start=start, end=end, rate=rate, person=_scaled(person, scale),
            track=None, fps=rate or info.fps, size_hw=info.size_hw, num_frames=size,
            has_audio=info.has_audio,
        )  # fmt: skip

    def frames(self, max_side: int) -> Iterator[Frame]:
        """The driven frames once more, for those who show them."""
        return read_frames(
            self.path, start_seconds=self.start, end_seconds=self.end, fps=self.rate,
            max_side=max_side,
        )  # fmt: skip

    def samples(self) -> Iterator[_Sample]:
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
                yield _Sample(pose=light, size_hw=size_hw)

    def second_blazepose(self) -> Any:
        """Networks for the photo; those of the tracker are busy in their own thread."""
        from motion_transfer.pose.blazepose import BlazePose

        return BlazePose()

    def stack(self, samples: list[_Sample]) -> PoseTrack:
        """Consecutive samples as a track."""
        return stack_samples([s.pose for s in samples], fps=self.fps, size_hw=samples[0].size_hw)

    def end_of_last(self, num_frames: int) -> Fraction | None:
        """When the last frame ends, where the rate says it."""
        return Fraction(num_frames) / self.rate if self.rate is not None else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Sample:
    pose: PoseSample
    size_hw: tuple[int, int]


def _scaled(person: PersonChoice, scale: float) -> PersonChoice:
    return (person[0] * scale, person[1] * scale) if isinstance(person, tuple) else person


def _samples_of(track: PoseTrack) -> Iterator[_Sample]:
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
        yield _Sample(pose=pose, size_hw=track.size_hw)


def _calibrate(
    samples: Iterator[_Sample], driver: _Driver, pose: PoseTrack, smooth: float
) -> tuple[list[_Sample], Retargeting]:
    """Take the first seconds of the dance, measure driver against photo; gives them back."""
    head: list[_Sample] = []
    wanted, seen = math.ceil(CALIBRATION_SECONDS * driver.fps), 0
    for sample in samples:
        head.append(sample)
        seen += sample.pose.present
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


def _chain(head: list[_Sample], rest: Iterator[_Sample]) -> Iterator[_Sample]:
    yield from head
    yield from rest


def _targets(
    samples: Iterable[_Sample],
    driver: _Driver,
    retargeting: Retargeting,
    smooth: float,
    puppet: Any,
    counts: _Counts,
) -> Iterator[tuple[PoseTrack, slice, list[Fraction]]]:
    """Smoothed and retargeted blocks, each with the margins that the generator wants."""
    rate = float(driver.fps)
    margin = support_frames(driver.fps) + margin_frames(rate) + puppet.margin_frames
    for block, wanted in blocks_with_margins(samples, size=BLOCK_FRAMES, margin=margin):
        counts.missing += sum(not s.pose.present for s in block[wanted])
        track = retarget(smooth_track(driver.stack(block), strength=smooth), retargeting)
        first = max(0, wanted.start - puppet.margin_frames)
        last = min(len(track), wanted.stop + puppet.margin_frames)
        times = [s.pose.time or Fraction(0) for s in block[wanted]]
        yield track[first:last], slice(wanted.start - first, wanted.stop - first), times


def _render(
    targets: Iterable[tuple[PoseTrack, slice, list[Fraction]]],
    puppet: Any,
    backdrop: np.ndarray | None,
    driver: _Driver,
    photo: Photo,
    panels: _Panels | None,
    background: str,
    skip: int,
) -> Iterator[tuple[np.ndarray | None, Fraction]]:
    """Finished pictures and their times; None for frames that an earlier run has finished."""
    from motion_transfer.compositing import over, straight_rgba

    behind: Iterator[Frame] | None = None
    if background == "driving":
        behind = driver.frames(max(photo.size_hw))
    state, number = None, 0
    for track, wanted, times in targets:
        plan, state = puppet.plan(track, wanted, state)
        for k, moment in enumerate(times):
            back = backdrop
            if behind is not None:
                back = cover(next(behind).rgb, photo.size_hw)
            panel = None if panels is None else panels.next()
            number += 1
            if number <= skip:
                yield None, moment
                continue
            drawn = puppet.draw(plan, k)
            if back is None:
                yield straight_rgba(drawn, photo.size_hw), moment
                continue
            image = over(drawn, back)
            yield (image if panel is None else np.concatenate([panel, image], 1)), moment


class _Panels:
    """Driving video and photo, to be put to the left of the result."""

    def __init__(self, photo: Photo, driver: _Driver) -> None:
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


def _make_generator(name: str, subject: Subject, device: str, smooth: float) -> Any:
    from motion_transfer.generator.articulated import ArticulatedGenerator, Source

    source = Source(rgb=subject.rgb, alpha=subject.alpha, pose=subject.pose)
    makers: dict[str, Callable[[], Any]] = {
        "articulated": functools.partial(
            ArticulatedGenerator, source, device=device, flow_smoothing=smooth
        )
    }
    if name not in makers:
        raise InputError(f"--generator must be one of {', '.join(makers)}; got {name}")
    return makers[name]()
