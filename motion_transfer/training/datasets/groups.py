"""What the loaders of all data sets give: groups of pictures, and pairs of their names."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from motion_transfer.errors import InputError, MediaError
from motion_transfer.media.photo import read_photo

Split = Literal["train", "test"]
NamePair = tuple[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Pictures of one person in the same clothes; both pictures of a pair are in one group.

    Args:
        name: of the group, unique.
        split: of the whole group.
        pictures: names of its pictures, unique in the data set.
        paths: the pictures' files; one for each, or one video for all.
        joints: (N, 33, 3) x, y, confidence in the order of `pose.skeleton.JOINTS`, as shares of
            width and height from the edge, NaN where unknown; where the data set has key points.
    """

    name: str
    split: Split
    pictures: tuple[str, ...]
    paths: tuple[Path, ...]
    joints: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set as it lies on the user's disk.

    Args:
        groups: of both splits.
        pairs: (source, target) names of each list: "train", "test", and others to test on.
        read: for each picture of a group (H, W, 3) uint8, not yet resized, or the reason why there
            is none. A function of a module, so that processes can be given it.
        about: what was chosen, for the record.
    """

    groups: list[Group]
    pairs: dict[str, list[NamePair]]
    read: Callable[[Group], Iterator[np.ndarray | str]]
    about: dict[str, str]


def read_files(paths: Sequence[Path], *, max_side: int | None = None) -> Iterator[np.ndarray | str]:
    """Pictures from their files, as `DataSet.read` gives them."""
    for path in paths:
        try:
            yield read_photo(path, max_side=max_side).rgb
        except FileNotFoundError:
            yield "no such file"
        except MediaError as error:
            yield str(error)


def find_file(folder: Path, names: Sequence[str], *, source: str) -> Path:
    """The first of these files that is in the folder.

    Args:
        folder: where to look.
        names: spellings in use.
        source: where to get the file, for the error.

    Raises:
        FileNotFoundError: none of them is there.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    others = f" (or {', '.join(names[1:])})" if len(names) > 1 else ""
    raise FileNotFoundError(f"no {names[0]}{others} in {folder}; get it from {source}")


def check_folder(folder: str | os.PathLike[str], *, source: str) -> Path:
    """The folder of a data set.

    Raises:
        FileNotFoundError: there is no such folder; says where the data set is to be had.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"no such folder: {path}; the data set is to be had from {source}")
    return path


def read_pairs(path: Path) -> list[NamePair]:
    """Pairs of a comma-separated file with the header `from,to`.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it has other columns, or a line without two names.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such list of pairs: {path}")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if "from" not in columns or "to" not in columns:
            raise InputError(f"{path} must have the columns from,to, got {','.join(columns)}")
        pairs = [((row["from"] or "").strip(), (row["to"] or "").strip()) for row in reader]
    for number, pair in enumerate(pairs, start=2):
        if not all(pair):
            raise InputError(f"{path}, line {number}, must hold two names, got {','.join(pair)!r}")
    return pairs


def write_pairs(path: Path, pairs: Sequence[NamePair]) -> None:
    """Write a list that `read_pairs` reads; the file appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("from", "to"))
        writer.writerows(pairs)
    os.replace(temporary, path)
