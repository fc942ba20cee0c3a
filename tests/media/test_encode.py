import json
import resource
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from motion_transfer.errors import MediaError
from motion_transfer.media.decode import probe, read_frames
from motion_transfer.media.encode import VideoWriter
from motion_transfer.media.formats import can_be_transparent, can_hold_audio

from .clips import draw, numbers

NTSC = Fraction(30000, 1001)
ODD = (65, 97)
VIDEO_NAMES = ["a.mp4", "a.m4v", "a.mkv", "a.webm", "a.mov", "a.gif"]
ALPHA_NAMES = ["a.webm", "a.mov", "a.gif", "frames/", "f_%05d.png"]


def rgba(index: int) -> np.ndarray:
    alpha = np.zeros((*ODD, 1), np.uint8)
    alpha[20:40], alpha[40:] = 128, 255
    return np.concatenate([draw(index, ODD), alpha], axis=2)


def write(path: Path | str, num_frames: int = 10, *, times=None, stop=None, **options) -> None:
    """Write frames, from where the writer wants to continue; fail at `stop`."""
    options = {"size_hw": ODD, "fps": NTSC, "num_threads": 2} | options
    picture = rgba if options.get("has_alpha") else lambda i: draw(i, ODD)
    with VideoWriter.open(path, **options) as writer:
        for i in range(writer.num_finished_frames, num_frames):
            if i == stop:
                raise RuntimeError("stopped")
            writer.write(picture(i), times[i] if times else i / NTSC)
        writer.finish()


def everything_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize("name", VIDEO_NAMES)
def test_frames_rate_and_size(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, 25, segment_frames=10)
    info = probe(tmp_path / name)
    frames = list(read_frames(tmp_path / name))
    even = name in ("a.mp4", "a.m4v", "a.mkv")
    assert info.num_frames == len(frames) == 25
    assert info.size_hw == ((66, 98) if even else ODD)
    assert numbers(frames) == list(range(25))
    assert np.abs(frames[7].rgb[:65, :97].astype(int) - draw(7, ODD)).mean() < 6
    assert everything_in(tmp_path) == [name]
    if name != "a.gif":
        assert info.fps == NTSC and not info.is_variable
        assert [f.time for f in frames] == [i / NTSC for i in range(25)]
    else:
        assert abs(info.duration_seconds - 25 / NTSC) <= Fraction(1, 100)


