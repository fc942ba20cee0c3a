from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motion_transfer.errors import MediaError
from motion_transfer.media.decode import probe, read_frames

from .clips import SIZE_HW, draw, number, numbers

NTSC = Fraction(30000, 1001)
MakeClip = Callable[..., Path]


def times(path: Path, **options) -> list[Fraction]:
    return [f.time for f in read_frames(path, **options)]


def test_frames_and_exact_times(make_clip: MakeClip) -> None:
    path = make_clip(num_frames=20, fps=NTSC)
    info = probe(path)
    assert info.fps == NTSC and not info.is_variable
    assert info.num_frames == 20 and info.duration_seconds == 20 / NTSC
    assert info.size_hw == SIZE_HW and info.bit_depth == 8 and info.codec == "h264"
    assert not info.has_audio and not info.is_hdr and info.rotation_degrees == 0
    frames = list(read_frames(path))
    assert numbers(frames) == list(range(20))
    assert [f.time for f in frames] == [i / NTSC for i in range(20)]
    assert all(f.rgb.flags.c_contiguous and f.rgb.dtype == np.uint8 for f in frames)
    assert np.abs(frames[3].rgb.astype(int) - draw(3)).mean() < 6


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), NTSC, Fraction(25), Fraction(60)])
def test_webm_clock_of_1_ms_is_undone(make_clip: MakeClip, fps: Fraction) -> None:
    path = make_clip("a.webm", num_frames=31, fps=fps, codec="libvpx-vp9")
    assert probe(path).fps == fps
    assert times(path) == [i / fps for i in range(31)]


def test_variable_frame_times_stay_exact(make_clip: MakeClip) -> None:
    given = [Fraction(t, 90000) for t in (0, 3000, 3600, 12000, 45000, 46001, 90007)]
    path = make_clip(times=given)
    assert probe(path).is_variable
    assert times(path) == given


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("vflip", [False, True])
def test_display_matrix(
    make_clip: MakeClip,
    run_ffmpeg: Callable,
    tmp_path: Path,
    degrees: int,
    hflip: bool,
    vflip: bool,
) -> None:
    path = make_clip(num_frames=2, rotation=(degrees, hflip, vflip))
    shown = tmp_path / "shown.png"  # the player's own idea of it
    run_ffmpeg("-i", path, "-frames:v", "1", shown)
    want = np.asarray(Image.open(shown).convert("RGB")).astype(int)
    frame = next(read_frames(path))
    assert probe(path).size_hw == want.shape[:2] == frame.rgb.shape[:2]
    assert np.abs(frame.rgb - want).mean() < 3
    if not hflip and not vflip:
        assert probe(path).rotation_degrees in (degrees, -degrees % 360)


@pytest.mark.parametrize(
    ("aspect", "size_hw"), [(Fraction(4, 3), (64, 128)), (Fraction(1, 2), (128, 96))]
)
def test_pixels_become_square(make_clip: MakeClip, aspect: Fraction, size_hw: tuple) -> None:
    path = make_clip(num_frames=3, sample_aspect=aspect)
    assert probe(path).size_hw == size_hw
    frames = list(read_frames(path))
    assert frames[0].rgb.shape[:2] == size_hw and numbers(frames) == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "depth"),
    [
        ("a.mp4", "libx264", "yuv420p10le", 10),
        ("a.mp4", "libx264", "yuv444p", 8),
        ("a.mov", "prores_ks", "yuv422p10le", 10),
        ("a.avi", "mpeg4", "yuv420p", 8),
        ("a.mkv", "ffv1", "bgr0", 8),
        ("a.gif", "gif", "rgb8", 8),
        ("a.mov", "mjpeg", "yuvj420p", 8),
        ("a.mp4", "libx265", "yuv420p10le", 10),
    ],
)
def test_codecs_and_depths(
    make_clip: MakeClip, name: str, codec: str, pix_fmt: str, depth: int
) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = make_clip(
        name, num_frames=6, fps=Fraction(25), codec=codec, pix_fmt=pix_fmt, options=options
    )
    assert probe(path).bit_depth == depth
    frames = list(read_frames(path))
    assert numbers(frames) == list(range(6))
    assert [f.time for f in frames] == [i / Fraction(25) for i in range(6)]
    if codec != "gif":
        assert np.abs(frames[2].rgb.astype(int) - draw(2)).mean() < 6


