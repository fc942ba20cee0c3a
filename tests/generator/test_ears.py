"""Ears hang before the sides of heads that turn."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch
from test_relief import face as face_points
from test_relief import nose
from test_turning import HEIGHT, MIDDLE, UPRIGHT, WIDTH, texture

from motion_transfer.generator.bodies import Axis, Body
from motion_transfer.generator.ears import Ear, ear_outline, find_ears
from motion_transfer.generator.turning import Surface
from motion_transfer.generator.warp import pixel_grid, sample
from motion_transfer.generator.working import Layer
from motion_transfer.pose.face_mesh import NOSE
from motion_transfer.pose.skeleton import INDEX

SKIN, HAIR = np.array([220, 160, 130]) / 255, np.array([50, 45, 45]) / 255
HALF, TRAGUS = 40, 30  # half the width of a head and of its face
TALL = 16  # an ear


def head(
    *, left: float | None = 1.0, right: float | None = None, skin: np.ndarray = SKIN
) -> tuple[Layer, np.ndarray]:
    """A face before hair with ears, so bright, at the sides of the picture; and its points."""
    y, x = np.mgrid[: HEIGHT - 2, : WIDTH - 2] + 1
    rgba = np.concatenate([np.broadcast_to(HAIR, (*x.shape, 3)), np.ones((*x.shape, 1))], -1)
    rgba[..., 3] = np.abs(x - MIDDLE) <= HALF
    rgba[(np.abs(x - MIDDLE) <= TRAGUS) & (y > 16), :3] = skin
    for side, bright in ((-1, left), (1, right)):
        out = side * (x - MIDDLE) - TRAGUS
        if bright is not None:
            rgba[(out > 0) & (out <= 7) & (np.abs(y - 32) <= TALL / 2), :3] = bright * skin
    points = face_points()
    points[NOSE, :2] = MIDDLE, 34
    layer = Layer(
        name="head", box_xyxy=(1, 1, WIDTH - 1, HEIGHT - 1), rgba=rgba.astype(np.float32),
        visible=np.ones(x.shape, np.float32),
    )  # fmt: skip
    return layer, points


def stack(layer: Layer) -> torch.Tensor:
    """(1, 5, h, w) its texture."""
    rgba = torch.from_numpy(np.pad(layer.rgba, ((1, 1), (1, 1), (0, 0)))).permute(2, 0, 1)
    return torch.cat([rgba[:3] * rgba[3:], rgba[3:], rgba[3:]])[None]


def ears(layer: Layer, points: np.ndarray) -> list[Ear]:
    front = stack(layer)
    return find_ears(layer, points, Body(UPRIGHT, front[0, 3], (0, 0)), front, (0, 0))


def seen(ear: Ear, degrees: float) -> np.ndarray:
    """(h, w) alpha of an ear on a head that is turned."""
    found = ear.turned(pixel_grid(HEIGHT, WIDTH), math.radians(degrees))
    if found is None:
        return np.zeros((HEIGHT, WIDTH))
    return sample(*found)[0, 3].numpy()


@pytest.mark.parametrize("bright", [1.0, 0.55])
def test_ears_are_found_in_light_and_shade(bright: float) -> None:
    # bug: of an ear in the shade nothing was found, since it is as dark as the hair
    (ear,) = ears(*head(left=bright))
    alpha = ear.texture[0, 3].numpy()
    assert alpha[32, MIDDLE - TRAGUS - 6 : MIDDLE - TRAGUS].min() > 0.5
    assert alpha[:, : MIDDLE - TRAGUS - 10].max() < 0.1
    assert alpha[:20, : MIDDLE - TRAGUS - 2].max() < 0.1
    assert alpha[:, MIDDLE - TRAGUS + 4 :].max() < 0.1, "nothing of the face"


def test_both_ears_are_found() -> None:
    assert [ear._side for ear in ears(*head(right=1.0))] == [-1, 1]


def test_hair_hides_ears() -> None:
    assert ears(*head(left=None)) == []


def test_what_is_like_skin_elsewhere_is_no_ear() -> None:
    layer, points = head()
    layer.rgba[15:19, MIDDLE - TRAGUS - 10 : MIDDLE - TRAGUS - 5, :3] = SKIN
    (ear,) = ears(layer, points)
    assert ear.texture[0, 3, :21, : MIDDLE - TRAGUS - 3].max() < 0.1


def test_an_ear_of_a_pixel_is_none() -> None:
    # bug: on a person who is small in the photo it became a blur as wide as an ear
    layer, points = head()
    size = (WIDTH // 5, HEIGHT // 5)
    rgba = cv2.resize(layer.rgba, size, interpolation=cv2.INTER_AREA)
    points[:, :2] = (points[:, :2] - 1) / 5 + 1
    tiny = dataclasses.replace(
        layer, rgba=rgba, box_xyxy=(1, 1, size[0] + 1, size[1] + 1), visible=np.ones(size[::-1])
    )
    assert ears(tiny, points) == []


def test_skin_like_hair_tells_nothing() -> None:
    # bug: of a bald head, or one in its own shade, a piece was an ear
    assert ears(*head(skin=HAIR * 1.05)) == []


def test_a_cheek_that_is_turned_away_is_no_ear() -> None:
    layer, points = head(right=1.0)
    points[NOSE, 0] = MIDDLE + 0.6 * TRAGUS
    assert [ear._side for ear in ears(layer, points)] == [-1]


def test_an_ear_goes_to_the_middle_of_a_profile_and_grows() -> None:
    # bug: a head from the side has no ear
    (ear,) = ears(*head())
    small, large = (np.argwhere(seen(ear, d) > 0.5)[:, 1] for d in (25, 85))
    assert 1.1 * np.ptp(small) < np.ptp(large) > 12, "and 7 in the photo"
    assert small.mean() < MIDDLE - 15 and abs(large.mean() - MIDDLE) < 18
    rows = np.flatnonzero((seen(ear, 85) > 0.5).sum(1) > 8)
    assert np.ptp(rows) == pytest.approx(TALL, abs=2) and rows.mean() == pytest.approx(32, abs=1)


@pytest.mark.parametrize("degrees", [0, 5, -25, -85, 170])
def test_an_ear_is_where_its_side_is_seen(degrees: float) -> None:
    (ear,) = ears(*head())
    assert seen(ear, degrees).max() == 0


def test_an_ear_comes_softly() -> None:
    (ear,) = ears(*head())
    shares = [seen(ear, d).max() for d in (9, 12, 15, 25)]
    assert shares == sorted(shares) and shares[0] < 0.1 and shares[-1] > 0.9


def test_ears_are_no_outline_from_the_side() -> None:
    # bug: a bump at the nape
    front = texture()
    front[..., 26:36, MIDDLE - 46 : MIDDLE + 47] = front[..., 26:36, MIDDLE, None]
    made = Body(Axis(**(vars(UPRIGHT) | {"smooth_px": 12.0})), front[0, 3], (0, 0))
    joints = np.zeros((33, 2))
    joints[[INDEX["left_ear"], INDEX["right_ear"]]] = (MIDDLE - 43, 30), (MIDDLE + 43, 30)
    ears = ear_outline(joints, made, front[0, 3], (0, 0), 12.0)
    assert ears[31, [MIDDLE - 44, MIDDLE + 44]].min() > 0.9
    assert ears[:, MIDDLE - 36 : MIDDLE + 37].max() == 0 and ears[:18].max() == 0
    head = Surface(front, None, made, (0, 0), relief=nose(), ears=ears)
    kept = [head.turned(math.radians(d))[0, 3] for d in (0, 80)]
    assert kept[0].min() == 1
    assert kept[1][15, [(MIDDLE - 44) // 2, (MIDDLE + 44) // 2]].max() < 0.1
    assert head.turned(math.radians(80))[0, 4, 15, (MIDDLE + 44) // 2] > 0.9, "but a nose is"
