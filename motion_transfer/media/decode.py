"""Reading video: upright square-pixel RGB frames with exact times, one at a time.

`start_seconds`, `end_seconds` and `motion_transfer.media.audio` use the clock of `probe`: 0 is the
first picture.
"""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from motion_transfer.errors import MediaError
from motion_transfer.media.photo import decode_image
from motion_transfer.media.probe import (
    DEFAULT_FOLDER_FPS,
    Layout,
    VideoInfo,
    list_images,
    open_container,
    probe,
    probe_file,
    probe_folder,
    read_packets,
    video_stream,
)

__all__ = ["Frame", "VideoInfo", "fit_side", "probe", "read_frames"]

MAX_FPS = 1000
MAX_THREADS = 8  # more only cost memory: each holds a few frames


class Frame(NamedTuple):
    """One picture: `rgb` uint8 (H, W, 3), contiguous; `time` in seconds since the range's start."""

    rgb: np.ndarray
    time: Fraction


def read_frames(
    path: str | os.PathLike[str],
    *,
    start_seconds: float | Fraction = 0.0,
    end_seconds: float | Fraction | None = None,
    fps: Fraction | None = None,
    max_side: int | None = None,
) -> Iterator[Frame]:
    """Stream the frames of a range, upright, in RGB; memory does not grow with length.

    Args:
        path: a video, an animated GIF or PNG, or a folder of images in natural order.
        start_seconds: where the range starts; the frame nearest to it comes first, at time 0.
        end_seconds: where it ends (exclusive); None is the end of the video.
        fps: None keeps the source's frames and their exact, maybe variable, times. A rate
            resamples to it: frame k is what is shown at k / fps, so the duration is kept. For a
            folder it is the rate of the images themselves.
        max_side: longest side in pixels; larger frames are scaled down, never up.

    Returns:
        An iterator over the frames. Arguments and file are checked before it is returned.

    Raises:
        FileNotFoundError: there is no such file.
        MediaError: not a video, a range outside of it, or nothing in it can be decoded.
    """
    path = Path(path)
    if fps is not None:
        fps = Fraction(fps)
        if not 0 < fps <= MAX_FPS:
            raise MediaError(f"fps must be above 0 and at most {MAX_FPS}, got {fps}")
    if max_side is not None and max_side < 2:
        raise MediaError(f"max_side must be at least 2 px, got {max_side}")
    if path.is_dir():
        info = probe_folder(path, fps or DEFAULT_FOLDER_FPS)
        start, end = _check_range(info, start_seconds, end_seconds)
        return _read_folder(info, start, end, max_side)
    info, layout = probe_file(path)
    start, end = _check_range(info, start_seconds, end_seconds)
    frames = _cut(_decode(info, start), info, start, end)
    if fps is not None:
        frames = _resample(frames, info, end - start, fps)
    return _convert(frames, layout, max_side)


