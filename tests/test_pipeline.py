"""Photo and dance in, video out; with the real tracker, in small."""

from __future__ import annotations

import functools
import json
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from demo_clips import DEMOS, dance_frames, write_clip
from PIL import Image

from motion_transfer import compositing, pipeline, sidecar
from motion_transfer.driver import parse_fps, parse_person
from motion_transfer.errors import Cancelled, InputError, NoPersonError
from motion_transfer.generator.refined import RefinedGenerator
from motion_transfer.media.decode import probe, read_frames
from motion_transfer.media.encode import VideoWriter
from motion_transfer.pipeline import transfer
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.pose.track import PoseTrack
from motion_transfer.preview import track

NTSC = Fraction(30000, 1001)
QUICK = {"matte": "fast", "background": "teal"}
pytestmark = pytest.mark.timeout(120)


def pixels(path: Path) -> np.ndarray:
    return np.stack([frame.rgb for frame in read_frames(path)])


def left_over() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name in ("decode", "track", "render")]


@pytest.fixture(scope="module")
def made(tmp_path_factory, person: Path, dance: Path) -> pipeline.TransferResult:
    """One plain run that several tests look at."""
    output = tmp_path_factory.mktemp("made") / "out.mp4"
    return transfer(person, dance, output, matte="fast")


# --- what comes out -------------------------------------------------------------------------------


def test_as_many_frames_at_the_same_rate_with_the_sound(made, person: Path, dance: Path) -> None:
    # bug: 29.97 becomes 29 or 30, a frame is lost at the end, the sound is dropped
    info, driven = probe(made.output), probe(dance)
    assert made.num_frames == info.num_frames == driven.num_frames == 30
    assert info.fps == NTSC and not info.is_variable
    assert info.has_audio
    assert info.size_hw == (360, 270)
    assert made.num_missing == 0
    with av.open(str(made.output)) as container:
        sound = container.streams.audio[0]
        assert abs(float(sound.duration * sound.time_base) - 30 / NTSC) < 1 / NTSC


def test_the_person_moves(made) -> None:
    # bug: a still picture of the right length
    frames = pixels(made.output).astype(int)
    assert np.abs(frames[0] - frames[15]).mean() > 1


def test_sidecar_reproduces_the_run(made, person: Path, dance: Path, tmp_path: Path) -> None:
    # bug: a setting is missing in the sidecar, or something draws at random
    content = json.loads(made.sidecar.read_text())
    assert content["output_sha256"] == sidecar.sha256(made.output)
    again = transfer(person, dance, tmp_path / "out.mp4", **content["settings"])
    assert json.loads(again.sidecar.read_text())["output_sha256"] == content["output_sha256"]
    assert content["num_frames"] == 30
    assert content["seconds"].keys() == {"photo", "track", "render", "finish"}


def test_the_file_itself_says_synthetic(made) -> None:
    # bug: the note is lost as soon as the sidecar is
    with av.open(str(made.output)) as container:
        assert "Synthetic" in container.metadata["comment"]


def test_background_stands_exactly_still(person: Path, dance: Path, tmp_path, monkeypatch) -> None:
    # bug: the plate is converted, scaled or blended anew in every frame and shimmers
    boxes = []

    def record(drawn, background, over=compositing.over):
        boxes.append(drawn.box_xyxy)
        return over(drawn, background)

    monkeypatch.setattr(compositing, "over", record)
    result = transfer(person, dance, f"{tmp_path}/frames/", end=0.3, matte="fast")
    frames = [np.asarray(Image.open(p)) for p in sorted(result.output.iterdir())]
    assert len(frames) == len(boxes) == result.num_frames
    outside = np.ones(frames[0].shape[:2], bool)
    for x0, y0, x1, y1 in boxes:
        outside[y0:y1, x0:x1] = False
    assert outside.mean() > 0.2
    for frame in frames[1:]:
        assert np.array_equal(frame[outside], frames[0][outside])
    with Image.open(person) as photo:  # far from the person the plate is the photo itself
        assert np.array_equal(np.asarray(photo)[5:60, 5:40], frames[0][5:60, 5:40])


