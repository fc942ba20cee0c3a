"""DeepFashion's layouts, names and key points."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_datasets import COLUMNS, ROWS, draw_person, write_deepfashion

from motion_transfer.errors import InputError
from motion_transfer.generator.canonical import JOINTS, from_blazepose
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.training.datasets.deepfashion import (
    deepfashion,
    from_openpose,
    garment_name,
    group_name,
    official_path,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_deepfashion(tmp_path / "fashion")


def test_groups_and_lists(folder) -> None:
    data = deepfashion(folder)
    assert [(g.split, len(g.pictures)) for g in data.groups] == [
        ("train", 2), ("train", 2), ("test", 2), ("test", 3)
    ]  # fmt: skip
    assert len(data.pairs["train"]) == 4 and len(data.pairs["test"]) == 8
    assert not any("flat" in name for group in data.groups for name in group.pictures)


def test_leak_free_list_has_no_garment_of_the_training_pictures(folder) -> None:
    # bug: colours are told apart, so the dress of the training pictures is tested on
    data = deepfashion(folder)
    clean = data.pairs["test-leak-free"]
    assert len(clean) == 2 and all("Jackets" in name for pair in clean for name in pair)
    trained = {garment_name(name) for pair in data.pairs["train"] for name in pair}
    assert not trained & {garment_name(name) for pair in clean for name in pair}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("fashionWOMENDressesid0000069302_3back.jpg", "WOMEN/Dresses/id_00000693/02_3_back.jpg"),
        (
            "fashionMENShirts_Polosid0000180202_7additional.jpg",
            "MEN/Shirts_Polos/id_00001802/02_7_additional.jpg",
        ),
        (
            "fashionWOMENTees_Tanksid0000001011_6flat.jpg",
            "WOMEN/Tees_Tanks/id_00000010/11_6_flat.jpg",
        ),
    ],
)
def test_official_names(name, path) -> None:
    assert official_path(name) == path


def test_names_that_are_none() -> None:
    with pytest.raises(InputError, match="must look like fashionWOMEN"):
        official_path("WOMEN/Dresses/id_00000693/02_3_back.jpg")
    assert group_name("fashionWOMENDressesid0000069302_3back.jpg").endswith("00000693-02")


@pytest.mark.parametrize("root", ["img_highres", "img"])
def test_official_folders_of_pictures(folder, root) -> None:
    flat = sorted((folder / "test").iterdir()) + sorted((folder / "train").iterdir())
    for path in flat:
        place = folder / root / official_path(path.name)
        draw_person(place, size_wh=(750, 1101) if root == "img_highres" else (176, 256))
        if root == "img":  # the official small pictures are squares with white bars
            square = Image.new("RGB", (256, 256), "white")
            with Image.open(place) as image:
                square.paste(image, (40, 0))
            square.save(place)
    shutil.rmtree(folder / "test")
    shutil.rmtree(folder / "train")
    data = deepfashion(folder)
    for picture in data.read(data.groups[0]):
        assert picture.shape == ((1101, 750, 3) if root == "img_highres" else (256, 176, 3))


def test_open_pose_order_and_missing_joints() -> None:
    # bugs: left for right in the face, rows for columns, -1 taken for a place
    x, y = np.array(COLUMNS), np.array(ROWS)
    x[4] = -1  # right wrist
    y[10] = -1  # right ankle: one of the two is enough
    found = from_openpose(x, y)
    joints = torch.from_numpy(found)[None]
    pose = from_blazepose(joints[..., :2], torch.zeros(1, 33), joints[..., 2])
    known = dict(zip(JOINTS, pose.known[0].tolist(), strict=True))
    unknown = {name for name, value in known.items() if not value}
    assert unknown == {
        "right_wrist", "right_ankle", "right_hand", "left_hand", "right_toe", "left_toe"
    }  # fmt: skip
    at = {name: pose.xy[0, k].numpy() * (176, 256) - 0.5 for k, name in enumerate(JOINTS)}
    assert np.allclose(at["neck"], (88, 60), atol=1e-4)
    assert np.allclose(at["right_eye"], (84, 26), atol=1e-4)  # on the same side as the shoulder
    assert at["right_shoulder"][0] < at["left_shoulder"][0]
    assert at["right_ear"][0] < at["left_ear"][0]
    assert np.isnan(found[INDEX["right_wrist"], :2]).all()


def test_nothing_is_known_without_a_torso() -> None:
    x = np.array(COLUMNS)
    x[11] = -1  # left hip
    assert not from_openpose(x, np.array(ROWS))[:, 2].any()


@pytest.mark.parametrize("word", ["fasion", "fashion-resize", "fashion"])
def test_spellings_of_the_lists(tmp_path, word) -> None:
    assert len(deepfashion(write_deepfashion(tmp_path / "x", word=word)).groups) == 4


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("fasion-resize-pairs-test.csv", r"no fasion-resize-pairs-test.csv \(or .*Pose-Transfer"),
        ("fasion-resize-annotation-train.csv", "no fasion-resize-annotation-train.csv"),
        ("train", r"no train/, img_highres/ or img/ .*mmlab\.ie\.cuhk\.edu\.hk"),
    ],
)
def test_what_is_missing_is_named(folder, missing, message) -> None:
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match=message):
        deepfashion(folder)
    with pytest.raises(FileNotFoundError, match=r"no such folder.*mmlab"):
        deepfashion(folder / "none")


FRONT, BACK = (f"fashionWOMENDressesid0000069301_{view}.jpg" for view in ("1front", "3back"))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("pairs", "from,to", "source,target", "must have the columns from,to, got source,target"),
        ("pairs", f"{FRONT},{BACK}", f"{FRONT},", "line 2, must hold two names"),
        (
            "pairs", f"{FRONT},{BACK}", f"{FRONT},fashionMENShirts_Polosid0000180202_4full.jpg",
            "must show one garment in one colour",
        ),
        ("pairs", f"{FRONT},{BACK}", f"{FRONT},{FRONT[:-10]}4full.jpg", "got none for"),
        ("annotation", "name:keypoints_y", "name:y", "must begin with name:keypoints_y"),
        ("annotation", ", 30]: [88", "]: [88", "must hold 18 rows and columns, got 17 and 18"),
        ("annotation", "[30, 60", "[30, x", "line 2: Expecting value"),
        ("annotation", "]: [88, 88", "]: [188, 88", "must lie in 256 x 176 .*column 188"),
    ],
)  # fmt: skip
def test_lists_that_are_wrong(folder, name, old, new, message) -> None:
    path = folder / f"fasion-resize-{name}-train.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        deepfashion(folder)