def test_an_odd_size_repeats_the_last_row_and_column(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 1)
    rgb = next(read_frames(tmp_path / "a.mp4")).rgb.astype(int)
    assert np.abs(rgb[65, 30:] - rgb[64, 30:]).mean() < 6
    assert np.abs(rgb[30:, 97] - rgb[30:, 96]).mean() < 6


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.mov"])
def test_colours_are_tagged_bt709_and_match_the_tags(
    tmp_path: Path, run_ffmpeg: Callable, name: str
) -> None:
    patches = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (16, 16, 16), (200, 120, 90)]
    frame = np.zeros((64, 192, 3), np.uint8)
    for i, colour in enumerate(patches):
        frame[:, i * 32 : i * 32 + 32] = colour
    with VideoWriter.open(tmp_path / name, size_hw=(64, 192), fps=Fraction(25), crf=5) as writer:
        writer.write(frame, Fraction(0))
        writer.finish()
    with av.open(str(tmp_path / name)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert context.color_range == 1
    shown = tmp_path / "shown.png"  # a second opinion on the tags
    run_ffmpeg("-i", tmp_path / name, "-frames:v", "1", shown)
    for rgb in (next(read_frames(tmp_path / name)).rgb, np.asarray(Image.open(shown))):
        for i, colour in enumerate(patches):
            got = rgb[20:44, i * 32 + 8 : i * 32 + 24, :3].mean(axis=(0, 1))
            assert np.abs(got - colour).max() < 5, (colour, got)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.mov", "a.gif"])
def test_variable_times(tmp_path: Path, name: str) -> None:
    given = [
        Fraction(t, 12288) for t in (0, 512, 1024, 4000, 4512, 20000, 20512, 20800, 40000, 41000)
    ]
    write(tmp_path / name, times=given, segment_frames=4)
    frames = list(read_frames(tmp_path / name))
    tolerance = {"a.mp4": 6e-6, "a.mov": 6e-6, "a.gif": 0.0101}.get(name, 0.0011)
    assert numbers(frames) == list(range(10))
    assert max(abs(f.time - t) for f, t in zip(frames, given, strict=True)) <= tolerance
    assert probe(tmp_path / name).is_variable


def test_a_given_clock_is_exact(tmp_path: Path) -> None:
    given = [Fraction(t, 12288) for t in (0, 511, 1024, 4000, 4513)]
    write(tmp_path / "a.mp4", 5, times=given, time_base=Fraction(1, 12288))
    assert [f.time for f in read_frames(tmp_path / "a.mp4")] == given


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.gif"])
def test_the_last_frame_lasts_as_long_as_it_should(tmp_path: Path, name: str) -> None:
    with VideoWriter.open(tmp_path / name, size_hw=ODD, fps=Fraction(25)) as writer:
        for i, time in enumerate((Fraction(0), Fraction(1, 10), Fraction(1))):
            writer.write(draw(i, ODD), time)
        writer.finish(end_seconds=Fraction(3))
    assert probe(tmp_path / name).duration_seconds == 3


@pytest.mark.parametrize("name", ALPHA_NAMES)
def test_transparency_can_be_read_back(tmp_path: Path, name: str) -> None:
    write(f"{tmp_path}/{name}", 4, has_alpha=True)
    if name == "a.webm":
        with av.open(str(tmp_path / name)) as container:
            decoder = av.CodecContext.create("libvpx-vp9", "r")
            frames = [f for p in container.demux(video=0) for f in decoder.decode(p)]
            alphas = [f.to_ndarray(format="rgba")[..., 3] for f in frames]
    elif name in ("a.mov", "a.gif"):
        with av.open(str(tmp_path / name)) as container:
            alphas = [f.to_ndarray(format="rgba")[..., 3] for f in container.decode(video=0)]
    else:
        files = sorted(tmp_path.rglob("*.png"))
        alphas = [np.asarray(Image.open(p))[..., 3] for p in files]
        assert (np.asarray(Image.open(files[2])) == rgba(2)).all()
    assert len(alphas) == 4
    want = rgba(0)[..., 3]
    if name == "a.gif":
        want = np.where(want >= 128, 255, 0)
    for alpha in alphas:
        assert np.abs(alpha.astype(int) - want).mean() < 2


@pytest.mark.parametrize("name", VIDEO_NAMES)
def test_tags_can_be_read_back(tmp_path: Path, name: str) -> None:
    tags = {
        "title": "Tänzerin",
        "comment": "Synthetic: made by a program",
        "synthetic-media": "yes",
    }
    with VideoWriter.open(
        tmp_path / name, size_hw=(64, 64), fps=Fraction(25), metadata={"title": "Tänzerin"}
    ) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8), Fraction(0))
        writer.finish(metadata={k: v for k, v in tags.items() if k != "title"})
    with av.open(str(tmp_path / name)) as container:
        got = {k.lower(): v for k, v in container.metadata.items()}
    if name == "a.gif":
        assert got["comment"] == "\n".join(f"{k}: {v}" for k, v in tags.items())
    else:
        assert got.items() >= tags.items()


def test_png_frames_carry_the_tags(tmp_path: Path) -> None:
    write(f"{tmp_path}/frames/", 3, metadata={"Comment": "Synthetic ä"})
    assert everything_in(tmp_path / "frames") == ["00000.png", "00001.png", "00002.png"]
    with Image.open(tmp_path / "frames" / "00001.png") as image:
        assert image.info["Comment"] == "Synthetic ä"
        assert (np.asarray(image) == draw(1, ODD)).all()


@pytest.mark.parametrize(
    ("name", "has_alpha"),
    [(n, False) for n in VIDEO_NAMES] + [(n, True) for n in ALPHA_NAMES] + [("frames/", False)],
)
def test_a_resumed_run_equals_a_straight_one(tmp_path: Path, name: str, has_alpha: bool) -> None:
    options = {"segment_frames": 10, "resume": True, "fingerprint": "x", "has_alpha": has_alpha}
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    write(f"{straight}/{name}", 35, **options)
    for stop in (7, 24, 31):
        with pytest.raises(RuntimeError, match="stopped"):
            write(f"{resumed}/{name}", 35, stop=stop, **options)
        assert not [n for n in everything_in(resumed) if not n.startswith(".")]
    write(f"{resumed}/{name}", 35, **options)
    names = everything_in(straight)
    assert everything_in(resumed) == names
    for file in names:
        if (straight / file).is_file():
            assert (straight / file).read_bytes() == (resumed / file).read_bytes(), file


