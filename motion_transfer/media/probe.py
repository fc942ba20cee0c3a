"""What a video is, as a player would show it: size, exact rate, length, orientation.

The clock of a video starts at its first picture: time 0 is that picture, whatever the container
says (phones and cutting tools often start the video a little after the sound).
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
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.reformatter import ColorTrc

from motion_transfer.errors import MediaError
from motion_transfer.media.photo import SUFFIXES as IMAGE_SUFFIXES
from motion_transfer.media.photo import decode_image

DEFAULT_FOLDER_FPS = Fraction(25)
MAX_MEGAPIXELS = 40  # 8K has 33
MAX_REORDER = 16  # pictures; the most that H.264 and HEVC allow
SCAN_BYTES = 256_000_000  # how much of a file is read to learn its exact frame times

# Playlists and scripts (HLS, concat, lavfi, ...) can make FFmpeg open other files or addresses.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,"
    "ivf,av1,flv,live_flv,asf,ogg,nut,mxf,dv,rm,wtv,yuv4mpegpipe,mp3,wav,flac,aac,aiff"
)
_HDR_TRANSFERS = (int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67))


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
        is_transformed: pictures are turned, mirrored or stretched for display.
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
    is_transformed: bool
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
        return probe_folder(path, DEFAULT_FOLDER_FPS)
    return probe_file(path)[0]


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


class Layout(NamedTuple):
    """How stored pictures become displayed ones: scale, then transpose, then flip."""

    scaled_wh: tuple[int, int]  # square pixels, before transposing
    transposed: bool
    flip_horizontally: bool
    flip_vertically: bool


class _Times(NamedTuple):
    """Presentation times (seconds, sorted) of the packets, and whether that is all of them."""

    seconds: list[Fraction]
    last_duration: Fraction  # of the last one shown; 0 where the file does not say
    num_packets: int  # with those that are not to be shown
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
        raise MediaError(f"{path.name}: a video must not be empty, got 0 bytes; copy it again")
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
        f"{path.name}: a video must have moving pictures, got {kind}; give a video file"
    )


def probe_file(path: Path) -> tuple[VideoInfo, Layout]:
    """As `probe`, of a file, with how its stored pictures become displayed ones.

    Args:
        path: a video file.

    Returns:
        The description and the layout.

    Raises:
        FileNotFoundError: there is no such file.
        MediaError: it is not a video that can be shown.
    """
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
        num_declared = stream.frames
        rates = [r for r in (stream.guessed_rate, stream.average_rate, stream.base_rate) if r]
        time_base = stream.time_base or Fraction(1, av.time_base)
        first = _first_frame(container, stream, path)
    times = scan_times(path)

    seconds = times.seconds
    span = seconds[-1] - seconds[0] if seconds else Fraction(0)
    if num_declared:
        is_truncated = times.is_complete and times.num_packets < num_declared
    else:
        missing = (declared or Fraction(0)) - span - times.last_duration
        is_truncated = times.is_complete and bool(seconds) and missing > 1
    # Packets come in decoding order, so a cut leaves holes among the last pictures.
    fps, is_variable = _rate(seconds[: -MAX_REORDER if is_truncated else None], rates)
    start = seconds[0] if seconds else Fraction(0)
    num_frames: int | None
    if times.is_complete and seconds:
        num_frames = len(seconds)
        if is_truncated:
            duration = span + 1 / fps
        elif not is_variable:
            duration = num_frames / fps
        elif declared is not None and declared > span and num_declared:
            duration = declared  # MP4 has no duration of the last picture shown
        else:
            duration = span + (times.last_duration or 1 / fps)
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
        is_transformed=layout != Layout((first.width, first.height), False, False, False),
        codec=codec,
        bit_depth=max(c.bits for c in first.format.components),
        is_hdr=first.color_trc in _HDR_TRANSFERS,
        time_base=time_base,
        start_seconds=start,
    )
    return info, layout


def _first_frame(container: InputContainer, stream: av.VideoStream, path: Path) -> av.VideoFrame:
    for packet in read_packets(container, stream):
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
    num_bytes = num_packets = 0
    is_complete = True
    with open_container(path) as container:
        stream = video_stream(container, path)
        for packet in read_packets(container, stream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            num_packets += packet.size > 0
            if packet.size == 0 or packet.is_discard:
                continue
            if stamp is None:
                return _Times([], Fraction(0), 0, False)
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
    return _Times(seconds, last, num_packets, is_complete)


def read_packets(container: InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Demux to the end of what is readable; a broken tail ends the stream.

    Args:
        container: an open container.
        stream: its video stream.

    Yields:
        Packets, the last one empty: it makes the decoder give out what it holds back.
    """
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


def _layout(frame: av.VideoFrame, sample_aspect: Fraction, path: Path) -> tuple[Layout, int]:
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
    layout = Layout(
        scaled_wh=(width, height),
        transposed=transposed,
        flip_horizontally=(c if transposed else a) < 0,
        flip_vertically=(b if transposed else d) < 0,
    )
    return layout, round(math.degrees(math.atan2(b, a)) / 90) * 90 % 360


# --- folders of images ---------------------------------------------------------------------------


def probe_folder(folder: Path, fps: Fraction) -> VideoInfo:
    """As `probe`, of a folder of images.

    Args:
        folder: holds the images.
        fps: their rate.

    Returns:
        The description.

    Raises:
        MediaError: it holds no images, or the first cannot be read.
    """
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
        is_transformed=False,
        codec="images",
        bit_depth=8,
        is_hdr=False,
        time_base=1 / fps,
        start_seconds=Fraction(0),
    )
