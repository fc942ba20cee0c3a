"""The list of pairs that is made for MVC."""

import json
import random
from pathlib import Path

import pytest
from small_datasets import write_mvc

from motion_transfer.cli import main
from motion_transfer.errors import InputError
from motion_transfer.training.datasets import mvc as module
from motion_transfer.training.datasets.groups import read_pairs
from motion_transfer.training.datasets.mvc import mvc


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_mvc(tmp_path / "mvc")


def test_groups_are_products_in_a_colour(folder) -> None:
    data = mvc(folder)
    assert len(data.groups) == 39 * 2  # not the product with one view, nor the copy of another's
    assert all(len(group.pictures) == 4 for group in data.groups)  # no details
    names = [name for group in data.groups for name in group.pictures]
    assert len(set(names)) == len(names)
    assert data.groups[0].paths[0] == folder / "images" / data.groups[0].pictures[0]


def test_no_product_is_in_both_splits(folder) -> None:
    # bug: another colour of a garment of the test is trained on
    data = mvc(folder)
    products = {split: {g.name.split("-")[0] for g in data.groups if g.split == split}
                for split in ("train", "test")}  # fmt: skip
    assert not products["train"] & products["test"]
    assert len(products["train"]) + len(products["test"]) == 39
    assert 2 <= len(products["test"]) <= 6
    group_of = {name: g.name for g in data.groups for name in g.pictures}
    for pairs in data.pairs.values():
        assert all(group_of[a] == group_of[b] and a != b for a, b in pairs)
    assert len(data.pairs["test"]) == 12 * 2 * len(products["test"])


def test_list_does_not_depend_on_the_order_of_the_file(folder, tmp_path) -> None:
    main(["dataset", "mvc-pairs", "--info", str(folder / "mvc_info.json"),
          "--output", str(tmp_path / "a")])  # fmt: skip
    entries = json.loads((folder / "mvc_info.json").read_text())
    random.Random(0).shuffle(entries)
    (folder / "mvc_info.json").write_text(json.dumps(entries))
    main(["dataset", "mvc-pairs", "--info", str(folder / "mvc_info.json"),
          "--output", str(tmp_path / "b")])  # fmt: skip
    for split in ("train", "test"):
        name = f"mvc-pairs-{split}.csv"
        assert (tmp_path / "a" / name).read_text() == (tmp_path / "b" / name).read_text()
        assert read_pairs(tmp_path / "a" / name) == mvc(folder).pairs[split]


def test_test_list_is_a_fixed_choice(folder, monkeypatch) -> None:
    whole = mvc(folder).pairs["test"]
    monkeypatch.setattr(module, "MAX_TEST_PAIRS", 10)
    some = mvc(folder).pairs["test"]
    assert len(some) == 10 and set(some) < set(whole) and some != whole[:10]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("{}", "must be a list of pictures, got dict"),
        ('[{"productId": 1}]', "picture 0 must have productId, colourId, viewId, image_url_4x"),
        (
            '[{"productId": 1, "colourId": 2, "viewId": "x", "image_url_4x": ""}]',
            "picture 0: viewId",
        ),
    ],
)
def test_files_that_are_wrong(folder, text, message) -> None:
    (folder / "mvc_info.json").write_text(text)
    with pytest.raises(InputError, match=message):
        mvc(folder)


def test_what_is_missing_is_named(folder, capsys) -> None:
    (folder / "images").rmdir()
    with pytest.raises(FileNotFoundError, match=r"no images/ .*image_url_4x"):
        mvc(folder)
    (folder / "mvc_info.json").unlink()
    with pytest.raises(SystemExit):
        main(["dataset", "mvc-pairs", "--info", str(folder / "mvc_info.json"), "--output", "x"])
    assert "no mvc_info.json in" in capsys.readouterr().err