def _check_range(
    info: VideoInfo, start_seconds: float | Fraction, end_seconds: float | Fraction | None
) -> tuple[Fraction, Fraction]:
    """The range as exact seconds; an end within a frame of the video's end is its end."""
    name, duration = info.path.name, info.duration_seconds
    for label, value in (("start", start_seconds), ("end", end_seconds)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise MediaError(f"{label} must be a time in seconds, at least 0, got {value}")
    start = Fraction(start_seconds).limit_denominator(1_000_000)
    if start >= duration:
        raise MediaError(
            f"start must lie before the end of {name} ({float(duration):.3f} s), "
            f"got {float(start):g}"
        )
    if end_seconds is None:
        return start, duration
    end = Fraction(end_seconds).limit_denominator(1_000_000)
    if start >= end:
        raise MediaError(f"end must be later than start, got {float(start):g} to {float(end):g}")
    if end > duration + max(1 / info.fps, Fraction(1, 20)):
        raise MediaError(
            f"end must lie within {name} ({float(duration):.3f} s), got {float(end):g}; "
            "leave it out to go to the end"
        )
    return start, min(end, duration)


# --- frames of a file ----------------------------------------------------------------------------


def _decode(info: VideoInfo, start: Fraction) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Decoded frames with their time since the first picture, from a key frame before `start`."""
    seek = start > 0
    for frame, time in _decode_from(info, start if seek else None):
        if seek and time > start:  # the index led past it: read from the beginning
            break
        seek = False
        yield frame, time
    if seek:
        yield from _decode_from(info, None)


def _decode_from(
    info: VideoInfo, start: Fraction | None
) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    num_broken = num_decoded = 0
    last = Fraction(-1)
    with open_container(info.path) as container:
        stream = video_stream(container, info.path)
        stream.thread_type = "AUTO"
        stream.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
        if start is not None:
            target = math.floor((start + info.start_seconds) / info.time_base)
            with contextlib.suppress(av.FFmpegError):  # not seekable: read from the beginning
                container.seek(target, stream=stream, backward=True)
        for packet in read_packets(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                num_broken += 1
                continue
            for frame in frames:
                if frame.pts is not None and frame.time_base is not None:
                    time = frame.pts * frame.time_base - info.start_seconds
                else:
                    time = last + 1 / info.fps if num_decoded else Fraction(0)
                if not info.is_variable:
                    time = _undo_rounding(time, info)
                if time <= last:
                    num_broken += 1
                    continue
                num_decoded += 1
                last = time
                yield frame, time
    if num_broken:
        warnings.warn(
            f"{info.path.name}: {num_broken} damaged pictures were left out", stacklevel=2
        )


def _undo_rounding(time: Fraction, info: VideoInfo) -> Fraction:
    """The exact k / fps that a container with a coarse clock (1 ms in WebM) has rounded."""
    exact = round(time * info.fps) / info.fps
    return exact if abs(exact - time) <= max(info.time_base, Fraction(1, 1000)) else time


def snap_seconds(info: VideoInfo, gap_seconds: Fraction) -> Fraction:
    """How much too early a picture may come, so that a time means the nearest picture.

    Args:
        info: the video.
        gap_seconds: time between the picture before and this one.

    Returns:
        Half the gap; at most 1/20 s where frames are uneven, because a long still picture ends
        when the next one comes and not half-way.
    """
    return min(gap_seconds / 2, Fraction(1, 20)) if info.is_variable else gap_seconds / 2


def _cut(
    frames: Iterator[tuple[av.VideoFrame, Fraction]],
    info: VideoInfo,
    start: Fraction,
    end: Fraction,
) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Frames of [start, end), to the nearest frame, timed from the first of them.

    Where no frame begins near `start` (a long still picture), the one on display comes at time 0.
    """
    if end >= info.duration_seconds:
        stop = None
    else:
        stop = end if info.is_variable else end - 1 / info.fps / 2
    origin: Fraction | None = None
    before: tuple[av.VideoFrame, Fraction] | None = None
    for frame, time in frames:
        if origin is None and time < start:
            before = frame, time
            continue
        if origin is None:
            origin = time
            snap = snap_seconds(info, time - before[1]) if before else Fraction(0)
            if before is not None and time - start > snap:
                origin = before[1] if start - before[1] <= snap else start
                yield before[0], Fraction(0)
            elif stop is not None and time >= stop:  # a range shorter than one frame
                yield frame, Fraction(0)
        if stop is not None and time >= stop:
            return
        yield frame, time - origin
    if origin is None and before is not None:  # the range starts within the last frame
        yield before[0], Fraction(0)
    elif origin is None:
        raise MediaError(
            f"{info.path.name}: the range {float(start):g} to {float(end):g} s must have pictures "
            "that can be decoded, got none; play it to check, then export it as H.264 MP4"
        )


def _resample(
    frames: Iterator[tuple[av.VideoFrame, Fraction]],
    info: VideoInfo,
    duration: Fraction,
    fps: Fraction,
) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Constant rate: at k / fps the picture that is nearest, or on display for long."""
    num_out = max(1, round(duration * fps))
    shown: av.VideoFrame | None = None
    shown_since = Fraction(0)
    k = 0
    for frame, time in frames:
        switch = time - snap_seconds(info, time - shown_since)
        while shown is not None and k < num_out and k / fps < switch:
            yield shown, k / fps
            k += 1
        shown, shown_since = frame, time
    while shown is not None and k < num_out:
        yield shown, k / fps
        k += 1


def _convert(
    frames: Iterator[tuple[av.VideoFrame, Fraction]], layout: Layout, max_side: int | None
) -> Iterator[Frame]:
    """Stored pictures -> displayed RGB; swscale knows matrix, range and depth."""
    scaler, converter = VideoReformatter(), VideoReformatter()  # they keep their tables
    width, height = fit_side(layout.scaled_wh, max_side)
    flip = {(True, True): -1, (True, False): 1, (False, True): 0}.get(
        (layout.flip_horizontally, layout.flip_vertically)
    )
    last_frame: av.VideoFrame | None = None
    rgb: np.ndarray | None = None
    for frame, time in frames:
        if frame is not last_frame or rgb is None:
            rgb = _to_rgb(scaler, converter, frame, width, height)
            if layout.transposed:
                rgb = cv2.transpose(rgb)
            if flip is not None:
                rgb = cv2.flip(rgb, flip)
            last_frame = frame
            yield Frame(rgb, time)
        else:
            yield Frame(rgb.copy(), time)


def _to_rgb(
    scaler: VideoReformatter,
    converter: VideoReformatter,
    frame: av.VideoFrame,
    width: int,
    height: int,
) -> np.ndarray:
    if frame.format.name in ("yuv420p", "yuvj420p") and (frame.width, frame.height) != (
        width,
        height,
    ):  # size first, colour second: less than half the time of both in one pass
        frame = scaler.reformat(
            frame, width=width, height=height, interpolation=Interpolation.BILINEAR, threads=1
        )
    return converter.reformat(
        frame,
        width=width,
        height=height,
        format="rgb24",
        interpolation=Interpolation.BILINEAR,
        threads=1,
    ).to_ndarray()


def fit_side(size_wh: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """Width and height scaled down so that the longer one is at most `max_side`.

    Args:
        size_wh: width and height in pixels.
        max_side: pixels, None for no limit.

    Returns:
        Width and height, at least 1.
    """
    if max_side is None or max(size_wh) <= max_side:
        return size_wh
    scale = Fraction(max_side, max(size_wh))
    return max(1, round(size_wh[0] * scale)), max(1, round(size_wh[1] * scale))


# --- folders of images ---------------------------------------------------------------------------


def _read_folder(
    info: VideoInfo, start: Fraction, end: Fraction, max_side: int | None
) -> Iterator[Frame]:
    paths = list_images(info.path)
    first = min(math.floor(start * info.fps + Fraction(1, 2)), len(paths) - 1)
    stop = max(math.floor(end * info.fps + Fraction(1, 2)), first + 1)
    height, width = info.size_hw
    size_wh = fit_side((width, height), max_side)
    for k, path in enumerate(paths[first:stop]):
        image = decode_image(path)
        if (image.height, image.width) != info.size_hw:
            raise MediaError(
                f"{path.name}: all images of a folder must have the size of the first "
                f"({width}x{height}), got {image.width}x{image.height}; resize or remove it"
            )
        rgb = np.asarray(image.convert("RGB"))
        if size_wh != (width, height):
            rgb = cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA)
        yield Frame(np.array(rgb), k / info.fps)
