"""Finished segments -> one file: by stream copy, or for a GIF by one palette made from all."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import json
import os
import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.filter import Graph

from motion_transfer.errors import MediaError

_GIF_CLOCK = Fraction(1, 100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """One finished piece of the output; its true frame times are in a sidecar beside it.

    Args:
        num_frames: frames in it.
        first_ticks: time of the first, in ticks of the output's clock.
        last_ticks: time of the last.
        num_bytes: size of the file, to see whether it is whole; 0 for a PNG sequence.
        reorder: by how many places a picture is stored after its turn (B frames).
    """

    num_frames: int
    first_ticks: int
    last_ticks: int
    num_bytes: int = 0
    reorder: int = 0


def close_segment(path: Path, ticks: Sequence[int]) -> Segment:
    """Describe an encoded segment and write the sidecar: the times in the order of storage.

    Args:
        path: the encoded file; its own times only tell the order of the pictures.
        ticks: true times of its frames, increasing.

    Returns:
        The segment.

    Raises:
        MediaError: the encoder has lost or added pictures.
    """
    with av.open(str(path)) as segment:
        stamps = [p.pts for p in segment.demux(video=0) if p.size and p.pts is not None]
    if len(stamps) != len(ticks):
        raise MediaError(
            f"output: the encoder must keep every frame, got {len(stamps)} of {len(ticks)}; "
            "choose another format"
        )
    place = {pts: i for i, pts in enumerate(sorted(stamps))}
    order = [place[pts] for pts in stamps]
    path.with_suffix(".json").write_text(json.dumps([ticks[i] for i in order]))
    return Segment(
        num_frames=len(ticks),
        first_ticks=ticks[0],
        last_ticks=ticks[-1],
        num_bytes=path.stat().st_size,
        reorder=max(i - rank for i, rank in enumerate(order)),
    )


def join_segments(
    result: Path,
    paths: Sequence[Path],
    segments: Sequence[Segment],
    *,
    container: str,
    clock: Fraction,
    fps: Fraction,
    last_ticks: int,
    has_alpha: bool,
    sound: Path | None,
    tags: Mapping[str, str],
) -> None:
    """Stream copy of all segments and of the sound, interleaved by time.

    Args:
        result: file to write.
        paths: the files of the segments.
        segments: their descriptions.
        container: FFmpeg's name of the muxer.
        clock: seconds per tick.
        fps: nominal rate.
        last_ticks: duration of the last frame.
        has_alpha: the pictures are transparent.
        sound: file whose first audio stream is added.
        tags: metadata.

    Raises:
        MediaError: the segments come from different encoders.
    """
    options = {"fflags": "+bitexact"}  # no random ids: the same input gives the same bytes
    if container in ("mp4", "mov"):
        options["movflags"] = "+faststart+use_metadata_tags"
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(
            av.open(str(result), "w", format=container, container_options=options)
        )
        output.metadata.update(tags)
        template = stack.enter_context(av.open(str(paths[0]))).streams.video[0]
        video = output.add_stream_from_template(template, opaque=True)
        video.time_base = clock
        if has_alpha and container == "webm":
            video.metadata["alpha_mode"] = "1"
        extradata = bytes(template.codec_context.extradata or b"")
        nominal = max(1, round(1 / fps / clock))
        sources = [_video_packets(paths, segments, video, extradata, clock, nominal, last_ticks)]
        if sound is not None:
            sources.append(_audio_packets(output, stack.enter_context(av.open(str(sound)))))
        for packet in heapq.merge(*sources, key=_decoding_seconds):
            output.mux_one(packet)


def _video_packets(
    paths: Sequence[Path],
    segments: Sequence[Segment],
    stream: av.VideoStream,
    extradata: bytes,
    clock: Fraction,
    nominal: int,
    last_ticks: int,
) -> Iterator[av.Packet]:
    """All packets with their true times.

    Decoding times are made anew, because those of neighbouring segments overlap where frame
    times vary: the sorted presentation times, late by the longest reordering.
    """
    delay = max(s.reorder for s in segments)
    start, end = segments[0].first_ticks, segments[-1].last_ticks
    num_left = sum(s.num_frames for s in segments)
    ticks_of = [json.loads(p.with_suffix(".json").read_text()) for p in paths]
    sorted_ticks = sorted(t for ticks in ticks_of for t in ticks)
    # MP4 shows what lies between the first decoding time and the end of the last one: where frames
    # are uneven the first must lie early enough for the last picture to be shown to its end.
    step = nominal
    if 0 < delay < len(sorted_ticks):
        step = max(nominal, -(-(end - sorted_ticks[-1 - delay]) // delay))
    decoding = deque(start - (delay - i) * step for i in range(delay))
    decoding.extend(sorted_ticks)
    for path, ticks in zip(paths, ticks_of, strict=True):
        with av.open(str(path)) as file:
            source = file.streams.video[0]
            if bytes(source.codec_context.extradata or b"") != extradata:
                raise MediaError(
                    f"output: the segments in {path.parent.name} do not fit together; "
                    "render again without resuming"
                )
            packets = (p for p in file.demux(source) if p.size)
            for packet, pts in zip(packets, ticks, strict=True):
                packet.stream = stream
                packet.time_base = clock
                packet.pts, packet.dts = pts, decoding.popleft()
                packet.duration = last_ticks if pts == end else nominal
                num_left -= 1
                if num_left == 0 and pts != end:  # MP4 takes the length of the track from here
                    packet.duration = end + last_ticks - delay * step - packet.dts
                yield packet


def _audio_packets(output: OutputContainer, sound: InputContainer) -> Iterator[av.Packet]:
    source = sound.streams.audio[0]
    stream = output.add_stream_from_template(source)  # now: the header comes with the first packet

    def packets() -> Iterator[av.Packet]:
        for packet in sound.demux(source):
            if packet.size:
                packet.stream = stream
                yield packet

    return packets()


def _decoding_seconds(packet: av.Packet) -> Fraction:
    assert packet.dts is not None
    return packet.dts * packet.time_base


def join_gif(
    result: Path,
    paths: Sequence[Path],
    *,
    clock: Fraction,
    end_seconds: Fraction,
    tags: Mapping[str, str],
) -> None:
    """Two passes over lossless segments: one palette for all frames, then the frames.

    Args:
        result: file to write.
        paths: the files of the segments.
        clock: seconds per tick.
        end_seconds: when the last frame ends.
        tags: metadata, written as one comment.
    """
    with av.open(str(paths[0])) as first:
        template = first.streams.video[0]
        width, height = template.width, template.height
        pixel_format = template.format

    def add_buffer(graph: Graph) -> av.filter.context.FilterContext:
        return graph.add_buffer(
            width=width, height=height, format=pixel_format, time_base=_GIF_CLOCK
        )

    graph = Graph()
    graph.link_nodes(add_buffer(graph), graph.add("palettegen"), graph.add("buffersink"))
    graph.configure()
    for frame in _gif_frames(paths, clock):
        graph.push(frame)
    graph.push(None)
    palette = graph.vpull()
    palette.pts = 0

    graph = Graph()
    frames_in = add_buffer(graph)
    palette_in = graph.add_buffer(
        width=palette.width, height=palette.height, format=palette.format, time_base=_GIF_CLOCK
    )
    # Bayer dithering stays put where the picture does; error diffusion would crawl.
    use = graph.add("paletteuse", "dither=bayer:bayer_scale=3")
    sink = graph.add("buffersink")
    frames_in.link_to(use, 0, 0)
    palette_in.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    palette_in.push(palette)
    palette_in.push(None)

    *_, last = _gif_ticks(paths, clock)
    options = {"final_delay": str(max(1, round(end_seconds / _GIF_CLOCK) - last))}
    bare = result.with_suffix(".bare.gif")
    with av.open(str(bare), "w", format="gif", container_options=options) as output:
        stream = output.add_stream("gif", rate=100, time_base=_GIF_CLOCK)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for frame in _gif_frames(paths, clock):
            frames_in.push(frame)
            shown = sink.pull()
            assert isinstance(shown, av.VideoFrame)
            output.mux(stream.encode(shown))
        output.mux(stream.encode())
    if tags:
        _add_gif_comment(bare, result, "\n".join(f"{k}: {v}" for k, v in tags.items()))
    else:
        os.replace(bare, result)


def _gif_ticks(paths: Sequence[Path], clock: Fraction) -> Iterator[int]:
    """Frame times in 1/100 s; rounded each for itself, so that errors do not add up."""
    last = -1
    for path in paths:
        for ticks in json.loads(path.with_suffix(".json").read_text()):
            last = max(last + 1, round(ticks * clock / _GIF_CLOCK))
            yield last


def _gif_frames(paths: Sequence[Path], clock: Fraction) -> Iterator[av.VideoFrame]:
    times = _gif_ticks(paths, clock)
    for path in paths:
        with av.open(str(path)) as segment:
            for frame in segment.decode(video=0):
                frame.pts = next(times)
                frame.time_base = _GIF_CLOCK
                yield frame


def _add_gif_comment(source: Path, target: Path, text: str) -> None:
    """Copy with a comment extension, which FFmpeg's muxer cannot write, after the header."""
    data = text.encode()
    with source.open("rb") as old, target.open("wb") as new:
        header = old.read(13)
        new.write(header)
        if header[10] & 0x80:  # a global palette of 2^(n + 1) colours
            new.write(old.read(3 * 2 ** ((header[10] & 7) + 1)))
        new.write(b"\x21\xfe")
        for i in range(0, len(data), 255):
            block = data[i : i + 255]
            new.write(bytes([len(block)]) + block)
        new.write(b"\x00")
        shutil.copyfileobj(old, new)
    source.unlink()
