"""Reading video: upright square-pixel RGB frames with exact times, one at a time.

The clock of a video starts at its first picture: `time` 0 is that picture, whatever the container
says (phones and cutting tools often start the video a little after the sound). `start_seconds`,
`end_seconds` and `motion_transfer.media.audio` use the same clock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.reformatter import Colorspace, ColorTrc, Interpolation, VideoReformatter

from motion_transfer.errors import MediaError
from motion_transfer.media.photo import SUFFIXES as IMAGE_SUFFIXES
from motion_transfer.media.photo import decode_image

DEFAULT_FOLDER_FPS = Fraction(25)
MAX_FPS = 1000
MAX_MEGAPIXELS = 40  # 8K has 33
MAX_REORDER = 16  # pictures; the most that H.264 and HEVC allow
MAX_THREADS = 8  # more only cost memory: each holds a few frames
SCAN_BYTES = 256_000_000  # how much of a file is read to learn its exact frame times

# Playlists and scripts (HLS, concat, lavfi, ...) can make FFmpeg open other files or addresses.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,"
    "ivf,av1,flv,live_flv,asf,ogg,nut,mxf,dv,rm,wtv,yuv4mpegpipe,mp3,wav,flac,aac,aiff"
)
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_HDR_TRANSFERS = (int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67))


class Frame(NamedTuple):
    """One picture: `rgb` uint8 (H, W, 3), contiguous; `time` in seconds since the range's start."""

    rgb: np.ndarray
    time: Fraction


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a video is, as a player would show it.

    Args:
        path: the file, or the folder of images.
        size_hw: displayed height and width in pixels: upright, square pixels.
        fps: exact constant rate (30000/1001, not 29.97), or the average where `is_variable`.
        is_variable: frames are not evenly spaced.
        duration_seconds: from the first picture to the end of the last.
        num_frames: None where it cannot be known without decoding.
        has_audio: there is at least one audio stream.
        rotation_degrees: clockwise turn asked for by the file, already in `size_hw`.
        codec: name of the video codec, 'images' for a folder.
        bit_depth: bits of one colour component.
        is_hdr: PQ or HLG transfer. Frames come without tone mapping and look pale: swscale's
            takes 5 s to set up and 40 ms per 720p frame, and a tracker does not need it.
        time_base: the unit of the file's time stamps in seconds.
        start_seconds: container time of the first picture, for carrying the sound over.
    """

    path: Path
    size_hw: tuple[int, int]
    fps: Fraction
    is_variable: bool
    duration_seconds: Fraction
    num_frames: int | None
    has_audio: bool
    rotation_degrees: int
    codec: str
    bit_depth: int
    is_hdr: bool
    time_base: Fraction
    start_seconds: Fraction


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Describe a video file or a folder of images.

    Args:
        path: a video, an animated GIF or PNG, or a folder of images (25 fps).

    Returns:
        What a player would show.

    Raises:
        FileNotFoundError: there is no such file.
        MediaError: it is not a video that can be shown; the message says why.
    """
    path = Path(path)
    if path.is_dir():
        return _probe_folder(path, DEFAULT_FOLDER_FPS)
    return _probe_file(path)[0]


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
        info = _probe_folder(path, fps or DEFAULT_FOLDER_FPS)
        start, end = _check_range(info, start_seconds, end_seconds)
        return _read_folder(info, start, end, max_side)
    info, layout = _probe_file(path)
    start, end = _check_range(info, start_seconds, end_seconds)
    frames = _cut(_decode(info, start), info, start, end)
    if fps is not None:
        frames = _resample(frames, info, end - start, fps)
    return _convert(frames, layout, max_side)


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder in natural order (frame_2 before frame_10).

    Args:
        folder: a folder; hidden files and other suffixes in it are passed over.

    Returns:
        At least one path.

    Raises:
        MediaError: there is no image in it.
    """
    paths = [
        p
        for p in folder.iterdir()
        if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")
    ]
    if not paths:
        raise MediaError(
            f"{folder.name}: a folder given as a video must hold images, found none; "
            "give a video file or a folder of PNG or JPEG frames"
        )

    def natural(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.name.lower())
        return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts if p]

    return sorted(paths, key=natural)


# --- what the file is ----------------------------------------------------------------------------


class _Layout(NamedTuple):
    """How stored pictures become displayed ones: scale, then transpose, then flip."""

    scaled_wh: tuple[int, int]  # square pixels, before transposing
    transposed: bool
    flip_horizontally: bool
    flip_vertically: bool


class _Times(NamedTuple):
    """Presentation times (seconds, sorted) of the packets, and whether that is all of them."""

    seconds: list[Fraction]
    last_duration: Fraction
    is_complete: bool


@contextlib.contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a media file for reading; nothing that it may refer to is followed.

    Args:
        path: a local file.

    Yields:
        The container.

    Raises:
        FileNotFoundError: there is no such file.
        MediaError: it is not a media file, or is damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"no such video: {path}")
    if path.stat().st_size == 0:
        raise MediaError(
            f"{path.name}: a video must have content, got an empty file; copy it again"
        )
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    try:
        container = av.open(f"file:{path}", "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        if _is_still_image(path):
            raise MediaError(
                f"{path.name}: a video must have moving pictures, got a still image; "
                "give a video, a GIF or a folder of images"
            ) from error
        raise MediaError(
            f"{path.name}: a video must be a complete media file such as MP4, MOV, WebM or GIF, "
            "got something else or a truncated file; play it to check, then download or export "
            "it again"
        ) from error
    with container:
        yield container


def _is_still_image(path: Path) -> bool:
    try:
        decode_image(path)
    except MediaError:
        return False
    return True


def video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    """The first stream with moving pictures (cover art is not one).

    Args:
        container: an open container.
        path: its file, for the message.

    Returns:
        The stream.

    Raises:
        MediaError: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    kind = "only sound" if container.streams.audio else "no picture"
    raise MediaError(
        f"{path.name}: a video must have a video stream, got {kind}; give a video file"
    )


