"""Clips that carry their frame number in the picture, and sound with a beep at a known time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from .clips import SAMPLE_RATE, SIZE_HW, draw


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Write a clip with PyAV alone, so that reading is not tested against our own writing."""

    def make(
        name: str = "clip.mp4",
        *,
        num_frames: int = 30,
        fps: Fraction = Fraction(30),
        times: Sequence[Fraction] | None = None,
        size_hw: tuple[int, int] = SIZE_HW,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
        rotation: tuple[float, bool, bool] | None = None,
        sample_aspect: Fraction | None = None,
        video_delay: Fraction = Fraction(0),
        audio_delay: Fraction = Fraction(0),
        beep_at: float | None = None,
        audio_seconds: float | None = None,
        flash_frame: int | None = None,
    ) -> Path:
        path = tmp_path / name
        times = times or [i / fps for i in range(num_frames)]
        clock = {"gif": Fraction(1, 100), "mpeg4": 1 / fps}.get(codec, Fraction(1, 90000))
        with av.open(str(path), "w") as output:
            video = output.add_stream(codec, rate=fps, options=options or {}, time_base=clock)
            video.height, video.width = size_hw
            video.pix_fmt = pix_fmt
            video.codec_context.time_base = clock
            if rotation is not None:
                video.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
            if sample_aspect is not None:
                video.codec_context.sample_aspect_ratio = sample_aspect
            audio = None
            if beep_at is not None:
                audio = output.add_stream("aac", rate=SAMPLE_RATE)
                audio.layout = "mono"
            packets: list[av.Packet] = []
            for i, time in enumerate(times):
                rgb = draw(i, size_hw)
                if flash_frame is not None:
                    rgb[:] = 255 if i == flash_frame else 0
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame = frame.reformat(format="rgb8" if codec == "gif" else pix_fmt)
                frame.pts, frame.time_base = round((time + video_delay) / clock), clock
                packets += video.encode(frame)
            packets += video.encode()
            if audio is not None:
                seconds = audio_seconds or float(times[-1] + 1 / fps)
                t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
                is_on = (t >= beep_at) & (t < beep_at + 0.1)
                wave = (0.8 * np.sin(2 * np.pi * 1000 * t) * is_on).astype(np.float32)
                for k in range(0, len(wave), 1024):
                    sound = av.AudioFrame.from_ndarray(
                        wave[None, k : k + 1024], format="fltp", layout="mono"
                    )
                    sound.sample_rate = SAMPLE_RATE
                    sound.pts = k + round(audio_delay * SAMPLE_RATE)
                    sound.time_base = Fraction(1, SAMPLE_RATE)
                    packets += audio.encode(sound)
                packets += audio.encode()
            for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
                output.mux(packet)
        return path

    return make


@pytest.fixture(scope="session")
def run_ffmpeg() -> Callable[..., None]:
    def run(*arguments: str | Path) -> None:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error"]
        subprocess.run([*command, *map(str, arguments)], check=True)

    return run


@pytest.fixture(scope="session")
def real_media() -> Path:
    """Real photos and clips that cannot be distributed; tests with them skip elsewhere."""
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("MOTION_TRANSFER_MEDIA", root / "../shared/media")).resolve()
    if not folder.is_dir():
        pytest.skip("no folder of real media: set MOTION_TRANSFER_MEDIA")
    return folder
