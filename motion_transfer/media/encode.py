"""Writing video: streamed, with exact times, resumable, and whole or not at all.

Frames are encoded in segments of a fixed number of frames, each a file of its own in the hidden
folder `.NAME.parts` beside the output. `finish` joins them by stream copy (GIF: by a palette made
from all of them), adds sound and tags, and moves the result to its place in one step. A straight
run takes the same way, so a resumed file is the same, bit for bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import heapq
import json
import os
import re
import shutil
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import filelock
import numpy as np
from av.container import OutputContainer
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from PIL import Image, PngImagePlugin

from motion_transfer.errors import MediaError
from motion_transfer.media.audio import AudioRange, extract_audio
from motion_transfer.media.decode import MAX_FPS

MANIFEST_VERSION = 1
SEGMENT_FRAMES = 240
MIN_CLOCK_HZ = 90_000  # ticks per second; variable frame times are kept to within 6 us
X264_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip
_QUICK_PRESETS = X264_PRESETS[:4]  # VP9 takes its real-time mode for these
_GIF_CLOCK = Fraction(1, 100)
_BT709 = 1  # the same number as matrix, primaries and transfer


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Format:
    """How one kind of output is written: segments of `codec`, then `container`."""

    title: str
    container: str  # FFmpeg's name of the muxer
    codec: str
    pixel_format: str
    alpha_codec: str | None  # None: cannot be transparent
    alpha_pixel_format: str | None
    segment_suffix: str
    audio_codec: str | None


_H264 = _Format(
    title="H.264 in MP4", container="mp4", codec="libx264", pixel_format="yuv420p",
    alpha_codec=None, alpha_pixel_format=None, segment_suffix=".mp4", audio_codec="aac",
)  # fmt: skip
_FORMATS = {
    ".mp4": _H264,
    ".m4v": _H264,
    ".mkv": dataclasses.replace(_H264, title="H.264 in Matroska", container="matroska"),
    ".webm": _Format(
        title="VP9 in WebM", container="webm", codec="libvpx-vp9", pixel_format="yuv420p",
        alpha_codec="libvpx-vp9", alpha_pixel_format="yuva420p", segment_suffix=".webm",
        audio_codec="opus",
    ),
    ".mov": _Format(
        title="ProRes in MOV", container="mov", codec="prores_ks", pixel_format="yuv422p10le",
        alpha_codec="prores_ks", alpha_pixel_format="yuva444p10le", segment_suffix=".mov",
        audio_codec="aac",
    ),
    ".gif": _Format(
        title="GIF", container="gif", codec="ffv1", pixel_format="bgr0",
        alpha_codec="ffv1", alpha_pixel_format="bgra", segment_suffix=".mkv", audio_codec=None,
    ),
}  # fmt: skip
_PNG = _Format(
    title="PNG sequence", container="png", codec="png", pixel_format="rgb24",
    alpha_codec="png", alpha_pixel_format="rgba", segment_suffix="", audio_codec=None,
)  # fmt: skip
_CHOICES = (
    ".mp4, .m4v or .mkv (H.264), .webm (VP9, can be transparent), .mov (ProRes, can be "
    "transparent), .gif, or a folder (name ending in /) or NAME_%05d.png for PNG frames"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Target:
    """Where the result goes."""

    path: Path  # the file, or the folder of a PNG sequence
    format: _Format
    png_name: str = ""  # such as '%05d.png'

    def existing(self) -> list[Path]:
        """What a finished run would replace."""
        if self.format is not _PNG:
            return [self.path] if self.path.exists() else []
        if not self.path.is_dir():
            return [self.path] if self.path.exists() else []
        before, after = re.split(r"%0?\d*d", self.png_name)
        name = re.compile(re.escape(before) + r"\d+" + re.escape(after))
        return sorted(p for p in self.path.iterdir() if name.fullmatch(p.name))


def _parse_target(path: str | os.PathLike[str]) -> _Target:
    text = os.fspath(path)
    target = Path(text)
    if target.suffix.lower() == ".png" and "%" in target.name:
        if not re.fullmatch(r"[^%]*%0?\d*d[^%]*", target.name):
            raise MediaError(
                f"output: a PNG pattern must hold one number like %05d, got {target.name}"
            )
        return _Target(path=target.parent, format=_PNG, png_name=target.name)
    if text.endswith(("/", os.sep)) or target.is_dir():
        return _Target(path=target, format=_PNG, png_name="%05d.png")
    if (chosen := _FORMATS.get(target.suffix.lower())) is None:
        raise MediaError(f"output: the name must end in {_CHOICES}; got {target.name!r}")
    return _Target(path=target, format=chosen)


def can_be_transparent(path: str | os.PathLike[str]) -> bool:
    """Whether an output of this name can hold an alpha channel.

    Args:
        path: output name, as for `VideoWriter.open`.

    Raises:
        MediaError: nothing can be written under such a name; the message lists what can.
    """
    return _parse_target(path).format.alpha_codec is not None


def can_hold_audio(path: str | os.PathLike[str]) -> bool:
    """Whether an output of this name can hold sound.

    Args:
        path: output name, as for `VideoWriter.open`.

    Raises:
        MediaError: nothing can be written under such a name; the message lists what can.
    """
    return _parse_target(path).format.audio_codec is not None


class VideoWriter:
    """Writes one output; use as a context manager, and call `finish` inside of it.

    Leaving the block without `finish` (an error, Ctrl-C) aborts: nothing appears at the output's
    place. With `resume=True` the finished segments stay for the next run, else they go as well.
    """

    def __init__(
        self,
        *,
        target: _Target,
        size_hw: tuple[int, int],
        fps: Fraction,
        clock: Fraction,
        has_alpha: bool,
        crf: int,
        preset: str,
        num_threads: int,
        segment_frames: int,
        fingerprint: str,
        resume: bool,
        overwrite: bool,
        metadata: Mapping[str, str],
    ) -> None:
        self._target = target
        self._format = target.format
        self._size_hw = size_hw
        self._fps = fps
        self._clock = clock
        self._has_alpha = has_alpha
        self._crf = crf
        self._preset = preset
        self._num_threads = num_threads
        self._segment_frames = segment_frames
        self._resume = resume
        self._overwrite = overwrite
        self._metadata = dict(metadata)
        self._is_open = True
        self._reformatter = VideoReformatter()
        self._container: OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._pending: list[int] = []  # ticks of the frames of the open segment

        # Whatever changes the encoded bits; a different one cannot be continued.
        self._settings = {
            "version": MANIFEST_VERSION,
            "fingerprint": fingerprint,
            "codec": self._codec,
            "pixel_format": self._pixel_format,
            "png_name": target.png_name,
            "size_hw": list(size_hw),
            "fps": str(fps),
            "clock": str(clock),
            "crf": crf,
            "preset": preset,
            "num_threads": num_threads,
            "segment_frames": segment_frames,
            "metadata": self._metadata if self._format is _PNG else {},
            "libraries": {name: list(v) for name, v in av.library_versions.items()},
        }
        self._parts = target.path.parent / f".{target.path.name}.parts"
        self._segments: list[dict] = []
        with self._writing():
            self._parts.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(self._parts.with_name(self._parts.name + ".lock"))
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise MediaError(
                f"output: {target.path.name} is being written by another run; "
                "wait for it or choose another name"
            ) from error
        try:
            self._prepare_parts()
        except BaseException:
            self._unlock()
            raise

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        size_hw: tuple[int, int],
        fps: Fraction,
        has_alpha: bool = False,
        crf: int = 18,
        preset: str = "veryfast",
        num_threads: int | None = None,
        segment_frames: int = SEGMENT_FRAMES,
        fingerprint: str = "",
        resume: bool = False,
        overwrite: bool = False,
        time_base: Fraction | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Self:
        """Start or continue an output.

        Args:
            path: the name decides the format: .mp4, .m4v, .mkv (H.264), .webm (VP9), .mov
                (ProRes), .gif, a folder or 'NAME_%05d.png' (PNG frames, numbered from 0).
            size_hw: height and width of the frames in pixels. H.264 needs even sizes: an odd one
                is filled up by repeating the last row or column.
            fps: nominal rate: the duration of the last frame, and the unit of the clock.
            has_alpha: frames are RGBA and the output is transparent.
            crf: quality of H.264 and VP9, 0 (best) to 51, on x264's scale.
            preset: x264's name for speed against size; VP9 takes its fast mode up to 'faster'.
            num_threads: encoder threads; None is one per core. Part of what decides the bits.
            segment_frames: frames per segment: what a crash can cost.
            fingerprint: whatever identifies this render (inputs, settings); a run with another
                one starts anew.
            resume: continue after the finished segments of a run with the same fingerprint and
                the same settings, and keep finished segments when this run is aborted.
            overwrite: replace an existing output when finishing.
            time_base: clock of the frame times in seconds per tick; None is one that holds
                k / fps exactly and others to within 6 us.
            metadata: tags to write, as in `finish`; a PNG sequence takes them from here only.

        Returns:
            An open writer; `num_finished_frames` says where to continue.

        Raises:
            MediaError: a name or setting that cannot be used, or an existing output.
        """
        target = _parse_target(path)
        chosen = target.format
        height, width = size_hw
        if height < 2 or width < 2:
            raise MediaError(f"size_hw must be at least 2x2, got {height}x{width}")
        fps = Fraction(fps)
        if not 0 < fps <= MAX_FPS:
            raise MediaError(f"fps must be above 0 and at most {MAX_FPS}, got {fps}")
        if has_alpha and chosen.alpha_codec is None:
            raise MediaError(
                f"output: {chosen.title} cannot be transparent, got {target.path.name}; "
                "choose .webm, .mov, .gif or a folder of PNG frames"
            )
        if not 0 <= crf <= 51:
            raise MediaError(f"crf must lie in 0 (best) to 51, got {crf}")
        if preset not in X264_PRESETS:
            raise MediaError(f"preset must be one of {', '.join(X264_PRESETS)}; got {preset!r}")
        if segment_frames < 1:
            raise MediaError(f"segment_frames must be at least 1, got {segment_frames}")
        if chosen.container == "gif" and fps > 50:
            warnings.warn(
                f"players show GIF frames for 0.02 s at least: {float(fps):g} frames/s will look "
                "slow; choose 50 or fewer",
                stacklevel=2,
            )
        existing = target.existing()
        if existing and not overwrite:
            raise MediaError(
                f"output: {existing[0]} already exists; choose another name or allow overwriting"
            )
        if chosen is not _PNG and target.path.is_dir():
            raise MediaError(f"output: {target.path} is a folder; choose another name")
        return cls(
            target=target,
            size_hw=(height, width),
            fps=fps,
            clock=time_base or _default_clock(fps),
            has_alpha=has_alpha,
            crf=crf,
            preset=preset,
            num_threads=num_threads or os.cpu_count() or 1,
            segment_frames=segment_frames,
            fingerprint=fingerprint,
            resume=resume,
            overwrite=overwrite,
            metadata=metadata or {},
        )

    @property
    def num_finished_frames(self) -> int:
        """Frames in finished segments; a resumed run writes frame number this first."""
        return sum(s["num_frames"] for s in self._segments)

    @property
    def num_frames(self) -> int:
        """Frames written so far, finished or not."""
        return self.num_finished_frames + len(self._pending)

    def write(self, frame: np.ndarray, time: Fraction) -> None:
        """Add the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB, or (H, W, 4) RGBA (straight alpha) with `has_alpha`.
            time: when it is shown, in seconds since the start of the output; must increase.

        Raises:
            MediaError: wrong shape, type or time, or it cannot be encoded or stored.
        """
        self._check_open()
        expected = (*self._size_hw, 4 if self._has_alpha else 3)
        if frame.shape != expected or frame.dtype != np.uint8:
            raise MediaError(
                f"frame must be uint8 of shape {expected}, got {frame.dtype} {frame.shape}"
            )
        ticks = round(Fraction(time) / self._clock)
        if ticks < 0 or ticks <= (last := self._last_ticks()):
            raise MediaError(
                f"frame times must start at 0 or later and increase, got {float(time):g} s "
                f"for frame {self.num_frames}"
                + (f" after {float(last * self._clock):g} s" if self.num_frames else "")
            )
        with self._writing():
            if self._format is _PNG:
                self._write_png(frame)
            else:
                self._encode(frame, ticks)
            self._pending.append(ticks)
            if len(self._pending) == self._segment_frames:
                self._finish_segment()

    def finish(
        self,
        *,
        audio: AudioRange | None = None,
        metadata: Mapping[str, str] | None = None,
        end_seconds: Fraction | None = None,
    ) -> Path:
        """Join the segments, add sound and tags, and put the output in its place.

        Args:
            audio: the sound to carry over, cut or padded to the length of the video; a source
                without sound gives a silent output. GIF and PNG have none: a warning says so.
            metadata: tags such as title and comment, and any others; added to those of `open`.
                GIF stores them as a comment, PNG only those given to `open`.
            end_seconds: when the last frame ends; None is one nominal frame after it starts.

        Returns:
            The output: a file, or the folder of a PNG sequence.

        Raises:
            MediaError: no frame was written, or the output cannot be stored.
        """
        self._check_open()
        if self.num_frames == 0:
            raise MediaError("output: a video must have at least one frame, got none")
        tags = self._metadata | dict(metadata or {})
        with self._writing():
            if self._pending:
                self._finish_segment()
            end = Fraction(end_seconds) if end_seconds else self._last_time() + 1 / self._fps
            last_ticks = max(1, round((end - self._last_time()) / self._clock))
            if audio is not None and self._format.audio_codec is None:
                warnings.warn(f"a {self._format.title} has no sound", stacklevel=2)
            if self._format is _PNG:
                self._place_pngs()
            else:
                result = self._parts / f"result{self._target.path.suffix.lower()}"
                if self._format.container == "gif":
                    self._join_gif(result, tags, end)
                else:
                    sound = None
                    if audio is not None and self._format.audio_codec is not None:
                        sound = extract_audio(
                            audio,
                            duration_seconds=end,
                            codec=self._format.audio_codec,
                            folder=self._parts,
                        )
                    self._join(result, tags, sound, last_ticks)
                self._check_overwrite()
                os.replace(result, self._target.path)
        self._is_open = False
        self._remove_parts()
        self._unlock()
        return self._target.path

    def abort(self) -> None:
        """Stop without an output; finished segments stay only with `resume=True`."""
        if not self._is_open:
            return
        self._is_open = False
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._container.close()
            self._container = self._stream = None
        self._pending = []
        if not (self._resume and self._segments):
            self._remove_parts()
        self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    # --- segments ---------------------------------------------------------------------------------

    @property
    def _codec(self) -> str:
        return (self._format.alpha_codec if self._has_alpha else None) or self._format.codec

    @property
    def _pixel_format(self) -> str:
        alpha = self._format.alpha_pixel_format if self._has_alpha else None
        return alpha or self._format.pixel_format

    @property
    def _coded_hw(self) -> tuple[int, int]:
        height, width = self._size_hw
        if self._codec == "libx264":  # 4:2:0 with odd sizes is not possible
            return height + height % 2, width + width % 2
        return height, width

    def _prepare_parts(self) -> None:
        """Take over the finished segments of an earlier run, or start with an empty folder."""
        manifest = self._read_manifest() if self._resume else None
        if manifest is not None and manifest.get("settings") == self._settings:
            for segment in manifest["segments"]:
                path = self._segment_path(len(self._segments))
                if self._format is not _PNG and (
                    not path.is_file() or path.stat().st_size != segment["num_bytes"]
                ):
                    break
                self._segments.append(segment)
        with self._writing():
            if not self._segments:
                shutil.rmtree(self._parts)
                self._parts.mkdir()
            if self._format is _PNG:
                (self._parts / "frames").mkdir(exist_ok=True)
            self._write_manifest()

    def _read_manifest(self) -> dict | None:
        try:
            return json.loads((self._parts / "manifest.json").read_text())
        except (OSError, ValueError):
            return None

    def _write_manifest(self) -> None:
        manifest = {
            "settings": self._settings,
            "num_finished_frames": self.num_finished_frames,
            "segments": self._segments,
        }
        temporary = self._parts / "manifest.json.new"
        temporary.write_text(json.dumps(manifest, indent=1))
        os.replace(temporary, self._parts / "manifest.json")

    def _segment_path(self, index: int) -> Path:
        return self._parts / f"{index:05d}{self._format.segment_suffix}"

    def _encode(self, frame: np.ndarray, ticks: int) -> None:
        if self._container is None or self._stream is None:
            self._container, self._stream = self._open_segment()
        coded_height, coded_width = self._coded_hw
        height, width = self._size_hw
        if (coded_height, coded_width) != (height, width):
            padding = ((0, coded_height - height), (0, coded_width - width), (0, 0))
            frame = np.pad(frame, padding, mode="edge")
        image = av.VideoFrame.from_numpy_buffer(
            np.ascontiguousarray(frame), format="rgba" if self._has_alpha else "rgb24"
        )
        is_yuv = self._pixel_format.startswith("yuv")
        picture = self._reformatter.reformat(
            image,
            format=self._pixel_format,
            dst_colorspace=Colorspace.ITU709 if is_yuv else None,
            dst_color_range=ColorRange.MPEG if is_yuv else None,
            threads=1,
        )
        # Each segment starts at 0 for its own container; the true times are in the sidecar.
        picture.pts = ticks - (self._pending[0] if self._pending else ticks)
        picture.time_base = self._clock
        self._container.mux(self._stream.encode(picture))

    def _open_segment(self) -> tuple[OutputContainer, av.VideoStream]:
        path = self._segment_path(len(self._segments))
        container = av.open(str(path), "w")
        try:
            stream = container.add_stream(
                self._codec, rate=self._fps, options=self._codec_options(), time_base=self._clock
            )
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width = self._coded_hw
            stream.pix_fmt = self._pixel_format
            context = stream.codec_context
            context.time_base = self._clock
            context.thread_count = self._num_threads
            if self._pixel_format.startswith("yuv"):
                context.color_range = ColorRange.MPEG
                context.colorspace = context.color_primaries = context.color_trc = _BT709
        except BaseException:
            container.close()
            raise
        return container, stream

    def _codec_options(self) -> dict[str, str]:
        if self._codec == "libx264":
            # stitchable: every segment gets the same headers, so that they can be joined.
            return {"crf": str(self._crf), "preset": self._preset, "x264-params": "stitchable=1"}
        if self._codec == "libvpx-vp9":
            quick = self._preset in _QUICK_PRESETS
            return {
                "crf": str(round(self._crf * 63 / 51)),
                "b": "0",
                "deadline": "realtime" if quick else "good",
                "cpu-used": "7" if quick else "3",
                "row-mt": "1",
                "auto-alt-ref": "0",  # hidden frames and alpha do not go together
            }
        if self._codec == "prores_ks":
            if self._has_alpha:
                return {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}
            return {"profile": "hq", "vendor": "apl0"}
        return {}

    def _finish_segment(self) -> None:
        """Close the open segment and only then note it in the manifest."""
        index = len(self._segments)
        segment: dict = {
            "num_frames": len(self._pending),
            "first_ticks": self._pending[0],
            "last_ticks": self._pending[-1],
        }
        if self._format is not _PNG:
            assert self._container is not None and self._stream is not None
            container, self._container = self._container, None
            try:
                container.mux(self._stream.encode())
            finally:
                self._stream = None
                container.close()
            path = self._segment_path(index)
            order = _decoding_order(path)
            if len(order) != len(self._pending):
                raise MediaError(
                    f"output: the encoder must keep every frame, "
                    f"got {len(order)} of {len(self._pending)}; choose another format"
                )
            ticks = [self._pending[rank] for rank in order]
            path.with_suffix(".json").write_text(json.dumps(ticks))
            segment["num_bytes"] = path.stat().st_size
            segment["reorder"] = max(i - rank for i, rank in enumerate(order))
        self._segments.append(segment)
        self._pending = []
        self._write_manifest()

    # --- joining ----------------------------------------------------------------------------------

    def _join(
        self, result: Path, tags: Mapping[str, str], sound: Path | None, last_ticks: int
    ) -> None:
        """Stream copy of all segments and of the sound, interleaved by time."""
        options = {"fflags": "+bitexact"}  # no random ids: the same input gives the same bytes
        if self._format.container in ("mp4", "mov"):
            options["movflags"] = "+faststart+use_metadata_tags"
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(
                av.open(str(result), "w", format=self._format.container, container_options=options)
            )
            output.metadata.update(tags)
            first = stack.enter_context(av.open(str(self._segment_path(0))))
            template = first.streams.video[0]
            video = output.add_stream_from_template(template, opaque=True)
            video.time_base = self._clock
            if self._has_alpha and self._format.container == "webm":
                video.metadata["alpha_mode"] = "1"
            sources = [
                self._video_packets(
                    video, bytes(template.codec_context.extradata or b""), last_ticks
                )
            ]
            if sound is not None:
                sound_file = stack.enter_context(av.open(str(sound)))
                sources.append(_audio_packets(output, sound_file))
            for packet in heapq.merge(*sources, key=_decoding_seconds):
                output.mux_one(packet)

    def _video_packets(
        self, stream: av.VideoStream, extradata: bytes, last_ticks: int
    ) -> Iterator[av.Packet]:
        """All packets with their true times, decoding times made anew over segment borders."""
        delay = max(s["reorder"] for s in self._segments)
        nominal = max(1, round(1 / self._fps / self._clock))
        start = self._segments[0]["first_ticks"]
        shown = deque(start - (delay - i) * nominal for i in range(delay))
        for index in range(len(self._segments)):
            path = self._segment_path(index)
            ticks = json.loads(path.with_suffix(".json").read_text())
            shown.extend(sorted(ticks))
            with av.open(str(path)) as segment:
                source = segment.streams.video[0]
                if bytes(source.codec_context.extradata or b"") != extradata:
                    raise MediaError(
                        f"output: the segments of {self._target.path.name} do not fit together; "
                        "render it again without resuming"
                    )
                packets = (p for p in segment.demux(source) if p.size)
                for packet, pts in zip(packets, ticks, strict=True):
                    packet.stream = stream
                    packet.time_base = self._clock
                    packet.pts, packet.dts = pts, shown.popleft()
                    is_last = pts == self._segments[-1]["last_ticks"]
                    packet.duration = last_ticks if is_last else nominal
                    yield packet

    def _join_gif(self, result: Path, tags: Mapping[str, str], end: Fraction) -> None:
        """Two passes over the lossless segments: one palette for all frames, then the frames."""
        height, width = self._size_hw
        pixel_format = av.VideoFormat(self._pixel_format)

        def add_buffer(graph: Graph) -> av.filter.context.FilterContext:
            return graph.add_buffer(
                width=width, height=height, format=pixel_format, time_base=_GIF_CLOCK
            )

        graph = Graph()
        graph.link_nodes(
            add_buffer(graph), graph.add("palettegen"), graph.add("buffersink")
        ).configure()
        for frame in self._gif_frames():
            graph.push(frame)
        graph.push(None)
        palette = graph.vpull()

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
        palette.pts = 0
        palette_in.push(palette)
        palette_in.push(None)
        final_delay = max(1, round((end - self._last_time()) / _GIF_CLOCK))
        with av.open(
            str(result), "w", format="gif", container_options={"final_delay": str(final_delay)}
        ) as output:
            stream = output.add_stream("gif", rate=self._fps, time_base=_GIF_CLOCK)
            stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
            for frame in self._gif_frames():
                frames_in.push(frame)
                output.mux(stream.encode(_pull(sink)))
            frames_in.push(None)
            output.mux(stream.encode())
        if tags:
            _add_gif_comment(result, "\n".join(f"{k}: {v}" for k, v in tags.items()))

    def _gif_frames(self) -> Iterator[av.VideoFrame]:
        last = -1
        for index in range(len(self._segments)):
            path = self._segment_path(index)
            ticks = json.loads(path.with_suffix(".json").read_text())
            with av.open(str(path)) as segment:
                for frame, tick in zip(segment.decode(video=0), ticks, strict=True):
                    frame.pts = last = max(last + 1, round(tick * self._clock / _GIF_CLOCK))
                    frame.time_base = _GIF_CLOCK
                    yield frame

    # --- PNG sequences ----------------------------------------------------------------------------

    def _write_png(self, frame: np.ndarray) -> None:
        info = PngImagePlugin.PngInfo()
        for key, value in self._metadata.items():
            info.add_itxt(key, value)
        name = self._target.png_name % self.num_frames
        Image.fromarray(frame).save(
            self._parts / "frames" / name, format="PNG", pnginfo=info, compress_level=3
        )

    def _place_pngs(self) -> None:
        """A new folder appears in one step; in an existing one each frame does."""
        frames = self._parts / "frames"
        wanted = {self._target.png_name % i for i in range(self.num_frames)}
        for path in frames.iterdir():  # of a segment that an earlier run did not finish
            if path.name not in wanted:
                path.unlink()
        self._check_overwrite()
        if not self._target.path.exists():
            os.replace(frames, self._target.path)
            return
        for path in self._target.existing():
            path.unlink()
        for path in sorted(frames.iterdir()):
            os.replace(path, self._target.path / path.name)

    # --- bookkeeping ------------------------------------------------------------------------------

    def _last_ticks(self) -> int:
        if self._pending:
            return self._pending[-1]
        return self._segments[-1]["last_ticks"] if self._segments else -1

    def _last_time(self) -> Fraction:
        return self._last_ticks() * self._clock

    def _check_open(self) -> None:
        if not self._is_open:
            raise MediaError("output: the writer is closed; open it again with resume=True")

    def _check_overwrite(self) -> None:
        if not self._overwrite and (existing := self._target.existing()):
            raise MediaError(
                f"output: {existing[0]} has appeared meanwhile; "
                "choose another name or allow overwriting"
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Failures of the encoder or the disk as one line."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            remedy = "free disk space" if full else "check the folder and its permissions"
            raise MediaError(
                f"output: {self._target.path} could not be written: "
                f"{getattr(error, 'strerror', None) or error}; {remedy} or choose another place"
            ) from error

    def _remove_parts(self) -> None:
        shutil.rmtree(self._parts, ignore_errors=True)

    def _unlock(self) -> None:
        self._lock.release()
        if not self._parts.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)


def _default_clock(fps: Fraction) -> Fraction:
    """Seconds per tick of the slowest clock of at least 90 kHz that holds k / fps exactly."""
    return Fraction(1, fps.numerator * -(-MIN_CLOCK_HZ // fps.numerator))


def _decoding_order(path: Path) -> list[int]:
    """For each stored picture, its place in presentation order."""
    with av.open(str(path)) as segment:
        stamps = [p.pts for p in segment.demux(video=0) if p.size and p.pts is not None]
    rank = {pts: i for i, pts in enumerate(sorted(stamps))}
    return [rank[pts] for pts in stamps]


def _audio_packets(
    output: OutputContainer, sound: av.container.InputContainer
) -> Iterator[av.Packet]:
    source = sound.streams.audio[0]
    stream = output.add_stream_from_template(source)

    def packets() -> Iterator[av.Packet]:
        for packet in sound.demux(source):
            if packet.size:
                packet.stream = stream
                yield packet

    return packets()


def _decoding_seconds(packet: av.Packet) -> Fraction:
    assert packet.dts is not None
    return packet.dts * packet.time_base


def _pull(sink: av.filter.context.FilterContext) -> av.VideoFrame:
    frame = sink.pull()
    assert isinstance(frame, av.VideoFrame)
    return frame


def _add_gif_comment(path: Path, text: str) -> None:
    """Append a comment extension (FFmpeg's muxer has none): sub-blocks before the trailer byte."""
    data = text.encode("utf-8")
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        assert file.read(1) == b"\x3b"
        file.seek(-1, os.SEEK_END)
        file.write(b"\x21\xfe")
        for i in range(0, len(data), 255):
            block = data[i : i + 255]
            file.write(bytes([len(block)]) + block)
        file.write(b"\x00\x3b")
