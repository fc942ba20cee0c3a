from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motion_transfer.errors import MediaError
from motion_transfer.media.audio import AudioRange
from motion_transfer.media.decode import probe, read_frames
from motion_transfer.media.encode import VideoWriter

from .clips import beep_time, flash_time

NTSC = Fraction(30000, 1001)
MakeClip = Callable[..., Path]


def carry_over(source: Path, output: Path, *, start: float = 0, end: float | None = None) -> None:
    height, width = probe(source).size_hw
    with VideoWriter.open(output, size_hw=(height, width), fps=probe(source).fps) as writer:
        for frame in read_frames(source, start_seconds=start, end_seconds=end):
            writer.write(frame.rgb, frame.time)
        writer.finish(audio=AudioRange(path=source, start_seconds=start))


def audio_codec(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.name


def audio_end(path: Path) -> float:
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return float(frames[-1].pts * frames[-1].time_base) + frames[-1].samples / frames[-1].rate


LATE_VIDEO = {"video_delay": Fraction(1, 4)}
LATE_AUDIO = {"audio_delay": Fraction(3, 10)}


@pytest.mark.parametrize(
    ("name", "start", "options"),
    [
        ("out.mp4", 0, {}),
        ("out.mp4", 0.7, {}),
        ("out.mp4", 0, LATE_VIDEO),
        ("out.mp4", 0.5, LATE_VIDEO),
        ("out.mp4", 0, LATE_AUDIO),
        ("out.mp4", 0.5, LATE_AUDIO),
        ("out.mov", 0.5, LATE_VIDEO),
        ("out.mkv", 0, {}),
        ("out.mkv", 0.5, LATE_AUDIO),
        ("out.webm", 0, LATE_AUDIO),
        ("out.webm", 0.5, LATE_VIDEO),
    ],
)
def test_beep_and_flash_stay_together(
    make_clip: MakeClip, tmp_path: Path, name: str, start: float, options: dict
) -> None:
    flash = 36  # 1.2012 s after the first picture
    shown = flash / NTSC + options.get("video_delay", 0)
    source = make_clip(
        num_frames=60,
        fps=NTSC,
        flash_frame=flash,
        beep_at=float(shown - options.get("audio_delay", 0)),
        audio_seconds=2.6,
        **options,
    )
    assert abs(beep_time(source) - flash_time(source)) < 0.003
    carry_over(source, tmp_path / name, start=start)
    assert abs(beep_time(tmp_path / name) - flash_time(tmp_path / name)) < 1 / NTSC / 2
    info = probe(tmp_path / name)
    assert info.fps == NTSC and info.num_frames == (60 if start == 0 else 60 - round(start * NTSC))
    assert (
        abs(audio_end(tmp_path / name) - float(info.start_seconds + info.duration_seconds)) < 0.06
    )


def test_sound_is_copied_where_the_range_starts_with_the_file(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    source = make_clip(num_frames=60, fps=NTSC, beep_at=1.0, audio_seconds=2.5)
    carry_over(source, tmp_path / "out.mp4", end=1.5)

    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(p) for p in container.demux(audio=0) if p.size]

    got, want = packets(tmp_path / "out.mp4"), packets(source)
    assert got == want[: len(got)] and 60 < len(got) < len(want)
    carry_over(source, tmp_path / "out.webm")
    assert audio_codec(tmp_path / "out.webm") in ("opus", "libopus")


def test_short_sound_is_padded_with_silence(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(num_frames=60, fps=NTSC, beep_at=0.2, audio_seconds=0.5)
    carry_over(source, tmp_path / "out.mp4")
    assert abs(audio_end(tmp_path / "out.mp4") - 2.002) < 0.03
    assert abs(beep_time(tmp_path / "out.mp4") - 0.2) < 0.003


def test_a_silent_source_gives_a_silent_video(make_clip: MakeClip, tmp_path: Path) -> None:
    carry_over(make_clip(num_frames=5), tmp_path / "out.mp4")
    assert not probe(tmp_path / "out.mp4").has_audio


def test_gif_says_that_it_has_no_sound(make_clip: MakeClip, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="a GIF has no sound"):
        carry_over(make_clip(num_frames=5, beep_at=0.0), tmp_path / "out.gif")
    assert (tmp_path / "out.gif").is_file()


def test_variable_frame_times_keep_their_sound(make_clip: MakeClip, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    times = [Fraction(int(t), 1000) for t in np.cumsum(rng.integers(20, 70, 50))]
    times = [t - times[0] for t in times]
    source = make_clip(times=times, flash_frame=30, beep_at=float(times[30]), audio_seconds=3.0)
    carry_over(source, tmp_path / "out.mp4")
    got = [f.time for f in read_frames(tmp_path / "out.mp4")]
    assert max(abs(a - b) for a, b in zip(got, times, strict=True)) < 1e-5
    assert abs(beep_time(tmp_path / "out.mp4") - flash_time(tmp_path / "out.mp4")) < 0.01


def test_start_must_be_a_time() -> None:
    with pytest.raises(MediaError, match="audio start must be at least 0 s, got -1"):
        AudioRange(path="a.mp4", start_seconds=-1)


def test_unreadable_sound_is_left_out_with_a_warning(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip(num_frames=5, beep_at=0.0)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-such-program"))
    with pytest.warns(UserWarning, match="the sound of clip.mp4 could not be read .* is silent"):
        carry_over(source, tmp_path / "out.mp4")
    assert not probe(tmp_path / "out.mp4").has_audio
    with pytest.raises(FileNotFoundError, match="no such video"):
        with VideoWriter.open(tmp_path / "b.mp4", size_hw=(64, 96), fps=NTSC) as writer:
            writer.write(np.zeros((64, 96, 3), np.uint8), Fraction(0))
            writer.finish(audio=AudioRange(path=tmp_path / "none.mp4"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]