def test_transparent(person: Path, dance: Path, tmp_path: Path) -> None:
    # bug: alpha is thrown away, or the whole frame is opaque
    result = transfer(person, dance, tmp_path / "a.webm", background="transparent", matte="fast",
                      end=0.2)  # fmt: skip
    with av.open(str(result.output)) as container:
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        frames = [f for p in container.demux(video=0) if p.size for f in decoder.decode(p)]
    alpha = frames[0].to_ndarray(format="rgba")[..., 3]
    assert alpha[5:40, 5:40].max() < 8  # a corner is clear
    assert alpha.max() > 247  # the person is not
    assert 0.02 < (alpha > 128).mean() < 0.7


def test_side_by_side_shows_all_three(person: Path, dance: Path, tmp_path: Path) -> None:
    # bug: panels of wrong size or order
    result = transfer(person, dance, tmp_path / "a.mp4", side_by_side=True, end=0.2, **QUICK)
    driver_width = round(400 * 360 / 336)
    wide = driver_width + 270 + 270
    assert probe(result.output).size_hw == (360, wide + wide % 2)
    frame = pixels(result.output)[0].astype(int)
    with Image.open(person) as photo:
        shown = frame[:, driver_width : driver_width + 270]
        assert np.abs(shown - np.asarray(photo)).mean() < 6
    driven = np.asarray(Image.fromarray(pixels(dance)[0]).resize((driver_width, 360))).astype(int)
    assert np.abs(frame[:, :driver_width] - driven).mean() < 8


def test_driven_by_a_track_or_by_its_video_is_the_same(person: Path, dance: Path, tmp_path) -> None:
    # bug: the track command looks at the video in another size than transfer does
    track(dance, tmp_path / "dance.npz", end=0.5)
    by_track = transfer(person, tmp_path / "dance.npz", tmp_path / "a.mp4", **QUICK)
    by_video = transfer(person, dance, tmp_path / "b.mp4", end=0.5, audio=False, **QUICK)
    assert by_track.num_frames == by_video.num_frames == 15
    assert np.array_equal(pixels(by_track.output), pixels(by_video.output))