def _probe_file(path: Path) -> tuple[VideoInfo, _Layout]:
    with open_container(path) as container:
        stream = video_stream(container, path)
        has_audio = bool(container.streams.audio)
        codec = stream.codec_context.name
        stored = (stream.codec_context.width, stream.codec_context.height)
        if stored[0] * stored[1] > MAX_MEGAPIXELS * 1_000_000:
            raise MediaError(
                f"{path.name}: a video may have at most {MAX_MEGAPIXELS} megapixels, "
                f"got {stored[0]}x{stored[1]}; scale it down first"
            )
        sample_aspect = stream.sample_aspect_ratio or Fraction(1)
        declared = None
        if stream.duration is not None and stream.time_base is not None:
            declared = stream.duration * stream.time_base
        elif container.duration is not None:
            declared = Fraction(container.duration, av.time_base)
        rates = [r for r in (stream.guessed_rate, stream.average_rate, stream.base_rate) if r]
        time_base = stream.time_base or Fraction(1, av.time_base)
        first = _first_frame(container, stream, path)
    times = scan_times(path)

    is_truncated = (
        times.is_complete
        and bool(times.seconds)
        and declared is not None
        and declared - (times.seconds[-1] - times.seconds[0]) > 1
    )
    # Packets come in decoding order, so a cut leaves holes among the last pictures.
    fps, is_variable = _rate(times.seconds[: -MAX_REORDER if is_truncated else None], rates)
    start = times.seconds[0] if times.seconds else Fraction(0)
    num_frames: int | None
    if times.is_complete and times.seconds:
        num_frames = len(times.seconds)
        duration = times.seconds[-1] - start + (times.last_duration or 1 / fps)
        if not is_variable and not is_truncated:
            duration = num_frames / fps
    else:
        duration = declared or Fraction(0)
        num_frames = None if declared is None else round(declared * fps)
    if is_truncated and declared is not None:
        warnings.warn(
            f"{path.name} is truncated: it should last {float(declared):.1f} s, "
            f"there are pictures for {float(duration):.1f} s",
            stacklevel=2,
        )
    layout, rotation = _layout(first, sample_aspect, path)
    width, height = layout.scaled_wh
    info = VideoInfo(
        path=path,
        size_hw=(width, height) if layout.transposed else (height, width),
        fps=fps,
        is_variable=is_variable,
        duration_seconds=duration,
        num_frames=num_frames,
        has_audio=has_audio,
        rotation_degrees=rotation,
        codec=codec,
        bit_depth=max(c.bits for c in first.format.components),
        is_hdr=first.color_trc in _HDR_TRANSFERS,
        time_base=time_base,
        start_seconds=start,
    )
    return info, layout


