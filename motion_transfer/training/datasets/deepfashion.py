"""DeepFashion In-shop Clothes Retrieval with the pairs of PATN and GFLA.

Liu et al., "DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich Annotations"
(CVPR 2016); pairs and key points of Zhu et al., "Progressive Pose Attention Transfer for Person
Image Generation" (CVPR 2019), used by Ren et al., "Deep Image Spatial Transformation for Person
Image Generation" (CVPR 2020) and most papers since: 101,966 pairs to train, 8,570 to test.

Key points are OpenPose's 18 in pixels of a picture of 256 x 176 (height x width), row before
column; -1 is missing. The neck is the middle of the shoulders and is not kept. PATN's scripts call
number 14 the left eye; the table of limbs in the program that made the files joins number 16 to
the right shoulder, so right eye and right ear come first.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.training.datasets.groups import (
    DataSet,
    Group,
    NamePair,
    Split,
    check_folder,
    find_file,
    read_files,
    read_pairs,
)

IMAGES_FROM = (
    "http://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html "
    "(the password is given on request)"
)
LISTS_FROM = (
    "the links in the README of github.com/tengteng95/Pose-Transfer or in "
    "PERSON_IMAGE_GENERATION.md of github.com/RenYurui/Global-Flow-Local-Attention"
)
ANNOTATED_HW = (256, 176)
MISSING_VALUE = -1
OPENPOSE_18 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
TORSO = ("right_shoulder", "left_shoulder", "right_hip", "left_hip")
SPLITS: tuple[Split, ...] = ("train", "test")
_NAME = re.compile(r"fashion(WOMEN|MEN)(.+)id(\d{8})(\d{2})_(\d)([a-z]+)\.jpg")


def deepfashion(folder: str | os.PathLike[str]) -> DataSet:
    """The data set with the lists "train", "test" and "test-leak-free".

    The last has the test pairs of garments that no training picture shows: the official split
    keeps the colours of a garment apart, not garments, so that the same cut, often on the same
    model, is in both.

    Args:
        folder: holds `fasion-resize-pairs-{train,test}.csv` and
            `fasion-resize-annotation-{train,test}.csv` (or without `resize-`), and the pictures:
            `train/` and `test/` with flat names, or the official `img_highres/` or `img/`.

    Raises:
        FileNotFoundError: a list or the pictures are missing; says where they are to be had.
        InputError: a list is not what it should be.
    """
    folder = check_folder(folder, source=IMAGES_FROM)
    groups: list[Group] = []
    pairs: dict[str, list[NamePair]] = {}
    for split in SPLITS:
        pairs[split], members = _read_split(folder, split)
        groups += members
    seen = {garment_name(name) for pair in pairs["train"] for name in pair}
    pairs["test-leak-free"] = [p for p in pairs["test"] if garment_name(p[0]) not in seen]
    return DataSet(groups=groups, pairs=pairs, read=_read, about={"lists": "PATN, GFLA"})


def official_path(name: str) -> str:
    """`fashionWOMENDressesid0000069302_3back.jpg` to `WOMEN/Dresses/id_00000693/02_3_back.jpg`.

    Raises:
        InputError: it is not such a name.
    """
    gender, category, item, colour, shot, view = _parse(name)
    return f"{gender}/{category}/id_{item}/{colour}_{shot}_{view}.jpg"


def group_name(name: str) -> str:
    """Garment and colour: pictures with the same one show one person in the same clothes."""
    gender, category, item, colour, *_ = _parse(name)
    return f"{gender}-{category}-{item}-{colour}"


def garment_name(name: str) -> str:
    """The garment in any colour; a number that is used in two categories counts as one garment."""
    gender, _, item, *_ = _parse(name)
    return f"{gender}-{item}"


def read_annotation(path: Path) -> dict[str, np.ndarray]:
    """Key points by picture: lines `name: [rows]: [columns]` of 18 numbers.

    Returns:
        Arrays (33, 3) as in `Group.joints`.

    Raises:
        InputError: a line is of another form, or a coordinate lies outside of 256 x 176.
    """
    result = {}
    with path.open(encoding="utf-8") as file:
        header = next(file, "").strip()
        if header != "name:keypoints_y:keypoints_x":
            raise InputError(
                f"{path} must begin with name:keypoints_y:keypoints_x, got {header[:60]!r}"
            )
        for number, line in enumerate(file, start=2):
            if not line.strip():
                continue
            try:
                name, rows, columns = line.split(":")
                y, x = (np.array(json.loads(text), np.float64) for text in (rows, columns))
            except ValueError as error:  # JSONDecodeError is one
                raise InputError(f"{path}, line {number}: {error}") from error
            if y.shape != (len(OPENPOSE_18),) or x.shape != y.shape:
                raise InputError(
                    f"{path}, line {number}, must hold {len(OPENPOSE_18)} rows and columns, "
                    f"got {y.size} and {x.size}"
                )
            if (y >= ANNOTATED_HW[0]).any() or (x >= ANNOTATED_HW[1]).any():
                raise InputError(
                    f"{path}, line {number}: key points must lie in 256 x 176 pixels, got row "
                    f"{y.max():g}, column {x.max():g}; use the files with resize in their names"
                )
            result[name.strip()] = from_openpose(x, y)
    return result


def from_openpose(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """18 columns and rows of a 256 x 176 picture to (33, 3) joints as in `Group.joints`.

    Hands, feet and mouth stay unknown. Without both shoulders and hips nothing is known: the crop
    hangs on them, and PATN made pairs of no such picture.
    """
    found = (x != MISSING_VALUE) & (y != MISSING_VALUE)
    joints = np.full((len(INDEX), 3), (np.nan, np.nan, 0), np.float32)
    for number, name in enumerate(OPENPOSE_18):
        if name != "neck" and found[number]:
            joints[INDEX[name]] = (
                (x[number] + 0.5) / ANNOTATED_HW[1], (y[number] + 0.5) / ANNOTATED_HW[0], 1,
            )  # fmt: skip
    if not joints[[INDEX[name] for name in TORSO], 2].all():
        joints[:] = (np.nan, np.nan, 0)
    return joints


def _parse(name: str) -> tuple[str, ...]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(
            "a picture's name must look like fashionWOMENDressesid0000069302_3back.jpg, "
            f"got {name!r}"
        )
    return match.groups()


def _read_split(folder: Path, split: Split) -> tuple[list[NamePair], list[Group]]:
    """The pairs of a split and the groups of the pictures in them."""
    lists = {
        kind: find_file(folder, [
            f"{word}-{size}{kind}-{split}.csv"
            for size in ("resize-", "") for word in ("fasion", "fashion")
        ], source=LISTS_FROM)
        for kind in ("pairs", "annotation")
    }  # fmt: skip
    pairs, joints = read_pairs(lists["pairs"]), read_annotation(lists["annotation"])
    root = _picture_root(folder, split)
    members: dict[str, set[str]] = {}
    for pair in pairs:
        for name in pair:
            if name not in joints:
                raise InputError(
                    f"{lists['annotation']} must have key points for every picture in "
                    f"{lists['pairs'].name}, got none for {name}; use lists of one source"
                )
        group, other = (group_name(name) for name in pair)
        if group != other:
            raise InputError(
                f"{lists['pairs']}: a pair must show one garment in one colour, got "
                f"{','.join(pair)}; use the official list"
            )
        members.setdefault(group, set()).update(pair)
    return pairs, [
        Group(
            name=group, split=split, pictures=tuple(sorted(names)),
            paths=tuple(_picture_path(root, name) for name in sorted(names)),
            joints=np.stack([joints[name] for name in sorted(names)]),
        )
        for group, names in sorted(members.items())
    ]  # fmt: skip


def _read(group: Group) -> Iterator[np.ndarray | str]:
    for picture in read_files(group.paths):
        yield picture if isinstance(picture, str) else _without_bars(picture)


def _picture_root(folder: Path, split: Split) -> Path:
    """The folder with this split's pictures."""
    for name in (split, "img_highres", "img"):
        if (folder / name).is_dir():
            return folder / name
    raise FileNotFoundError(
        f"no {split}/, img_highres/ or img/ in {folder}; unzip img_highres.zip (or img.zip) from "
        f"{IMAGES_FROM} there"
    )


def _picture_path(root: Path, name: str) -> Path:
    return root / (name if root.name in SPLITS else official_path(name))


def _without_bars(rgb: np.ndarray) -> np.ndarray:
    """A square official picture without its bars of 40 pixels (of 256) left and right."""
    height, width = rgb.shape[:2]
    if height != width:
        return rgb
    bar = round(width * (256 - ANNOTATED_HW[1]) / 512)
    return rgb[:, bar : width - bar]
