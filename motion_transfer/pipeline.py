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
import importlib
import itertools
import logging
import threading
import time
import typing
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from motion_transfer import sidecar
from motion_transfer.driver import (
    Driver,
    Progress,
    calibrate_driver,
    check_placement,
    check_share,
    find_scene,
    is_track,
    parse_person,
    silent,
)
from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.generator.generators import GeneratorName, make_generator
from motion_transfer.generator.shipped import SHIPPED, find_weights
from motion_transfer.media.audio import AudioRange
from motion_transfer.media.encode import VideoWriter
from motion_transfer.media.formats import can_be_transparent, can_hold_audio, parse_target
from motion_transfer.media.photo import read_photo
from motion_transfer.person.background import KINDS, check_background, cover, make_background
from motion_transfer.person.subject import (
    MATTES,
    Subject,
    build_subject,
    locate,
    read_corrections,
)
from motion_transfer.rendering import BLOCK_FRAMES, Counts, Panels, render, target_blocks
from motion_transfer.streams import Prefetch

_LOG = logging.getLogger(__name__)

PathLike = str | Path
Watch = Callable[[np.ndarray], None]

Preset = Literal["fast", "hd"]
Device = Literal["auto", "cpu", "cuda", "mps"]
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
    travel: float = 1.0,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    generator: GeneratorName = "refined",
    weights: PathLike | None = None,
    also: Sequence[PathLike] = (),
    matte: Matte = "u2net",
    joints: PathLike | None = None,
    audio: bool = True,
    side_by_side: bool = False,
    device: Device = "auto",
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
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
        travel: how much of the dancer's way to the sides is gone, 0 (on the spot) to 1.
        scale: size of the person in the picture; 1 is as in the photo.
        shift: the person to the right and down, in shares of the picture's width and height.
        generator: what re-renders the person: `articulated` moves the photo's pixels like a paper
            puppet, `refined` corrects that with a small network, `pose-flow` is learned.
        weights: file of the learned generator's networks, as `export` writes it; by default the
            one that ships.
        also: another photo of the same person, from the back for instance; may be repeated.
        matte: `u2net`, or `fast`: the tracker's rough mask.
        joints: JSON file with corrected joints of the photo, as `preview` writes it.
        audio: keep the sound of the driving video.
        side_by_side: driving video, photo and result next to each other.
        device: where to compute.
        seed: of everything that is drawn at random.
        resume: go on where an interrupted run stopped.
        overwrite: replace an existing output.
        progress: called with the stage, what is done, and how much there is if known.
        watch: called with every finished picture, (H, W, 3) or with alpha (H, W, 4) uint8.

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
        "preset": preset, "background": background, "smooth": smooth, "travel": travel,
        "scale": scale, "shift": list(shift),
        "generator": generator, "weights": None if weights is None else str(weights),
        "also": [str(path) for path in also], "matte": matte,
        "joints": None if joints is None else str(joints), "audio": audio,
        "side_by_side": side_by_side, "device": device, "seed": seed,
    }  # fmt: skip
    # not made a Path: a slash at the end means a folder of pictures
    output = output if output is not None else default_output(source, driving)
    values = _check(settings | {"overwrite": overwrite}, source, driving, output)
    inputs = {"source": source, "driving": driving, "joints": joints,
              "background": _picture_of(background),
              **{f"also {number}": path for number, path in enumerate(also, 1)}}  # fmt: skip
    if generator in SHIPPED:
        inputs["weights"] = find_weights(generator, weights)

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
        backdrop: np.ndarray | None
        if background == "driving":
            backdrop = cover(find_scene(driver, max(photo.size_hw)), photo.size_hw)
        else:
            backdrop = make_background(background, subject.plate)
        report("photo", 2, 3)
        others = [_other_photo(path, values.max_side, matte) for path in also]
        puppet = make_generator(
            generator, [subject, *others], device=resolve_device(device),
            flow_smoothing=smooth, weights=weights,
        )  # fmt: skip
        report("photo", 3, 3)
        clock.lap("photo")

        head, retargeting = calibrate_driver(
            samples, driver, pose, smooth, travel, report, scale=scale, shift=shift
        )
        clock.lap("track")
        panels = Panels(photo, driver) if side_by_side else None
        height, width = photo.size_hw
        size_hw = (height, width + (panels.width if panels is not None else 0))
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
        counts = Counts()
        targets = target_blocks(
            itertools.chain(head, samples),
            driver,
            retargeting,
            smooth,
            puppet.margin_frames,
            counts,
        )
        images = render(targets, puppet, backdrop, photo, panels, skip)
        images = stack.enter_context(Prefetch(images, depth=8, name="render"))
        stack.callback(tracking.stop)  # first of all: the renderer may be waiting for a pose
        total = driver.num_frames
        number, moment = 0, Fraction(0)
        for number, (image, moment) in enumerate(images, 1):
            if image is not None:
                writer.write(image, moment)
                if watch is not None:
                    watch(image)
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


class _Clock:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now


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
    check_share("--smooth", settings["smooth"])
    check_share("--travel", settings["travel"])
    check_placement(settings["scale"], settings["shift"])
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
    if settings["background"] == "driving" and is_track(driving):
        raise InputError("--background driving needs a driving video, not a pose track")
    if settings["side_by_side"] and is_track(driving):
        raise InputError("--side-by-side needs a driving video, not a pose track")
    if settings["generator"] not in SHIPPED and settings["weights"]:
        raise InputError(
            f"--weights is for --generator {' or '.join(SHIPPED)}; add that, or leave it out"
        )
    for path in settings["also"]:
        if not Path(path).exists():
            raise FileNotFoundError(f"--also: no such file: {path}")
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


def _picture_of(background: str) -> Path | None:
    """The file that a background names, if it is one."""
    if background in KINDS or not Path(background).is_file():
        return None
    return Path(background)


def _import_generators() -> None:
    importlib.import_module("motion_transfer.generator.refined")


def _other_photo(path: PathLike, max_side: int, matte: str) -> Subject:
    """Another photo of the person; nothing of its background is needed."""
    photo = read_photo(path, max_side=max_side)
    try:
        return build_subject(photo, *locate(photo), matte=matte, with_plate=False)
    except NoPersonError as error:
        raise NoPersonError(f"--also: {Path(path).name}: {error}") from error
