"""What is written beside an output."""

import json
from pathlib import Path

import pytest

from motion_transfer import sidecar


def write(folder: Path, **changed) -> dict:
    output, photo, dance = (folder / n for n in ("out.mp4", "photo.jpg", "dance.mp4"))
    output.write_bytes(b"video")
    photo.write_bytes(b"photo")
    dance.write_bytes(b"dance")
    arguments = {
        "settings": {"seed": 7, "smooth": 0.5, "joints": None},
        "inputs": {"source": photo, "driving": dance, "joints": None},
        "num_frames": 12, "num_missing": 2, "seconds": {"render": 1.5},
    } | changed  # fmt: skip
    path = sidecar.write(output, **arguments)
    assert path == folder / "out.mp4.json"
    return json.loads(path.read_text())


def test_says_all_that_is_needed_to_do_it_again(tmp_path: Path) -> None:
    # bug: a result whose seed, settings or inputs nobody can find out any more
    content = write(tmp_path)
    assert "ynthetic" in content["statement"]
    assert content["settings"] == {"seed": 7, "smooth": 0.5, "joints": None}
    assert content["inputs"]["source"]["name"] == "photo.jpg"
    assert content["inputs"]["driving"]["sha256"] == sidecar.sha256(tmp_path / "dance.mp4")
    assert content["output_sha256"] == sidecar.sha256(tmp_path / "out.mp4")
    assert (content["num_frames"], content["num_frames_without_person"]) == (12, 2)
    assert {"motion-transfer", "torch", "numpy", "av", "python"} <= content["versions"].keys()


def test_says_nothing_of_the_users_folders(tmp_path: Path) -> None:
    # bug: the sidecar, which people share, tells names of folders and so of people
    assert str(tmp_path) not in json.dumps(write(tmp_path))


def test_nothing_else_stays_behind(tmp_path: Path) -> None:
    # bug: temporary files beside the output
    write(tmp_path)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["dance.mp4", "out.mp4", "out.mp4.json", "photo.jpg"]


def test_a_folder_of_frames_is_hashed_in_order(tmp_path: Path) -> None:
    # bug: the hash of a PNG sequence depends on the order in which the disk lists it
    for name, content in (("b", b"2"), ("a", b"1")):
        (tmp_path / name).write_bytes(content)
    before = sidecar.sha256(tmp_path)
    (tmp_path / "a").write_bytes(b"2")
    (tmp_path / "b").write_bytes(b"1")
    assert sidecar.sha256(tmp_path) != before


@pytest.mark.parametrize("change", ["setting", "input", "missing input"])
def test_another_run_has_another_fingerprint(tmp_path: Path, change: str) -> None:
    # bug: --resume glues the halves of two different videos together
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"one")
    settings, inputs = {"smooth": 0.5}, [photo, None]
    before = sidecar.fingerprint(settings, inputs)
    assert sidecar.fingerprint(dict(settings), list(inputs)) == before
    if change == "setting":
        settings = {"smooth": 0.6}
    elif change == "input":
        photo.write_bytes(b"two")
    else:
        inputs = [None, photo]
    assert sidecar.fingerprint(settings, inputs) != before


def test_tags_say_synthetic() -> None:
    # bug: a shared clip gives no hint that nobody danced like this
    assert any("ynthetic" in value for value in sidecar.tags().values())
