"""The driving video's sound, cut to the rendered range and in step with the pictures."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import imageio_ffmpeg

from motion_transfer.errors import MediaError
from motion_transfer.media.probe import DEMUXERS, VideoInfo, open_container, probe

# Codec and container of the extracted sound.
_TARGETS = {"aac": ("aac", "192k", ".m4a"), "opus": ("libopus", "128k", ".webm")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioRange:
    """Which sound goes with the pictures.

    Args:
        path: the video (or sound file) that it comes from.
        start_seconds: where it starts, on the clock of `read_frames`: 0 is the first picture.

    Raises:
        MediaError: the start is not a time.
    """

    path: str | os.PathLike[str]
    start_seconds: float | Fraction = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_seconds) and self.start_seconds >= 0):
            raise MediaError(f"audio start must be at least 0 s, got {self.start_seconds}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Source:
    """The first audio stream; times in seconds after the start of the container."""

    codec: str
    first_picture: Fraction
    start: Fraction
    end: Fraction | None


def extract_audio(
    audio: AudioRange, *, duration_seconds: Fraction, codec: str, folder: Path
) -> Path | None:
    """Write the sound of a range as a file of its own, whose time 0 is the range's start.

    It is copied bit for bit where the range starts with the file and the sound lasts long enough;
    otherwise it is encoded, silence filling what the source lacks at either end.

    Args:
        audio: where it comes from.
        duration_seconds: how long the pictures last.
        codec: 'aac' or 'opus'.
        folder: where the file is put.

    Returns:
        The file, or None where the source has no sound (or, with a warning, unreadable sound).

    Raises:
        FileNotFoundError: there is no such source.
        MediaError: the source is not a media file.
    """
    path = Path(audio.path)
    source = None if path.is_dir() else _find_audio(path)
    if source is None:
        return None
    encoder, bit_rate, suffix = _TARGETS[codec]
    start = Fraction(audio.start_seconds) + source.first_picture
    duration = float(duration_seconds)
    can_copy = (
        source.codec == codec
        and abs(start - source.start) < Fraction(1, 1000)
        and source.end is not None
        and source.end >= start + duration_seconds - Fraction(1, 50)
    )
    target = folder / f"sound{suffix}"
    # Like FFmpeg's own -i, but nothing that the file may refer to is opened.
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    if not can_copy:
        options["ss"] = f"{float(start):.6f}"
    stream = ffmpeg.input(f"file:{path}", **options)["a:0"]
    if can_copy:
        encoding: dict[str, str | int] = {"acodec": "copy"}
    else:
        # first_pts=0 fills a late start with silence, apad an early end.
        stream = (
            stream.filter("aresample", **{"async": 1, "first_pts": 0})
            .filter("apad", whole_dur=duration)
            .filter("atrim", duration=duration)
        )
        encoding = {"acodec": encoder, "audio_bitrate": bit_rate, "ac": 2}
        if codec == "opus":
            encoding["ar"] = 48000
    command = (
        stream.output(
            str(target), **encoding, t=duration, fflags="+bitexact", map_metadata=-1, vn=None
        )
        .global_args("-nostdin", "-hide_banner", "-loglevel", "error")
        .overwrite_output()
    )
    try:
        command.run(cmd=imageio_ffmpeg.get_ffmpeg_exe(), capture_stdout=True, capture_stderr=True)
    except (ffmpeg.Error, OSError, RuntimeError) as error:  # RuntimeError: no FFmpeg binary
        said = error.stderr.decode(errors="replace") if isinstance(error, ffmpeg.Error) else error
        reason = str(said).strip().splitlines() or ["unknown reason"]
        warnings.warn(
            f"the sound of {path.name} could not be read ({reason[-1]}): the video is silent",
            stacklevel=3,
        )
        return None
    return target


def _find_audio(path: Path) -> _Source | None:
    with open_container(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        origin = Fraction(container.start_time or 0, av.time_base)
        time_base = stream.time_base or Fraction(1, av.time_base)
        start = (stream.start_time or 0) * time_base - origin
        end = None
        if stream.duration is not None:
            end = start + stream.duration * time_base
        codec = stream.codec_context.name
        has_pictures = bool(container.streams.video)
    first_picture = Fraction(0)
    if has_pictures:
        info: VideoInfo = probe(path)
        first_picture = info.start_seconds - origin
    return _Source(codec=codec, first_picture=first_picture, start=start, end=end)
