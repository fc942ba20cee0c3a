"""Prepared pictures: what `prepare` writes, and what training and evaluation read.

A folder holds

    about.json        what was prepared from what, and how
    SPLIT-00000.npz   shards of some dozens of pictures; a group is never divided
    pairs-LIST.csv    from,to for each list: train, test, and others such as test-leak-free
    left-out.csv      picture and reason

A pair lies in one shard, so that pairs are read shard by shard and memory does not grow with their
number.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import functools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from motion_transfer.errors import InputError
from motion_transfer.pose.skeleton import JOINTS
from motion_transfer.synth.shards import write_arrays
from motion_transfer.training.datasets.groups import NamePair, read_pairs

FORMAT_VERSION = 1
CACHED_SHARDS = 5
_ARRAYS = ("name", "rgb", "alpha", "joints")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """One prepared picture.

    Args:
        name: in the data set.
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8, the matte.
        joints: (33, 4) float32 x, y, depth in pixels and confidence, in the order of
            `pose.skeleton.JOINTS`; NaN where unknown, such as the depth of a data set's own key
            points.
    """

    name: str
    rgb: np.ndarray
    alpha: np.ndarray
    joints: np.ndarray

    def __post_init__(self) -> None:
        height, width = self.rgb.shape[:2]
        for field, shape in (
            ("rgb", (height, width, 3)), ("alpha", (height, width)), ("joints", (len(JOINTS), 4)),
        ):  # fmt: skip
            got = getattr(self, field).shape
            if got != shape:
                raise InputError(f"{field} of {self.name} must have shape {shape}, got {got}")


class LeftOut(NamedTuple):
    """A picture that could not be prepared, and why."""

    name: str
    reason: str


def write_shard(path: Path, pictures: Sequence[Picture], left_out: Sequence[LeftOut]) -> None:
    """Write pictures of one size; the file appears whole or not at all."""
    arrays: dict[str, Any] = {}
    for field in _ARRAYS:
        values = [getattr(picture, field) for picture in pictures]
        arrays[field] = np.stack(values) if values else np.zeros((0,))
    arrays["version"] = np.int64(FORMAT_VERSION)
    arrays["left_out"] = np.array([tuple(entry) for entry in left_out], np.str_).reshape(-1, 2)
    write_arrays(path, arrays)


def read_shard(path: Path) -> list[Picture]:
    """The pictures of a shard.

    Raises:
        InputError: it is of another version.
    """
    with np.load(path, allow_pickle=False) as data:
        if int(data["version"]) != FORMAT_VERSION:
            raise InputError(
                f"{path}: version must be {FORMAT_VERSION}, got {int(data['version'])}; "
                "make it again with 'motion-transfer dataset prepare'"
            )
        arrays = {field: data[field] for field in _ARRAYS}
    return [
        Picture(name=str(name), **{field: arrays[field][k] for field in _ARRAYS[1:]})
        for k, name in enumerate(arrays["name"])
    ]


def read_left_out(path: Path) -> list[LeftOut]:
    """What a shard lacks."""
    with np.load(path, allow_pickle=False) as data:
        return [LeftOut(str(name), str(reason)) for name, reason in data["left_out"]]


class Prepared:
    """A prepared folder.

    Args:
        folder: that `prepare` wrote.

    Raises:
        FileNotFoundError: it is none.
        InputError: it is not finished.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        about = self.folder / "about.json"
        if not about.is_file():
            raise FileNotFoundError(
                f"no prepared pictures in {folder}; make some with "
                "'motion-transfer dataset prepare'"
            )
        self.about: dict[str, Any] = json.loads(about.read_text(encoding="utf-8"))
        self.lists = sorted(p.stem.removeprefix("pairs-") for p in self.folder.glob("pairs-*.csv"))
        if not self.lists:
            raise InputError(
                f"{folder} is not finished; go on with the same 'motion-transfer dataset prepare'"
            )

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of every picture in pixels."""
        height, width = self.about["size"]
        return height, width

    @functools.cached_property
    def left_out(self) -> list[LeftOut]:
        """The pictures that could not be prepared."""
        with (self.folder / "left-out.csv").open(newline="", encoding="utf-8") as file:
            return [LeftOut(row["picture"], row["reason"]) for row in csv.DictReader(file)]

    def pairs(self, name: str) -> list[NamePair]:
        """The (source, target) names of a list, as its data set gives them.

        Raises:
            InputError: there is no such list.
        """
        if name not in self.lists:
            raise InputError(
                f"the list of pairs must be one of {', '.join(self.lists)}, got {name!r}"
            )
        return read_pairs(self.folder / f"pairs-{name}.csv")

    def by_shard(self, name: str) -> list[tuple[Path, list[NamePair]]]:
        """The list's pairs whose two pictures were prepared, by the shard that holds them."""
        place: dict[str, Path] = {}
        for path in sorted(self.folder.glob("*.npz")):
            with np.load(path, allow_pickle=False) as data:
                place.update(dict.fromkeys(data["name"].tolist(), path))
        found: dict[Path, list[NamePair]] = collections.defaultdict(list)
        for source, target in self.pairs(name):
            if source in place and target in place:
                assert place[source] == place[target]
                found[place[source]].append((source, target))
        return sorted(found.items())

    def read(self, name: str) -> Iterator[tuple[Picture, Picture]]:
        """Stream a list's pairs, source and target; one shard at a time is in memory."""
        for path, pairs in self.by_shard(name):
            pictures = {picture.name: picture for picture in read_shard(path)}
            for source, target in pairs:
                yield pictures[source], pictures[target]


class PicturePairs(Dataset[dict[str, torch.Tensor]]):
    """A list's pairs by number, as `batches.make_pair` takes them; a few shards stay in memory.

    A sample has ``rgb`` (2, 3, H, W) uint8, ``alpha`` (2, 1, H, W) uint8 and ``joints``
    (2, 33, 4) float32, the source first.

    Args:
        folder: prepared.
        name: of the list.

    Raises:
        FileNotFoundError: the folder is not prepared.
        InputError: it has no such list, or no pair of it was prepared.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str = "train") -> None:
        self.shards = Prepared(folder).by_shard(name)
        self.counts = [len(pairs) for _, pairs in self.shards]
        if not self.counts:
            raise InputError(f"{folder} must hold pairs of the list {name!r}, got none")
        self._starts = np.cumsum([0, *self.counts])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        path, pairs = self.shards[shard]
        pictures = _read_cached(path)
        both = [pictures[name] for name in pairs[index - int(self._starts[shard])]]
        return {
            "rgb": torch.from_numpy(np.stack([p.rgb for p in both])).permute(0, 3, 1, 2),
            "alpha": torch.from_numpy(np.stack([p.alpha for p in both]))[:, None],
            "joints": torch.from_numpy(np.stack([p.joints for p in both])),
        }


@functools.lru_cache(maxsize=CACHED_SHARDS)
def _read_cached(path: Path) -> dict[str, Picture]:
    return {picture.name: picture for picture in read_shard(path)}
