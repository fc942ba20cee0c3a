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
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import filelock
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from PIL import Image, PngImagePlugin

from motion_transfer.errors import MediaError
from motion_transfer.media.audio import AudioRange, extract_audio
from motion_transfer.media.decode import MAX_FPS
from motion_transfer.media.formats import PNG, Target, parse_target
from motion_transfer.media.join import Segment, close_segment, join_gif, join_segments

MANIFEST_VERSION = 1
SEGMENT_FRAMES = 240
MAX_THREADS = 16  # x264 loses quality with more
MIN_CLOCK_HZ = 90_000  # ticks per second; variable frame times are kept to within 6 us
X264_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip
_QUICK_PRESETS = X264_PRESETS[:4]  # VP9 takes its real-time mode for these
_BT709 = 1  # the same number as matrix, primaries and transfer


class VideoWriter:
    """Writes one output; use as a context manager, and call `finish` inside of it.

    Leaving the block without `finish` (an error, Ctrl-C) aborts: nothing appears at the output's
    place. With `resume=True` or `keep_parts=True` the finished segments stay for a later run with
    `resume=True`, else they go as well.
    """

    def __init__(
        self,
        *,
        target: Target,
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
        keep_parts: bool,
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
        self._keep_parts = keep_parts or resume
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
            "metadata": self._metadata if self._format is PNG else {},
            "libraries": {name: list(v) for name, v in av.library_versions.items()},
        }
        self._parts = target.path.parent / f".{target.path.name}.parts"
        self._segments: list[Segment] = []
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
        keep_parts: bool = False,
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
            num_threads: encoder threads; None is one per core, at most 16. Part of what decides
                the bits.
            segment_frames: frames per segment: what a crash can cost.
            fingerprint: whatever identifies this render (inputs, settings); a run with another
                one starts anew.
            resume: continue after the finished segments of a run with the same fingerprint and
                the same settings; implies `keep_parts`.
            keep_parts: keep finished segments when this run is aborted, for a later one to resume.
            overwrite: replace an existing output when finishing.
            time_base: clock of the frame times in seconds per tick; None is one that holds
                k / fps exactly and others to within 6 us.
            metadata: tags to write, as in `finish`; a PNG sequence takes them from here only.

        Returns:
            An open writer; `num_finished_frames` says where to continue.

        Raises:
            MediaError: a name or setting that cannot be used, or an existing output.
        """
        target = parse_target(path)
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
        if chosen is not PNG and target.path.is_dir():
            raise MediaError(f"output: {target.path} is a folder; choose another name")
        return cls(
            target=target,
            size_hw=(height, width),
            fps=fps,
            clock=time_base or _default_clock(fps),
            has_alpha=has_alpha,
            crf=crf,
            preset=preset,
            num_threads=num_threads or min(MAX_THREADS, os.cpu_count() or 1),
            segment_frames=segment_frames,
            fingerprint=fingerprint,
            resume=resume,
            keep_parts=keep_parts,
            overwrite=overwrite,
            metadata=metadata or {},
        )

    @property
    def num_finished_frames(self) -> int:
        """Frames in finished segments; a resumed run writes frame number this first."""
        return sum(s.num_frames for s in self._segments)

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
            if self._format is PNG:
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
        end = Fraction(end_seconds) if end_seconds else self._last_time() + 1 / self._fps
        sound = None
        if audio is not None and self._format.audio_codec is None:
            warnings.warn(f"a {self._format.title} has no sound", stacklevel=2)
        elif audio is not None and self._format.audio_codec is not None:
            sound = extract_audio(
                audio, duration_seconds=end, codec=self._format.audio_codec, folder=self._parts
            )
        with self._writing():
            if self._pending:
                self._finish_segment()
            if self._format is PNG:
                self._place_pngs()
            else:
                result = self._parts / f"result{self._target.path.suffix.lower()}"
                self._join(result, sound, tags, end)
                self._check_overwrite()
                os.replace(result, self._target.path)
        self._is_open = False
        self._remove_parts()
        self._unlock()
        return self._target.path

    def abort(self) -> None:
        """Stop without an output; finished segments stay only with `resume` or `keep_parts`."""
        if not self._is_open:
            return
        self._is_open = False
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._container.close()
            self._container = self._stream = None
        self._pending = []
        if not (self._keep_parts and self._segments):
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
            for fields in manifest["segments"]:
                segment = Segment(**fields)
                path = self._segment_path(len(self._segments))
                if self._format is not PNG and (
                    not path.is_file() or path.stat().st_size != segment.num_bytes
                ):
                    break
                self._segments.append(segment)
        with self._writing():
            if not self._segments:
                shutil.rmtree(self._parts)
                self._parts.mkdir()
            if self._format is PNG:
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
            "segments": [dataclasses.asdict(s) for s in self._segments],
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
            params = "stitchable=1"
            if max(self._coded_hw) < 256:
                params += ":mbtree=0"  # varies from run to run on a few macroblocks (1 in 500)
            return {"crf": str(self._crf), "preset": self._preset, "x264-params": params}
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
        if self._format is PNG:
            segment = Segment(
                num_frames=len(self._pending),
                first_ticks=self._pending[0],
                last_ticks=self._pending[-1],
            )
        else:
            assert self._container is not None and self._stream is not None
            container, self._container = self._container, None
            try:
                container.mux(self._stream.encode())
            finally:
                self._stream = None
                container.close()
            segment = close_segment(self._segment_path(len(self._segments)), self._pending)
        self._segments.append(segment)
        self._pending = []
        self._write_manifest()

    def _join(
        self, result: Path, sound: Path | None, tags: Mapping[str, str], end: Fraction
    ) -> None:
        paths = [self._segment_path(i) for i in range(len(self._segments))]
        if self._format.container == "gif":
            join_gif(result, paths, clock=self._clock, end_seconds=end, tags=tags)
            return
        join_segments(
            result,
            paths,
            self._segments,
            container=self._format.container,
            clock=self._clock,
            fps=self._fps,
            last_ticks=max(1, round((end - self._last_time()) / self._clock)),
            has_alpha=self._has_alpha,
            sound=sound,
            tags=tags,
        )

    # --- PNG sequences ----------------------------------------------------------------------------

    def _write_png(self, frame: np.ndarray) -> None:
        info = PngImagePlugin.PngInfo()
        for key, value in self._metadata.items():
            info.add_itxt(key, value)
        name = self._target.png_name % self.num_frames
        Image.fromarray(frame).save(
            self._parts / "frames" / name, format="PNG", pnginfo=info, compress_level=1
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
        return self._segments[-1].last_ticks if self._segments else -1

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