def test_hdr_is_reported_and_readable(make_clip: MakeClip, run_ffmpeg: Callable) -> None:
    path = make_clip(num_frames=3)
    hdr = path.with_name("hdr.mp4")
    run_ffmpeg(
        "-i", path, "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params",
        "log-level=none:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc", hdr,
    )  # fmt: skip
    assert probe(hdr).is_hdr and probe(hdr).bit_depth == 10
    assert numbers(list(read_frames(hdr))) == [0, 1, 2]


@pytest.mark.parametrize(
    ("start", "end", "first", "stop"),
    [
        (0, None, 0, 40), (0.5, None, 5, 40), (0.5, 1, 5, 10), (3.9, None, 39, 40),
        (0.54, 0.98, 5, 10), (0.56, 0.94, 6, 9), (2, 4, 20, 40), (2, 4.04, 20, 40),
        (1.0, 1.01, 10, 11),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_ranges_are_exact_to_the_frame(
    make_clip: MakeClip, name: str, start: float, end: float | None, first: int, stop: int
) -> None:
    if name == "a.mp4":
        path = make_clip(name, num_frames=40, fps=Fraction(10), options={"g": "12"})
    else:
        path = make_clip(name, num_frames=40, fps=Fraction(10), codec="gif", pix_fmt="rgb8")
    frames = list(read_frames(path, start_seconds=start, end_seconds=end))
    assert numbers(frames) == list(range(first, stop))
    assert [f.time for f in frames] == [Fraction(i, 10) for i in range(stop - first)]


def test_a_long_still_picture_is_on_display_at_the_start(make_clip: MakeClip) -> None:
    given = [Fraction(t) for t in (0, Fraction(1, 10), Fraction(2, 10), 3, Fraction(31, 10))]
    path = make_clip(times=given, fps=Fraction(10))
    frames = list(read_frames(path, start_seconds=1.0))
    assert numbers(frames) == [2, 3, 4]
    assert [f.time for f in frames] == [0, 2, Fraction(21, 10)]


@pytest.mark.parametrize(
    ("fps", "want"),
    [
        (Fraction(10), list(range(20))),
        (Fraction(5), list(range(0, 20, 2))),
        (Fraction(20), sorted([*range(1, 20), *range(20), 19])),
        (Fraction(15), [0, 1, 1, 2, 3, 3]),
    ],
)
def test_resampling_keeps_the_duration(make_clip: MakeClip, fps: Fraction, want: list) -> None:
    path = make_clip(num_frames=20, fps=Fraction(10))
    frames = list(read_frames(path, fps=fps))
    assert len(frames) == 2 * fps
    assert [f.time for f in frames] == [k / fps for k in range(len(frames))]
    assert numbers(frames)[: len(want)] == want


def test_resampling_holds_a_long_still_picture(make_clip: MakeClip) -> None:
    given = [Fraction(t) for t in (0, Fraction(1, 10), 1, Fraction(11, 10))]
    path = make_clip(times=given, fps=Fraction(10))
    got = numbers(list(read_frames(path, fps=Fraction(10))))
    assert got[:12] == [0, *[1] * 9, 2, 3]


def test_max_side(make_clip: MakeClip) -> None:
    path = make_clip(num_frames=2, size_hw=(120, 200), rotation=(90, False, False))
    frame = next(read_frames(path, max_side=100))
    assert frame.rgb.shape[:2] == (100, 60)
    assert probe(path).size_hw == (200, 120)
    assert next(read_frames(path, max_side=1000)).rgb.shape[:2] == (200, 120)


def test_time_starts_at_the_first_picture(make_clip: MakeClip) -> None:
    path = make_clip(num_frames=10, video_delay=Fraction(1, 4), beep_at=0.1)
    assert probe(path).start_seconds == Fraction(1, 4)
    assert times(path)[0] == 0
    assert numbers(list(read_frames(path, start_seconds=0.1))) == list(range(3, 10))


def test_a_folder_of_images(tmp_path: Path) -> None:
    for i in (0, 1, 2, 10, 11):
        Image.fromarray(draw(i)).save(tmp_path / f"frame_{i}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    Image.new("RGB", (5, 5)).save(tmp_path / ".thumb.png")
    assert probe(tmp_path).num_frames == 5 and probe(tmp_path).fps == 25
    frames = list(read_frames(tmp_path, fps=Fraction(10)))
    assert numbers(frames) == [0, 1, 2, 10, 11]
    assert frames[-1].time == Fraction(4, 10)
    some = read_frames(tmp_path, fps=Fraction(10), start_seconds=0.1, end_seconds=0.3, max_side=48)
    assert [(number(f.rgb), f.rgb.shape) for f in some] == [(1, (32, 48, 3)), (2, (32, 48, 3))]
    Image.new("RGB", (50, 50)).save(tmp_path / "frame_12.png")
    with pytest.raises(MediaError, match=r"frame_12.png: all images .* \(96x64\), got 50x50"):
        list(read_frames(tmp_path))
    with pytest.raises(MediaError, match="must hold images, found none"):
        (tmp_path / "empty").mkdir()
        read_frames(tmp_path / "empty")


def test_damage_in_the_middle_is_skipped_with_one_warning(make_clip: MakeClip) -> None:
    path = make_clip("a.mkv", num_frames=60, codec="mpeg4", options={"g": "1"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    with pytest.warns(UserWarning) as caught:
        got = numbers(list(read_frames(path)))
    assert len([w for w in caught if "damaged pictures" in str(w.message)]) <= 1
    assert got[0] == 0 and got[-1] == 59 and 30 < len(got) < 60


def test_a_truncated_file_plays_as_far_as_it_goes(make_clip: MakeClip) -> None:
    path = make_clip(num_frames=90, options={"g": "10"})
    whole = path.read_bytes()
    moov_first = path.with_name("fast.mp4")
    import av

    with (
        av.open(str(path)) as source,
        av.open(str(moov_first), "w", container_options={"movflags": "+faststart"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    moov_first.write_bytes(moov_first.read_bytes()[: int(len(whole) * 0.6)])
    with pytest.warns(UserWarning, match="fast.mp4 is truncated"):
        info = probe(moov_first)
    assert info.fps == 30 and 0.5 < info.duration_seconds < 2.5
    path.write_bytes(whole[: len(whole) // 2])  # the index was at the end
    with pytest.raises(MediaError, match=r"clip.mp4: a video must be a complete media file"):
        probe(path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "must not be empty, got 0 bytes"),
        (b"hello " * 100, "must be a complete media file such as MP4"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "must be a complete media file such as MP4"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "must be a complete media file such as"),
    ],
)
def test_not_a_video(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=match) as caught:
        read_frames(path)
    assert "\n" not in str(caught.value)


def test_a_still_image_and_sound_alone_are_not_videos(tmp_path: Path, run_ffmpeg: Callable) -> None:
    Image.fromarray(draw(0)).save(tmp_path / "a.png")
    with pytest.raises(MediaError, match=r"a.png: a video must have moving .* got a still image"):
        read_frames(tmp_path / "a.png")
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", tmp_path / "a.m4a")
    with pytest.raises(MediaError, match=r"a.m4a: a video must have moving .* got only sound"):
        probe(tmp_path / "a.m4a")
    with pytest.raises(FileNotFoundError, match="no such video"):
        probe(tmp_path / "none.mp4")


def test_one_frame_is_a_video(make_clip: MakeClip) -> None:
    path = make_clip(num_frames=1)
    assert probe(path).num_frames == 1
    assert times(path) == [0]


def test_arguments_are_checked_at_the_call(make_clip: MakeClip) -> None:
    path = make_clip(num_frames=30)
    for options, match in (
        ({"start_seconds": 1.0}, r"start must lie before the end of clip.mp4 \(1.000 s\), got 1"),
        ({"start_seconds": 0.5, "end_seconds": 0.5}, "end must be later than start"),
        ({"end_seconds": 2}, r"end must lie within clip.mp4 \(1.000 s\), got 2"),
        ({"start_seconds": -1}, "start must be a time in seconds, at least 0, got -1"),
        ({"end_seconds": float("nan")}, "end must be a time in seconds, at least 0, got nan"),
        ({"fps": Fraction(0)}, "fps must be above 0 and at most 1000, got 0"),
        ({"fps": Fraction(10**6)}, "fps must be above 0 and at most 1000"),
        ({"max_side": 1}, "max_side must be at least 2 px, got 1"),
    ):
        with pytest.raises(MediaError, match=match):
            read_frames(path, **options)