def test_a_part_of_a_track(person: Path, dance: Path, tmp_path: Path) -> None:
    # bug: --start and --end are forgotten, or off by one, when a track drives
    track(dance, tmp_path / "dance.npz")
    result = transfer(person, tmp_path / "dance.npz", tmp_path / "a.mp4", start=0.2, end=0.5,
                      **QUICK)  # fmt: skip
    assert result.num_frames == 9
    for start, end, message in (
        (5, None, "--start must lie before"), (0.5, 0.2, "--end must be later"),
        (-1, None, "--start must be a time"), (float("nan"), None, "--start must be a time"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            transfer(person, tmp_path / "dance.npz", tmp_path / "b.mp4", start=start, end=end)


def test_frames_without_the_person_are_marked_not_fatal(person: Path, tmp_path: Path) -> None:
    # bug: one empty frame ends a render of an hour
    frames = dance_frames(30)
    black = [np.zeros_like(frames[0])] * 25
    clip = write_clip(tmp_path / "gap.mp4", frames[:15] + black + frames[15:])
    result = transfer(person, clip, tmp_path / "out.mp4", **QUICK)
    assert result.num_frames == 55
    assert 20 <= result.num_missing <= 30
    assert json.loads(result.sidecar.read_text())["num_frames_without_person"] == result.num_missing


def test_uneven_frames_keep_their_times(person: Path, tmp_path: Path) -> None:
    # bug: a phone's variable frame rate becomes even, and the dance leaves the beat
    ticks = [0, 400, 1300, 1700, 3000, 3500, 3900, 5100, 5500, 6400]
    times = [Fraction(t, 12288) for t in ticks]
    clip = write_clip(tmp_path / "uneven.mp4", dance_frames(10), times=times, fps=Fraction(20),
                      end=Fraction(8000, 12288))  # fmt: skip
    assert probe(clip).is_variable
    result = transfer(person, clip, tmp_path / "out.mp4", **QUICK)
    assert [frame.time for frame in read_frames(result.output)] == times
    length = probe(result.output).duration_seconds
    assert abs(length - Fraction(8000, 12288)) < Fraction(1, 1000)  # MP4's own rounding


def test_another_rate_keeps_the_length(person: Path, dance: Path, tmp_path: Path) -> None:
    # bug: --fps changes the speed of the dance
    result = transfer(person, dance, tmp_path / "out.mp4", fps="12", **QUICK)
    info = probe(result.output)
    assert info.fps == 12 and info.num_frames == result.num_frames == 12
    assert info.duration_seconds == 1


def test_the_drivers_own_background(person: Path, dance: Path, tmp_path: Path) -> None:
    # bug: the frames behind are not those of the pose in front
    result = transfer(person, dance, tmp_path / "a.mp4", background="driving", matte="fast",
                      end=0.2)  # fmt: skip
    corner = pixels(result.output)[0][:30, :30].astype(int)
    assert np.abs(corner - (0, 128, 128)).mean() > 20
    assert np.abs(corner - corner.mean((0, 1))).mean() < 40


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_everything_at_its_best(tmp_path: Path, networks: None) -> None:
    # bug: the defaults that people use are those that no quick test runs
    result = transfer(DEMOS / "person.jpg", DEMOS / "dance.mp4", tmp_path / "out.mp4", end=1.0,
                      preset="hd")  # fmt: skip
    assert probe(result.output).num_frames == 30


def test_one_of_several_dancers(dance: Path, tmp_path: Path) -> None:
    # bug: a place is looked up in a picture of another size; numbers count from the wrong side
    frames = [np.concatenate([f, f[:, ::-1]], 1) for f in dance_frames(6)]
    large = [np.asarray(Image.fromarray(f).resize((1200, 504))) for f in frames]
    clip = write_clip(tmp_path / "two.mp4", large)

    def hips(person: str) -> np.ndarray:
        path = track(clip, tmp_path / f"{person}.npz", person=person)
        found = PoseTrack.load(path)
        return found.xy[:, [INDEX["left_hip"], INDEX["right_hip"]], 0].mean() / found.size_hw[1]

    left, right = hips("0"), hips("1")
    assert left < 0.5 < right
    assert hips(f"{1200 * right:.0f},250") == pytest.approx(right, abs=0.01)
    assert hips(f"{1200 * left:.0f},250") == pytest.approx(left, abs=0.01)


# --- when things go wrong -------------------------------------------------------------------------


def test_failure_in_mid_video_ends_the_run(
    person: Path, dance: Path, tmp_path: Path, monkeypatch, everything_in
) -> None:
    # bug: the writer waits for ever for a renderer that has died; half a file stays
    calls = []

    def draw(self, plan, frame, **options):
        calls.append(frame)
        if len(calls) == 10:
            raise RuntimeError("out of memory")
        return None

    monkeypatch.setattr(RefinedGenerator, "draw", draw)
    with pytest.raises(RuntimeError, match="out of memory"):
        transfer(person, dance, tmp_path / "out.mp4", **QUICK)
    assert everything_in() == []
    assert left_over() == []


@pytest.mark.parametrize(
    ("kind", "when"),
    [
        (KeyboardInterrupt, ("photo", 1)), (Cancelled, ("track", 3)),
        (KeyboardInterrupt, ("render", 5)), (Cancelled, ("render", 12)),
        (KeyboardInterrupt, ("finish", 0)),
    ],
)  # fmt: skip
def test_stopped_by_the_user(
    person: Path, dance: Path, tmp_path: Path, everything_in, kind, when
) -> None:
    # bug: Ctrl-C leaves a broken file, a hidden folder or threads that keep the machine busy
    def progress(stage: str, done: int, total: int | None) -> None:
        assert total is None or 0 <= done <= total
        if (stage, done) == when:
            raise kind("stop")

    with pytest.raises(kind):
        transfer(person, dance, tmp_path / "out.mp4", end=0.4, progress=progress, **QUICK)
    assert everything_in() == []
    assert left_over() == []


@pytest.fixture
def short_segments(monkeypatch) -> None:
    """What an interruption can cost is 8 frames."""
    shorter = functools.partial(VideoWriter.open, segment_frames=8)
    monkeypatch.setattr(pipeline.VideoWriter, "open", shorter)


@pytest.mark.usefixtures("short_segments")
def test_resumed_equals_straight(
    person: Path, dance: Path, tmp_path: Path, monkeypatch, everything_in
) -> None:
    # bug: a seam where a render was continued: other order of layers, doubled or missing frames
    def stop_at_20(stage: str, done: int, total: int | None) -> None:
        if (stage, done) == ("render", 20):
            raise KeyboardInterrupt

    straight = transfer(person, dance, tmp_path / "straight.mp4", **QUICK)
    with pytest.raises(KeyboardInterrupt):
        transfer(person, dance, tmp_path / "out.mp4", progress=stop_at_20, **QUICK)
    assert (tmp_path / ".out.mp4.parts").is_dir() and not (tmp_path / "out.mp4").exists()
    drawn = []
    draw = RefinedGenerator.draw
    monkeypatch.setattr(RefinedGenerator, "draw", lambda *a, **k: drawn.append(1) or draw(*a, **k))
    resumed = transfer(person, dance, tmp_path / "out.mp4", resume=True, **QUICK)
    assert len(drawn) == 30 - 16
    assert resumed.num_frames == 30
    assert sidecar.sha256(resumed.output) == sidecar.sha256(straight.output)
    assert [n for n in everything_in() if n.startswith(".")] == []


@pytest.mark.usefixtures("short_segments")
def test_without_resume_everything_is_new(
    person: Path, dance: Path, tmp_path: Path, monkeypatch, everything_in
) -> None:
    # bug: parts of an older, other render get into the video
    def stop(stage: str, done: int, total: int | None) -> None:
        if (stage, done) == ("render", 10):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer(person, dance, tmp_path / "a.mp4", progress=stop, matte="fast", background="red")
    other = transfer(person, dance, tmp_path / "a.mp4", resume=True, **QUICK)  # other settings
    assert other.num_frames == 30
    assert (pixels(other.output)[:, 5, 5, 0] < 60).all()  # no red frames
    assert everything_in() == ["a.mp4", "a.mp4.json"]


def test_nothing_is_overwritten_silently(
    person: Path, dance: Path, tmp_path: Path, everything_in
) -> None:
    # bug: the only copy of last night's render is gone
    output = tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    with pytest.raises(InputError, match=r"out\.mp4 already exists; choose another name"):
        transfer(person, dance, output, **QUICK)
    assert output.read_bytes() == b"precious" and everything_in() == ["out.mp4"]
    assert transfer(person, dance, output, end=0.1, overwrite=True, **QUICK).num_frames == 3
    assert probe(output).num_frames == 3


def test_the_inputs_are_never_overwritten(person: Path, dance: Path, tmp_path: Path) -> None:
    # bug: -o dance.mp4 --overwrite destroys the dance
    copy = tmp_path / "dance.mp4"
    copy.write_bytes(dance.read_bytes())
    with pytest.raises(InputError, match="--output must not be the file of --driving"):
        transfer(person, copy, copy, overwrite=True)
    assert copy.read_bytes() == dance.read_bytes()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"smooth": 1.5}, "--smooth must lie in 0 to 1, got 1.5"),
        ({"smooth": float("nan")}, "--smooth must lie in 0 to 1, got nan"),
        ({"preset": "best"}, "--preset must be one of fast, hd; got 'best'"),
        ({"matte": "sam"}, "--matte must be one of u2net, fast; got 'sam'"),
        ({"generator": "gan"}, "must be one of refined, articulated, pose-flow; got 'gan'"),
        ({"device": "tpu"}, "--device must be one of auto, cpu, cuda, mps; got 'tpu'"),
        ({"fps": "fast"}, "--fps must be 'source' or a rate from 1 to 240, got 'fast'"),
        ({"person": "tall"}, "--person must be 'largest', a number"),
        ({"source_person": "1,2,3"}, "--source-person must be 'largest', a number"),
        ({"background": "orignal"}, "did you mean 'original'"),
        ({"background": "transparent"}, "out.mp4 cannot be transparent; name the output .webm"),
        ({"start": 99.0}, r"start must lie before the end of dance.mp4 \(1.001 s\), got 99"),
        ({"start": 0.5, "end": 0.2}, "end must be later than start, got 0.5 to 0.2"),
        ({"end": float("nan")}, "end must be a time in seconds"),
        ({"output": "out.avi"}, "the name must end in .mp4, .m4v or .mkv"),
        ({"output": "a.webm", "background": "transparent", "side_by_side": True},
         "--side-by-side needs a background"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used(
    person: Path, dance: Path, tmp_path: Path, everything_in, changed: dict, message: str
) -> None:
    # bug: found out after minutes of work, or as a traceback
    output = tmp_path / changed.get("output", "out.mp4")
    settings = QUICK | {k: v for k, v in changed.items() if k != "output"}
    with pytest.raises(InputError, match=message) as caught:
        transfer(person, dance, output, **settings)
    assert "\n" not in str(caught.value)
    assert everything_in() == [] and left_over() == []


def test_files_that_are_not_there(person: Path, dance: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"--source: no such file: a\.jpg"):
        transfer("a.jpg", dance, tmp_path / "out.mp4")
    with pytest.raises(FileNotFoundError, match=r"--driving: no such file: b\.mp4"):
        transfer(person, "b.mp4", tmp_path / "out.mp4")
    with pytest.raises(FileNotFoundError, match=r"--joints: no such file: c\.json"):
        transfer(person, dance, tmp_path / "out.mp4", joints="c.json")


def test_nobody_there(person: Path, dance: Path, tmp_path: Path, everything_in) -> None:
    # bug: NaNs travel through the whole pipeline
    grey = tmp_path / "grey.png"
    Image.new("RGB", (200, 260), (120, 130, 140)).save(grey)
    with pytest.raises(NoPersonError, match="no person was found in the photo"):
        transfer(grey, dance, tmp_path / "out.mp4", **QUICK)
    empty = write_clip(tmp_path / "empty.mp4", [np.full((240, 320, 3), 90, np.uint8)] * 10)
    with pytest.raises(NoPersonError, match=r"no person was found in empty\.mp4"):
        transfer(person, empty, tmp_path / "out.mp4", **QUICK)
    with pytest.raises(NoPersonError, match="must be a number from 0"):
        transfer(person, dance, tmp_path / "out.mp4", person="3", **QUICK)
    assert everything_in() == ["empty.mp4", "grey.png"] and left_over() == []


def test_device_that_is_not_there(person: Path, dance: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match="--device: cuda is not available here; choose auto"):
        transfer(person, dance, tmp_path / "out.mp4", device="cuda")


# --- small things ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "choice"),
    [("largest", "largest"), ("0", 0), ("12", 12), ("10,20", (10.0, 20.0)), ("1.5, 2", (1.5, 2.0))],
)
def test_person_by_word_number_or_place(text: str, choice) -> None:
    assert parse_person(text, "--person") == choice


@pytest.mark.parametrize("text", ["", "-1", "1.5", "a,b", "nan,1", "inf,0", "1,2,3", "left"])
def test_no_person(text: str) -> None:
    with pytest.raises(InputError, match="--person must be"):
        parse_person(text, "--person")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("source", None), ("25", Fraction(25)), ("30000/1001", NTSC),
        # people write the rounded numbers that players show
        ("29.97", NTSC), ("23.976", Fraction(24000, 1001)), ("59.94", Fraction(60000, 1001)),
        ("12.5", Fraction(25, 2)),
    ],
)  # fmt: skip
def test_rates(text: str, rate) -> None:
    assert parse_fps(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-5", "241", "1/0", "nan", "inf", "1e999999999", "x"])
def test_no_rate(text: str) -> None:
    with pytest.raises(InputError, match="--fps must be"):
        parse_fps(text)


def test_default_name(person: Path, dance: Path, in_folder: Path) -> None:
    # bug: names with dots lose what is after the dot
    assert pipeline.default_output("a/me.v2.jpg", "b/dance.final.mp4") == Path(
        "me.v2--dance.final.mp4"
    )
    result = transfer(person, dance, end=0.1, **QUICK)
    assert result.output == Path("person--dance.mp4") and result.output.exists()
