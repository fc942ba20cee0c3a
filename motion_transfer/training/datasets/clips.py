"""Videos of one person each: UBC Fashion, TikTok, and the user's own.

Frames are taken evenly from each clip; pairs are two frames of one clip. To train, every frame is
the target of `SOURCES_PER_FRAME` others, drawn by a fixed seed. To test, the first frame is the
photo and every other one a target, the field's self-reenactment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import numpy as np

from motion_transfer.errors import InputError, MediaError
from motion_transfer.media.probe import list_images
from motion_transfer.media.sample import sample_frames
from motion_transfer.training.datasets.groups import (
    DataSet,
    Group,
    NamePair,
    Split,
    check_folder,
    find_file,
    read_files,
)

UBC_FROM = "https://vision.cs.ubc.ca/datasets/fashion/"
TIKTOK_FROM = "https://www.yasamin.page/hdnet_tiktok"
TIKTOK_TEST = range(335, 341)
SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
SOURCES_PER_FRAME = 4
MAX_SIDE = 1280  # of the frames in which the person is looked for
SEED = 0


def _make(
    clips: Sequence[tuple[Split, str, Path]], *, frames: int, about: dict[str, str]
) -> DataSet:
    """The data set of clips: split, name and path of each, a video or a folder of pictures."""
    if frames < 2:
        raise InputError(f"--frames must be at least 2, to make pairs of, got {frames}")
    groups = [
        Group(
            name=name, split=split, paths=(path,),
            pictures=tuple(f"{name}/{k:04d}" for k in range(frames)),
        )
        for split, name, path in sorted(clips, key=lambda clip: clip[0] == "test")
    ]  # fmt: skip
    return DataSet(
        groups=groups, pairs=make_pairs(groups), read=_read, about={**about, "frames": str(frames)}
    )


def _read(group: Group) -> Iterator[np.ndarray | str]:
    """Frames, but none twice: a pair of equal pictures would flatter every generator."""
    before: np.ndarray | str = ""
    for frame in _read_frames(group):
        same = not isinstance(frame, str) and np.array_equal(frame, before)
        yield "the same picture as the frame before it" if same else frame
        before = frame


def _read_frames(group: Group) -> Iterator[np.ndarray | str]:
    """Frames from the middle of their shares of the clip, at most 1280 pixels on a side."""
    (path,), num = group.paths, len(group.pictures)
    try:
        if path.is_dir():
            images = list_images(path)
            places = [(2 * k + 1) * len(images) // (2 * num) for k in range(num)]
            yield from read_files([images[k] for k in places], max_side=MAX_SIDE)
        else:
            yield from sample_frames(path, num_frames=num, max_side=MAX_SIDE)
    except (FileNotFoundError, MediaError) as error:
        yield from [str(error)] * num


def make_pairs(groups: Sequence[Group]) -> dict[str, list[NamePair]]:
    """The lists "train" and "test", as the module says."""
    pairs: dict[str, list[NamePair]] = {"train": [], "test": []}
    for number, group in enumerate(groups):
        if group.split == "test":
            pairs["test"] += [(group.pictures[0], target) for target in group.pictures[1:]]
            continue
        rng = np.random.default_rng([SEED, number])
        for target in group.pictures:
            others = [name for name in group.pictures if name != target]
            count = min(SOURCES_PER_FRAME, len(others))
            for k in sorted(rng.choice(len(others), count, replace=False)):
                pairs["train"].append((others[k], target))
    return pairs


def ubc_fashion(folder: str | os.PathLike[str], *, frames: int) -> DataSet:
    """UBC Fashion (Zablotskaia et al., "DwNet", BMVC 2019): 500 clips to train, 100 to test.

    Args:
        folder: holds `fashion_train.txt` and `fashion_test.txt`, the official lists of links, and
            the videos in `train/` and `test/`, or all in `videos/`.
        frames: taken from each clip.

    Raises:
        FileNotFoundError: a list is missing.
    """
    folder = check_folder(folder, source=UBC_FROM)
    clips: list[tuple[Split, str, Path]] = []
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        links = find_file(folder, (f"fashion_{split}.txt",), source=UBC_FROM)
        root = folder / split
        if not root.is_dir():
            root = folder / "videos"
        for line in links.read_text(encoding="utf-8").split():
            name = PurePosixPath(urlsplit(line).path).name
            clips.append((split, Path(name).stem, root / name))
    return _make(clips, frames=frames, about={"split": "official lists"})


def tiktok(folder: str | os.PathLike[str], *, frames: int) -> DataSet:
    """TikTok (Jafarian and Park, CVPR 2021): 340 dances as folders of pictures.

    The test clips are 00335 to 00340, those of the DisCo protocol that were published with the
    data set; its ten further ones never were.

    Args:
        folder: holds `00001/images/` and so on; the official `TikTok_dataset`.
        frames: taken from each clip.

    Raises:
        FileNotFoundError: the folder holds no such clips.
    """
    folder = check_folder(folder, source=TIKTOK_FROM)
    clips: list[tuple[Split, str, Path]] = []
    for path in sorted(folder.glob("[0-9]" * 5)):
        split: Split = "test" if int(path.name) in TIKTOK_TEST else "train"
        clips.append((split, path.name, path / "images"))
    if not clips:
        raise FileNotFoundError(
            f"no 00001/images/ and so on in {folder}; get TikTok_dataset from {TIKTOK_FROM}"
        )
    return _make(clips, frames=frames, about={"split": "DisCo, 335 to 340"})


def own_videos(folder: str | os.PathLike[str], *, frames: int) -> DataSet:
    """A folder of videos of one person each; those below a folder `test/` are the test split.

    Args:
        folder: is searched with all folders in it.
        frames: taken from each video.

    Raises:
        FileNotFoundError: there is no such folder, or no video in it.
    """
    folder = check_folder(folder, source="your own camera")
    clips: list[tuple[Split, str, Path]] = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        inner = path.relative_to(folder)
        split: Split = "test" if "test" in inner.parts[:-1] else "train"
        clips.append((split, inner.as_posix(), path))
    if not clips:
        raise FileNotFoundError(f"no video ({' '.join(SUFFIXES)}) in {folder} or below")
    return _make(clips, frames=frames, about={"split": "folder test/"})
