"""The command line: what a user types, sees and finds afterwards."""

from __future__ import annotations

import functools
import inspect
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from demo_clips import DEMOS, write_clip
from PIL import Image

from motion_transfer import pipeline, preview
from motion_transfer.cli import main
from motion_transfer.media.decode import probe
from motion_transfer.pose.skeleton import JOINTS
from motion_transfer.pose.track import PoseTrack

QUICK = ["--matte", "fast", "--background", "teal"]
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def run(capfd, monkeypatch):
    """Run a command; gives (exit status, what was printed, lines on stderr)."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def call(*arguments: object) -> tuple[int, str, list[str]]:
        capfd.readouterr()
        try:
            main([str(a) for a in arguments])
            status = 0
        except SystemExit as error:
            status = int(error.code or 0)
        out, err = capfd.readouterr()
        # LiteRT's own note, printed when the networks are made
        return status, out, [line for line in err.splitlines() if not line.startswith("INFO: ")]

    return call


def test_transfer(run, person: Path, dance: Path, tmp_path: Path) -> None:
    # bug: the command does something else than the library
    output = tmp_path / "out.mp4"
    status, out, err = run("transfer", "-s", person, "-d", dance, "-o", output, "--end", 0.2,
                           *QUICK)  # fmt: skip
    assert status == 0 and err == []
    assert str(output) in out.replace("\n", "")
    assert probe(output).num_frames == 6
    assert (tmp_path / "out.mp4.json").exists()


@pytest.mark.parametrize("names", [
    ("-s", "-d", "-o"), ("--source", "--driving", "--output"),
    ("--source_image", "--driving_video", "--result_video"),
    ("--source-image", "--driving-video", "--result-video"),
])  # fmt: skip
def test_names_of_other_projects_work(run, in_folder: Path, monkeypatch, names) -> None:
    # bug: scripts written for the first-order-model family do not run
    seen = record(monkeypatch, pipeline, "transfer")
    run("transfer", names[0], "a.jpg", names[1], "b.mp4", names[2], "frames/")
    assert (seen["source"], seen["driving"], seen["output"]) == ("a.jpg", "b.mp4", "frames/")


TRANSFERRED = pipeline.TransferResult(
    output=Path("o"), sidecar=Path("s"), num_frames=1, num_missing=0, seconds={}
)


def record(monkeypatch, module, name: str, result: object = TRANSFERRED) -> dict:
    """Replace a function by one that only notes its arguments."""
    real, seen = getattr(module, name), {}

    @functools.wraps(real)
    def fake(*args, **named):
        seen.update(inspect.signature(real).bind(*args, **named).arguments)
        return result

    monkeypatch.setattr(module, name, fake)
    return seen


def test_every_argument_of_the_function_is_an_option(run, in_folder: Path, monkeypatch) -> None:
    # bug: an argument of the library that the command line lacks, or that arrives under another
    seen = record(monkeypatch, pipeline, "transfer")
    given = {
        "source": "a.jpg", "driving": "b.mp4", "output": "c.mp4", "start": 1.5, "end": 2.5,
        "fps": "25", "person": "1", "source_person": "10,20", "preset": "hd", "background": "teal",
        "smooth": 0.25, "travel": 0.5, "scale": 1.2, "shift": (0.1, -0.2),
        "generator": "pose-flow", "weights": "w.safetensors", "also": ("back.jpg", "side.jpg"),
        "matte": "fast",
        "joints": "j.json",
        "audio": False, "side_by_side": True, "device": "cpu", "seed": 3, "resume": True,
        "overwrite": True,
    }  # fmt: skip
    arguments = ["transfer"]
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{option}" if value else f"--no-{option}")
        elif name == "also":  # repeated, not followed by several
            arguments += [word for path in value for word in (f"--{option}", path)]
        elif isinstance(value, tuple):
            arguments += [f"--{option}", *map(str, value)]
        else:
            arguments += [f"--{option}", str(value)]
    status, _, err = run(*arguments)
    assert status == 0, err
    assert callable(seen.pop("progress"))
    assert seen == given
    assert (
        given.keys() | {"progress", "watch"}
        == inspect.signature(pipeline.transfer).parameters.keys()
    )


def test_without_options_the_functions_own_defaults_hold(run, monkeypatch) -> None:
    # bug: a default that lives in two places, and differs
    seen = record(monkeypatch, pipeline, "transfer")
    run("transfer", "-s", "a.jpg", "-d", "b.mp4")
    for name, parameter in inspect.signature(pipeline.transfer).parameters.items():
        if parameter.default is not parameter.empty and name not in ("progress", "watch"):
            assert seen[name] == parameter.default, name


@pytest.mark.parametrize("command", [[], ["transfer"], ["preview"], ["track"], ["weights"]])
def test_help(run, command: list[str]) -> None:
    # bug: an option without a word of explanation
    status, out, _ = run(*command, "--help")
    assert status == 0
    wanted = {
        (): ["transfer", "preview", "track", "weights"],
        ("transfer",): ["--source-image", "--driving-video", "--side-by-side", "--smooth", "ProRes",
                        "whom to take"],
        ("preview",): ["--joints", "corrected joints"],
        ("track",): ["NPZ"],
        ("weights",): ["list", "fetch"],
    }[tuple(command)]  # fmt: skip
    for word in wanted:
        assert word in out


def test_python_dash_m() -> None:
    # bug: works only where the script is on the path
    command = [sys.executable, "-m", "motion_transfer", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "transfer" in done.stdout


def test_weights_list(run) -> None:
    # bug: nobody can see which licence the model files have
    status, out, _ = run("weights", "list")
    assert status == 0
    for word in ("pose_detection", "u2net", "Apache-2.0", "kept in", "cuts the person out"):
        assert word in out
    table = [line for line in out.splitlines() if line.startswith("│")]
    files = [line.split()[1] for line in table]
    assert "…" not in out and len(files) == len(set(files))  # one line a file in 80 columns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-s", "none.jpg"], "error: --source: no such file: none.jpg"),
        (["-d", "none.mp4"], "error: --driving: no such file: none.mp4"),
        (["-s", "GREY"], "error: no person was found in the photo"),
        (["-d", "EMPTY"], "error: --driving: no person was found in empty.mp4"),
        (["-s", "DANCE"], "error: dance.mp4: a photo must be an image file"),
        (["-d", "GREY"], "error: grey.png"),
        (["--fps", "quick"], "error: --fps must be 'source' or a rate from 1 to 240, got 'quick'"),
        (["--background", "trensparent"], "did you mean 'transparent'?"),
        (["--background", "beach.jpg"], "no such picture: beach.jpg"),
        (["--background", "transparent"], "out.mp4 cannot be transparent; name the output .webm"),
        (["--person", "left"], "error: --person must be 'largest', a number"),
        (["--person", "7"], "error: person must be"),
        (["--source-person", "4"], "error: person must be"),
        (["--scale", "9"], "error: --scale must lie in 0.2 to 4, got 9.0"),
        (["--smooth", "3"], "error: --smooth must lie in 0 to 1, got 3.0"),
        (["--start", "50"], "start must lie before the end of dance.mp4"),
        (["--end", "50"], "end must lie within dance.mp4"),
        (["-o", "out.exe"], "the name must end in"),
        (["-o", "EXISTING"], "already exists; choose another name or --overwrite"),
        (["--generator", "pose-flow", "--weights", "no.st"], "error: --weights: no such file: no"),
        (
            ["--generator", "articulated", "--weights", "GREY"],
            "error: --weights is for --generator refined or pose-flow; add that",
        ),
        (["--weights", "GREY"], "grey.png is not a safetensors file"),
        (["--also", "none.png"], "error: --also: no such file: none.png"),
        (["--joints", "none.json"], "error: --joints: no such file: none.json"),
        (["--joints", "LIST"], "list.json must map joint names to [x, y], got list"),
        (["--joints", "TYPO"], "no joint is called 'left_rist'; did you mean 'left_wrist'?"),
        (["--joints", "SHAPE"], "left_wrist must be [x, y] in pixels or null, got [1]"),
        (["--joints", "GREY"], "grey.png is not JSON"),
        (["-d", "NPZ"], "bad.npz is not a pose track"),
        (["-o", "dir/missing/../out.mp4/x.mp4"], "error: output: "),
    ],
)
def test_errors_are_one_line(
    run, person: Path, dance: Path, tmp_path: Path, arguments, message
) -> None:
    # bug: a traceback, or a message without the name, what was got and the remedy
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    Image.new("RGB", (200, 260), (120, 130, 140)).save(inputs / "grey.png")
    write_clip(inputs / "empty.mp4", [np.full((240, 320, 3), 90, np.uint8)] * 6)
    (inputs / "list.json").write_text("[1, 2]")
    (inputs / "typo.json").write_text('{"left_rist": [1, 2]}')
    (inputs / "shape.json").write_text('{"left_wrist": [1]}')
    (inputs / "bad.npz").write_bytes(b"PK nothing")
    (inputs / "existing.mp4").write_bytes(b"precious")
    (tmp_path / "dir").write_text("a file where a folder should be")
    names = {"GREY": inputs / "grey.png", "EMPTY": inputs / "empty.mp4", "DANCE": dance,
             "LIST": inputs / "list.json", "TYPO": inputs / "typo.json",
             "SHAPE": inputs / "shape.json", "NPZ": inputs / "bad.npz",
             "EXISTING": inputs / "existing.mp4"}  # fmt: skip
    options = {"-s": person, "-d": dance, "-o": tmp_path / "out.mp4", "--end": 0.2}
    changed = dict(zip(arguments[::2], arguments[1::2], strict=True))
    for option, value in changed.items():
        own = {"out.exe": tmp_path / "out.exe"}.get(value, value)
        if value.startswith("dir/"):
            own = tmp_path / value
        options[option] = names.get(value, own)
    if changed.keys() & {"--start", "-d"}:
        del options["--end"]
    given = [str(v) for pair in options.items() for v in pair]
    extra = ["--matte", "fast"] + ([] if "--background" in options else ["--background", "teal"])
    before = sorted(tmp_path.rglob("*"))
    status, out, err = run("transfer", *given, *extra)
    assert status == 2 and out == ""
    assert len(err) == 1, err
    assert err[0].startswith("error: ") and message in err[0]
    assert sorted(tmp_path.rglob("*")) == before
    assert (inputs / "existing.mp4").read_bytes() == b"precious"


def test_unknown_options_end_with_status_2(run) -> None:
    # bug: a typo is ignored and the render runs for an hour with the default
    status, _, err = run("transfer", "-s", "a", "-d", "b", "--backround", "red")
    assert status == 2
    assert "--background" in " ".join(err)
    status, _, err = run("transfer", "-s", "a", "-d", "b", "--preset", "best")
    assert status == 2
    assert "'--preset'" in " ".join(err) and "hd" in " ".join(err)


def test_preview_then_transfer_with_corrected_joints(
    run, person: Path, dance: Path, tmp_path: Path
) -> None:
    # bug: the joints that preview writes are not those that transfer reads (scale, names, nulls)
    clip = tmp_path / "look.mp4"
    status, _, err = run("preview", "-s", person, "-d", dance, "-o", clip, "--end", 0.3)
    assert status == 0 and err == []
    assert probe(clip).num_frames == 9 and probe(clip).size_hw == (360, 270)
    with Image.open(tmp_path / "look.png") as sheet:
        assert sheet.width > sheet.height
    joints = json.loads((tmp_path / "look.joints.json").read_text())
    assert tuple(joints) == JOINTS
    with Image.open(person) as photo:
        assert all(0 <= x < photo.width and 0 <= y < photo.height for x, y in joints.values())

    def render(name: str) -> bytes:
        options = ["--joints", tmp_path / f"{name}.json"]
        status, _, err = run("transfer", "-s", person, "-d", dance, "-o", tmp_path / f"{name}.mp4",
                             "--end", 0.2, *QUICK, *options)  # fmt: skip
        assert status == 0, err
        return (tmp_path / f"{name}.mp4").read_bytes()

    (tmp_path / "same.json").write_text("{}")
    hidden = {j: None for j in joints if "left" in j and ("wrist" in j or "elbow" in j)}
    (tmp_path / "hidden.json").write_text(json.dumps(hidden))
    assert render("same") != render("hidden")
    status, _, err = run("preview", "-s", person, "-d", dance, "-o", clip, "--end", 0.3)
    assert status == 2 and "already exists" in err[0]


def test_track(run, dance: Path, tmp_path: Path) -> None:
    # bug: the track has another rate or number of frames than the video
    status, out, err = run("track", "-d", dance, "-o", tmp_path / "dance.npz", "--end", 0.5)
    assert status == 0 and err == [] and "dance.npz" in out.replace("\n", "")
    track = PoseTrack.load(tmp_path / "dance.npz")
    assert len(track) == 15 and track.present.all()
    assert float(track.fps) == pytest.approx(29.97, abs=0.01)
    status, _, err = run("track", "-d", dance, "-o", tmp_path / "dance.npz")
    assert status == 2 and "already exists" in err[0]
    status, _, err = run("track", "-d", dance, "-o", tmp_path / "dance.txt")
    assert status == 2 and "--output must end in .npz, got dance.txt" in err[0]
    (tmp_path / "a.mp4").write_bytes(b"")
    status, _, err = run("track", "-d", tmp_path / "a.mp4", "-o", tmp_path / "b.npz")
    assert status == 2 and len(err) == 1 and "a.mp4" in err[0]


def test_preview_and_track_are_the_librarys(run, monkeypatch) -> None:
    # bug: command line and library drift apart
    files = preview.PreviewResult(picture=Path("a"), clip=Path("b"), joints=Path("c"))
    for name, result in (("preview", files), ("track", Path("a.npz"))):
        seen = record(monkeypatch, preview, name, result)
        run(name, "-d", "b.mp4", "--fps", "12", *(["-s", "a"] if name == "preview" else []))
        assert seen["driving"] == "b.mp4" and seen["fps"] == "12"


def test_weights_that_cannot_be_fetched(person: Path, dance: Path, tmp_path: Path) -> None:
    # bug: pip's or LiteRT's own pages of output when the network is down
    environment = os.environ | {
        "MOTION_TRANSFER_HOME": str(tmp_path / "home"), "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": "",
        "PIP_NO_CACHE_DIR": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "motion_transfer", "transfer", "-s", person, "-d", dance,
               "-o", tmp_path / "out.mp4"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 2
    assert lines[-1].startswith("error: cannot fetch pose_") and "Traceback" not in done.stderr
    assert len([line for line in lines if line.startswith("error")]) == 1
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a child")
def test_ctrl_c(person: Path, tmp_path: Path) -> None:
    # bug: a traceback per thread, a broken out.mp4, a process that does not end
    # the whole dance, encoded slowly: it must not be over before the signal arrives
    command = [sys.executable, "-m", "motion_transfer", "transfer", "-s", str(person),
               "-d", str(DEMOS / "dance.mp4"), "-o", str(tmp_path / "out.mp4"), "--preset", "hd",
               *QUICK]  # fmt: skip
    # a shell's background job ignores the signal, and its children would too
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    try:
        while not list(tmp_path.glob(".out.mp4.parts/*.mp4")):  # rendering has begun
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("error: interrupted")
    assert list(tmp_path.iterdir()) == []