def test_what_a_run_can_be_continued_from(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    options = {"segment_frames": 10, "resume": True}
    with pytest.raises(RuntimeError):
        write(path, 35, stop=25, fingerprint="x", **options)
    manifest = json.loads((tmp_path / ".a.mp4.parts" / "manifest.json").read_text())
    assert manifest["num_finished_frames"] == 20
    assert manifest["settings"]["fingerprint"] == "x"

    def finished(**changed) -> int:
        given = {"size_hw": ODD, "fps": NTSC, "num_threads": 2, "fingerprint": "x"} | options
        with VideoWriter.open(path, **(given | changed)) as writer:
            return writer.num_finished_frames

    assert finished() == 20
    last = tmp_path / ".a.mp4.parts" / "00001.mp4"
    last.write_bytes(last.read_bytes()[:-5])  # a segment that was cut off
    assert finished() == 10
    assert finished(fingerprint="y") == 0
    assert everything_in(tmp_path) == []  # nothing finished: nothing stays


@pytest.mark.parametrize("name", [*VIDEO_NAMES, "frames/", "f_%05d.png"])
def test_an_aborted_run_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(RuntimeError, match="stopped"):
        write(f"{tmp_path}/{name}", 30, stop=25, segment_frames=10)
    assert everything_in(tmp_path) == []


def test_overwriting(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("precious")
    with pytest.raises(MediaError, match=r"output: .*a.mp4 already exists; choose another name"):
        write(tmp_path / "a.mp4")
    with pytest.raises(RuntimeError):
        write(tmp_path / "a.mp4", stop=5, overwrite=True)
    assert (tmp_path / "a.mp4").read_text() == "precious"
    write(tmp_path / "a.mp4", overwrite=True)
    assert probe(tmp_path / "a.mp4").num_frames == 10


def test_a_folder_that_exists_keeps_its_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, 12)
    with pytest.raises(MediaError, match=r"00000.png already exists"):
        write(tmp_path, 3)
    write(tmp_path, 3, overwrite=True)
    assert everything_in(tmp_path) == ["00000.png", "00001.png", "00002.png", "notes.txt"]


def test_two_runs_cannot_write_one_output(tmp_path: Path) -> None:
    with VideoWriter.open(tmp_path / "a.mp4", size_hw=ODD, fps=NTSC):
        with pytest.raises(MediaError, match="is being written by another run"):
            VideoWriter.open(tmp_path / "a.mp4", size_hw=ODD, fps=NTSC)
    assert everything_in(tmp_path) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(MediaError, match=r"output: .*a.mp4 could not be written: .*; free"):
            with VideoWriter.open(
                tmp_path / "a.mp4", size_hw=(128, 128), fps=NTSC, crf=0, segment_frames=20
            ) as writer:
                for i in range(60):
                    writer.write(np.roll(noise, i * 7, axis=1), i / NTSC)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything_in(tmp_path) == []


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    for name, options, match in (
        ("a.avi", {}, r"must end in .mp4, .m4v or .mkv .*; got 'a.avi'"),
        ("a", {}, "must end in .mp4"),
        ("a_%s.png", {}, "must hold one number like %05d"),
        (
            "a.mp4",
            {"has_alpha": True},
            "H.264 in MP4 cannot be transparent, got a.mp4; choose .webm",
        ),
        ("a.mp4", {"fps": Fraction(0)}, "fps must be above 0"),
        ("a.mp4", {"crf": 70}, r"crf must lie in 0 \(best\) to 51, got 70"),
        ("a.mp4", {"preset": "warp"}, "preset must be one of ultrafast, .*; got 'warp'"),
        ("a.mp4", {"size_hw": (0, 4)}, "size_hw must be at least 2x2, got 0x4"),
        ("a.mp4", {"segment_frames": 0}, "segment_frames must be at least 1"),
    ):
        with pytest.raises(MediaError, match=match):
            VideoWriter.open(tmp_path / name, **({"size_hw": ODD, "fps": NTSC} | options))
    assert everything_in(tmp_path) == []
    with pytest.warns(UserWarning, match=r"GIF frames for 0.02 s at least"):
        VideoWriter.open(tmp_path / "a.gif", size_hw=ODD, fps=Fraction(60)).abort()
    assert can_be_transparent("a.webm") and not can_be_transparent("a.mkv")
    assert can_hold_audio("a.webm") and not can_hold_audio("frames/")


def test_frames_that_cannot_be_used(tmp_path: Path) -> None:
    with VideoWriter.open(tmp_path / "a.mp4", size_hw=ODD, fps=NTSC) as writer:
        with pytest.raises(MediaError, match=r"frame must be uint8 of shape \(65, 97, 3\), got f"):
            writer.write(np.zeros((65, 97, 3)), Fraction(0))
        with pytest.raises(MediaError, match="must have at least one frame, got none"):
            writer.finish()
        writer.write(draw(0, ODD), Fraction(1))
        with pytest.raises(MediaError, match=r"increase, got 1 s for frame 1 after 1 s"):
            writer.write(draw(0, ODD), Fraction(1))
    with pytest.raises(MediaError, match="the writer is closed"):
        writer.write(draw(0, ODD), Fraction(2))
