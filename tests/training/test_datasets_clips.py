"""UBC Fashion, TikTok and own videos."""

import collections
from pathlib import Path

import numpy as np
import pytest
from demo_clips import write_clip
from PIL import Image

from motion_transfer.errors import InputError
from motion_transfer.training.datasets.clips import own_videos, tiktok, ubc_fashion


def levels(count: int) -> list[np.ndarray]:
    """Frames that are told apart by their grey."""
    return [np.full((96, 64, 3), 12 * k, np.uint8) for k in range(count)]


def write_ubc(folder: Path, *, places: tuple[str, str] = ("train", "test")) -> Path:
    for split, place, names in (("train", *places[:1], "ab"), ("test", *places[1:], "c")):
        lines = []
        for name in names:
            (folder / place).mkdir(parents=True, exist_ok=True)
            write_clip(folder / place / f"91+{name}.mp4", levels(20))
            lines.append(f"https://vision.cs.ubc.ca/datasets/fashion/x/91+{name}.mp4")
        (folder / f"fashion_{split}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("places", [("train", "test"), ("videos", "videos")])
def test_ubc_fashion_by_its_lists(tmp_path, places) -> None:
    data = ubc_fashion(write_ubc(tmp_path / "ubc", places=places), frames=4)
    assert [(g.split, g.name) for g in data.groups] == [
        ("train", "91+a"), ("train", "91+b"), ("test", "91+c")
    ]  # fmt: skip
    grey = [int(picture.mean()) for picture in data.read(data.groups[0])]
    # the middles of four quarters of 20 frames
    assert grey == pytest.approx([12 * 2.5, 12 * 7.5, 12 * 12.5, 12 * 17.5], abs=9)


def test_pairs_of_frames(tmp_path) -> None:
    data = ubc_fashion(write_ubc(tmp_path / "ubc"), frames=8)
    first = data.groups[2].pictures[0]
    assert data.pairs["test"] == [(first, target) for target in data.groups[2].pictures[1:]]
    targets = collections.Counter(target for _, target in data.pairs["train"])
    assert set(targets.values()) == {4} and len(targets) == 16
    assert len(set(data.pairs["train"])) == len(data.pairs["train"])
    assert all(a != b and a[:4] == b[:4] for a, b in data.pairs["train"])
    again = ubc_fashion(tmp_path / "ubc", frames=8)
    assert again.pairs == data.pairs


def write_tiktok(folder: Path, *numbers: int) -> Path:
    for number in numbers:
        for kind in ("images", "masks", "densepose"):
            place = folder / f"{number:05d}" / kind
            place.mkdir(parents=True)
            for k, frame in enumerate(levels(12), start=1):
                Image.fromarray(frame).save(place / f"{k:04d}.png")
    return folder


def test_tiktok_by_number(tmp_path) -> None:
    data = tiktok(write_tiktok(tmp_path / "tiktok", 1, 334, 335, 340), frames=3)
    splits = {g.name: g.split for g in data.groups}
    assert splits == {"00001": "train", "00334": "train", "00335": "test", "00340": "test"}
    grey = [int(picture.mean()) for picture in data.read(data.groups[0])]
    assert grey == [12 * 2, 12 * 6, 12 * 10]


def test_own_videos_in_folders(tmp_path) -> None:
    for name in ("a.mp4", "holiday/b.MP4", "test/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_clip(tmp_path / name.lower(), levels(6)).rename(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    data = own_videos(tmp_path, frames=2)
    assert {g.name: g.split for g in data.groups} == {
        "a.mp4": "train", "holiday/b.MP4": "train", "test/c.mp4": "test"
    }  # fmt: skip
    assert len(data.pairs["train"]) == 4 and len(data.pairs["test"]) == 1


def test_no_frame_is_taken_twice(tmp_path) -> None:
    # bug: a short clip is asked for more frames than it has, and pairs show no motion at all
    write_clip(tmp_path / "a.mp4", levels(3))
    data = own_videos(tmp_path, frames=7)
    found = list(data.read(data.groups[0]))
    grey = [int(picture.mean()) for picture in found if not isinstance(picture, str)]
    assert grey == pytest.approx([0, 12, 24], abs=3)
    assert set(p for p in found if isinstance(p, str)) == {
        "the same picture as the frame before it"
    }  # fmt: skip


def test_a_damaged_video_leaves_reasons(tmp_path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    data = own_videos(tmp_path, frames=3)
    reasons = list(data.read(data.groups[0]))
    assert len(reasons) == 3 and all(isinstance(reason, str) and reason for reason in reasons)


@pytest.mark.parametrize("loader", [ubc_fashion, tiktok, own_videos])
def test_what_is_missing_is_named(tmp_path, loader) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        loader(tmp_path / "none", frames=2)
    with pytest.raises(FileNotFoundError, match=r"fashion_train\.txt.*ubc|00001.*hdnet|no video"):
        loader(tmp_path, frames=2)


def test_one_frame_makes_no_pair(tmp_path) -> None:
    with pytest.raises(InputError, match="--frames must be at least 2"):
        tiktok(write_tiktok(tmp_path / "tiktok", 1), frames=1)
