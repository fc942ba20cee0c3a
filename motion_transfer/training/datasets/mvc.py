"""MVC, the multi-view clothing data set, with a list of pairs made by a rule.

Liu, Chen and Chen, "MVC: A Dataset for View-Invariant Clothing Retrieval and Attribute Prediction"
(ICMR 2016). It is a list of links; no pairs for pose transfer were ever published. The rule here
needs nothing but the official `mvc_info.json`, so that everybody gets the same list:

1. A group is one product in one colour (`productId`, `colourId`) and holds one picture for each of
   the views 0 to 3 (`viewId`; others show details): of several the one whose name comes first. A
   picture of two products belongs to the one that comes first.
2. Products are ordered by the SHA-256 of `seed:productId`. The first tenth is the test split, so
   that no garment is in both, in whatever colour.
3. All ordered pairs of two pictures of a group are pairs. Test pairs are ordered by the SHA-256 of
   `seed:from:to`; the first 10,000 are the list.

A picture's name is the last part of its link.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.training.datasets.groups import (
    DataSet,
    Group,
    NamePair,
    Split,
    check_folder,
    find_file,
    read_files,
    write_pairs,
)

SOURCE = "https://github.com/MVC-Datasets/MVC (json files)"
VIEWS = (0, 1, 2, 3)
TEST_SHARE = 0.1  # of the products
MAX_TEST_PAIRS = 10_000
SEED = 0
MAX_SIDE = 1024  # the pictures are 1920 x 2240
_FIELDS = ("productId", "colourId", "viewId", "image_url_4x")


def mvc(folder: str | os.PathLike[str]) -> DataSet:
    """The data set with the lists "train" and "test".

    Args:
        folder: holds `mvc_info.json`, and the downloaded pictures in `images/`.

    Raises:
        FileNotFoundError: the list or the pictures' folder is missing.
        InputError: the list is not what it should be.
    """
    folder = check_folder(folder, source=SOURCE)
    images = folder / "images"
    if not images.is_dir():
        raise FileNotFoundError(
            f"no images/ in {folder}; download the links (image_url_4x) of mvc_info.json there"
        )
    groups = read_groups(find_file(folder, ("mvc_info.json",), source=SOURCE), images)
    return DataSet(groups=groups, pairs=make_pairs(groups), read=_read, about={"seed": str(SEED)})


def read_groups(path: Path, images: Path) -> list[Group]:
    """The groups of `mvc_info.json`, train before test; rules 1 and 2 of the module.

    Args:
        path: the file.
        images: folder of the pictures.

    Raises:
        InputError: it is not such a file.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise InputError(f"{path} must be a list of pictures, got {type(entries).__name__}")
    rows = sorted({_row(entry, number, path) for number, entry in enumerate(entries)})
    views: dict[tuple[str, str], dict[int, str]] = {}
    taken: set[str] = set()
    for product, colour, view, name in rows:
        if view not in VIEWS or not name or name in taken:
            continue
        taken.add(name)
        views.setdefault((product, colour), {}).setdefault(view, name)
    splits = split_products({product for product, _ in views})
    groups = []
    for (product, colour), found in sorted(views.items()):
        names = tuple(found[view] for view in sorted(found))
        if len(names) > 1:
            groups.append(Group(
                name=f"{product}-{colour}", split=splits[product], pictures=names,
                paths=tuple(images / name for name in names),
            ))  # fmt: skip
    return sorted(groups, key=lambda group: group.split == "test")


def split_products(products: set[str]) -> dict[str, Split]:
    """The split of each product; rule 2 of the module."""
    order = sorted(products, key=lambda product: (_hash(product), product))
    num_test = round(TEST_SHARE * len(order))
    return {product: "test" if k < num_test else "train" for k, product in enumerate(order)}


def make_pairs(groups: Sequence[Group]) -> dict[str, list[NamePair]]:
    """The lists "train" and "test"; rule 3 of the module."""
    pairs: dict[str, list[NamePair]] = {"train": [], "test": []}
    for group in groups:
        pairs[group.split] += itertools.permutations(group.pictures, 2)
    pairs["test"].sort(key=lambda pair: (_hash(*pair), pair))
    pairs["test"] = sorted(pairs["test"][:MAX_TEST_PAIRS])
    return pairs


def mvc_pairs(info: Path, output: Path) -> None:
    """Write MVC's list of pairs; it depends on `mvc_info.json` alone.

    Args:
        info: the official mvc_info.json.
        output: folder for mvc-pairs-train.csv and mvc-pairs-test.csv.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is not what it should be.
    """
    groups = read_groups(find_file(info.parent, (info.name,), source=SOURCE), Path("images"))
    output.mkdir(parents=True, exist_ok=True)
    for split, pairs in make_pairs(groups).items():
        path = output / f"mvc-pairs-{split}.csv"
        write_pairs(path, pairs)
        print(f"{len(pairs)} pairs -> {path}")


def _read(group: Group) -> Iterator[np.ndarray | str]:
    return read_files(group.paths, max_side=MAX_SIDE)


def _row(entry: Any, number: int, path: Path) -> tuple[str, str, int, str]:
    """Product, colour, view and picture's name ("" without a link)."""
    if not isinstance(entry, dict) or any(name not in entry for name in _FIELDS):
        raise InputError(
            f"{path}: picture {number} must have {', '.join(_FIELDS)}; get the file from {SOURCE}"
        )
    product, colour, view, link = (entry[name] for name in _FIELDS)
    try:
        name = PurePosixPath(urlsplit(str(link).strip().strip('"')).path).name
        return str(product), str(colour), int(view), name
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: picture {number}: viewId: {error}") from error


def _hash(*parts: str) -> str:
    return hashlib.sha256(":".join((str(SEED), *parts)).encode()).hexdigest()
