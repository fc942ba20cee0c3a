"""Miniature copies of the data sets in their official layouts."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
from PIL import Image

# The woman's dress is in both splits, in two colours; the jacket is only in the test split.
# A shirt without a man (flat), and a man without hips (additional), are in no official pair.
TRAIN = {
    "fashionWOMENDressesid0000069301_": ("1front", "3back"),
    "fashionMENShirts_Polosid0000180202_": ("1front", "4full"),
}
TEST = {
    "fashionWOMENDressesid0000069302_": ("1front", "2side", "3back"),
    "fashionMENJackets_Vestsid0000154003_": ("1front", "7additional"),
}
# A standing person in 256 x 176: rows and columns in the order of OpenPose.
ROWS = [30, 60, 60, 95, 125, 60, 95, 125, 130, 180, 230, 130, 180, 230, 26, 26, 30, 30]
COLUMNS = [88, 88, 68, 60, 55, 108, 116, 121, 76, 75, 74, 100, 101, 102, 84, 92, 78, 98]
RIGHT_WRIST, LEFT_HIP = 4, 11


def write_deepfashion(folder: Path, *, word: str = "fasion-resize") -> Path:
    """Pictures of 176 x 256 pixels with flat names, and the lists of PATN."""
    for split, groups in (("train", TRAIN), ("test", TEST)):
        names = [f"{group}{view}.jpg" for group, views in groups.items() for view in views]
        lines = ["name:keypoints_y:keypoints_x"]
        for number, name in enumerate([*names, "fashionMENShirts_Polosid0000180202_6flat.jpg"]):
            draw_person(folder / split / name, shade=20 * number)
            rows, columns = list(ROWS), list(COLUMNS)
            rows[RIGHT_WRIST] = columns[RIGHT_WRIST] = -1
            if "additional" in name:
                rows[LEFT_HIP] = columns[LEFT_HIP] = -1
            if "flat" in name:
                rows = columns = [-1] * 18
            lines.append(f"{name}: {rows}: {columns}")
        (folder / f"{word}-annotation-{split}.csv").write_text("\n".join(lines) + "\n")
        pairs = [
            f"{group}{a}.jpg,{group}{b}.jpg"
            for group, views in groups.items()
            for a, b in itertools.permutations(views, 2)
        ]
        (folder / f"{word}-pairs-{split}.csv").write_text("\n".join(["from,to", *pairs]) + "\n")
    return folder


def draw_person(path: Path, *, size_wh: tuple[int, int] = (176, 256), shade: int = 0) -> None:
    """A block of a person on white."""
    image = np.full((256, 176, 3), 255, np.uint8)
    image[20:240, 60:115] = (200 - shade, 80, 40 + shade)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).resize(size_wh).save(path, quality=95)


def write_mvc(folder: Path, *, products: int = 40) -> Path:
    """`mvc_info.json` and no pictures; views 4 and 5 show details, product 0 has one view."""
    entries = [
        {
            "productId": 7000 + product, "colourId": colour, "viewId": view,
            "category": '"Shirts & Tops"',
            "image_url_4x": f"http://shop.example/i/{product}-{colour}-{view}.jpg",
        }
        for product in range(products)
        for colour in (10, 11)
        for view in ((0, 1, 2, 3, 4, 5) if product else (0,))
    ]  # fmt: skip
    entries += [{**entries[k], "productId": 9999} for k in (2, 3)]  # pictures of another product
    again = entries[8]["image_url_4x"].replace("/i/", "/i/z")
    entries.append({**entries[8], "image_url_4x": again})  # a view that was taken twice
    (folder / "images").mkdir(parents=True)
    (folder / "mvc_info.json").write_text(json.dumps(entries))
    return folder