def _first_frame(container: InputContainer, stream: av.VideoStream, path: Path) -> av.VideoFrame:
    for packet in _packets(container, stream):
        with contextlib.suppress(av.InvalidDataError):
            for frame in packet.decode():
                return frame
    raise MediaError(
        f"{path.name}: a video must have pictures that can be decoded "
        f"({stream.codec_context.name}), got none; play it to check, then export it as H.264 MP4"
    )


def scan_times(path: Path) -> _Times:
    """Presentation times without decoding: exact frame count, rate and evenness.

    Args:
        path: a video file.

    Returns:
        The times in container seconds, sorted; empty where the file has no time stamps.

    Raises:
        MediaError: it cannot be opened.
    """
    seconds: list[Fraction] = []
    durations: dict[Fraction, Fraction] = {}
    num_bytes = 0
    is_complete = True
    with open_container(path) as container:
        stream = video_stream(container, path)
        for packet in _packets(container, stream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.size == 0 or packet.is_discard:
                continue
            if stamp is None:
                return _Times([], Fraction(0), False)
            seconds.append(stamp * packet.time_base)
            if packet.duration:
                durations = {seconds[-1]: packet.duration * packet.time_base} | durations
                if len(durations) > 64:  # only the last shown one matters
                    newest = max(durations)
                    durations = {newest: durations[newest]}
            num_bytes += packet.size
            if num_bytes > SCAN_BYTES:
                is_complete = False
                break
    seconds = sorted(set(seconds))
    last = durations.get(seconds[-1], Fraction(0)) if seconds else Fraction(0)
    return _Times(seconds, last, is_complete)


def _packets(container: InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Demux to the end of what is readable; a broken tail ends the stream."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.InvalidDataError, av.error.EOFError):
            return
        yield packet


def _rate(seconds: list[Fraction], rates: list[Fraction]) -> tuple[Fraction, bool]:
    """The declared rate that fits all the times to within half a frame, else the average."""
    if len(seconds) < 2:
        return (rates[0] if rates else DEFAULT_FOLDER_FPS), False
    for fps in rates:
        if all(abs((t - seconds[0]) * fps - i) < Fraction(1, 2) for i, t in enumerate(seconds)):
            return fps, False
    span = seconds[-1] - seconds[0]
    average = Fraction(len(seconds) - 1, 1) / span
    if all(abs((t - seconds[0]) * average - i) < Fraction(1, 2) for i, t in enumerate(seconds)):
        return average.limit_denominator(1001), False
    return average.limit_denominator(1001), True


def _layout(frame: av.VideoFrame, sample_aspect: Fraction, path: Path) -> tuple[_Layout, int]:
    """Square pixels by enlarging the shorter side of a pixel; display matrix -> turn and flips."""
    width, height = frame.width, frame.height
    if sample_aspect > 1:
        width = round(width * sample_aspect)
    elif 0 < sample_aspect < 1:
        height = round(height / sample_aspect)
    if width * height > MAX_MEGAPIXELS * 1_000_000:
        raise MediaError(
            f"{path.name}: a video may have at most {MAX_MEGAPIXELS} megapixels, "
            f"got {width}x{height} with square pixels; scale it down first"
        )
    # A stored point (x, y) is shown at (a x + c y, b x + d y), up to a shift; y points down.
    a, b, c, d = 1, 0, 0, 1
    matrix = cast("Mapping[Any, Any]", frame.side_data).get(SideDataType.DISPLAYMATRIX)
    if matrix is not None:
        a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(matrix), np.int32)[:5])
    transposed = abs(b) > abs(a)
    layout = _Layout(
        scaled_wh=(width, height),
        transposed=transposed,
        flip_horizontally=(c if transposed else a) < 0,
        flip_vertically=(b if transposed else d) < 0,
    )
    return layout, round(math.degrees(math.atan2(b, a)) / 90) * 90 % 360


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
        for packet in _packets(container, stream):
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


def _cut(
    frames: Iterator[tuple[av.VideoFrame, Fraction]],
    info: VideoInfo,
    start: Fraction,
    end: Fraction,
) -> Iterator[tuple[av.VideoFrame, Fraction]]:
    """Frames of [start, end), to the nearest frame, timed from the first of them.

    Where no frame lies near `start` (a long still picture), the one on display comes at time 0.
    """
    half = 1 / info.fps / 2
    origin: Fraction | None = None
    held: av.VideoFrame | None = None
    for frame, time in frames:
        if time < start - half:
            held = frame
            continue
        if origin is None:
            if time > start + half and held is not None:
                origin = start
                yield held, Fraction(0)
            else:
                origin = time
        held = None
        if end < info.duration_seconds and time >= end - half:
            if origin == time:  # a range shorter than one frame
                yield frame, Fraction(0)
            return
        yield frame, time - origin
    if origin is None and held is not None:
        origin = start
        yield held, Fraction(0)
    if origin is None:
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
    """Constant rate: at k / fps the newest frame that starts at most half a frame later.

    For even sources this is the nearest frame; a long still picture is held, not cut short.
    """
    half = 1 / info.fps / 2
    num_out = max(1, round(duration * fps))
    shown: av.VideoFrame | None = None
    k = 0
    for frame, time in frames:
        while shown is not None and k < num_out and k / fps + half < time:
            yield shown, k / fps
            k += 1
        shown = frame
    while shown is not None and k < num_out:
        yield shown, k / fps
        k += 1


def _convert(
    frames: Iterator[tuple[av.VideoFrame, Fraction]], layout: _Layout, max_side: int | None
) -> Iterator[Frame]:
    """Stored pictures -> displayed RGB. swscale does matrix, range, depth and size in one pass."""
    reformatter = VideoReformatter()
    width, height = fit_side(layout.scaled_wh, max_side)
    flip = {(True, True): -1, (True, False): 1, (False, True): 0}.get(
        (layout.flip_horizontally, layout.flip_vertically)
    )
    last_frame: av.VideoFrame | None = None
    rgb: np.ndarray | None = None
    for frame, time in frames:
        if frame is not last_frame or rgb is None:
            rgb = _to_rgb(reformatter, frame, width, height)
            if layout.transposed:
                rgb = cv2.transpose(rgb)
            if flip is not None:
                rgb = cv2.flip(rgb, flip)
            last_frame = frame
            yield Frame(rgb, time)
        else:
            yield Frame(rgb.copy(), time)


def _to_rgb(
    reformatter: VideoReformatter, frame: av.VideoFrame, width: int, height: int
) -> np.ndarray:
    colorspace = None
    if frame.colorspace == _UNSPECIFIED:  # untagged: what players assume
        colorspace = Colorspace.ITU709 if min(frame.width, frame.height) >= 720 else None
    return reformatter.reformat(
        frame,
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=colorspace,
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


def _probe_folder(folder: Path, fps: Fraction) -> VideoInfo:
    paths = list_images(folder)
    first = decode_image(paths[0])
    return VideoInfo(
        path=folder,
        size_hw=(first.height, first.width),
        fps=fps,
        is_variable=False,
        duration_seconds=len(paths) / fps,
        num_frames=len(paths),
        has_audio=False,
        rotation_degrees=0,
        codec="images",
        bit_depth=8,
        is_hdr=False,
        time_base=1 / fps,
        start_seconds=Fraction(0),
    )


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
