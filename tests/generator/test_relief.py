"""Noses stand out of heads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_turning import HALF, HEIGHT, MIDDLE, UPRIGHT, WIDTH, look, moved, surface, texture, white

from motion_transfer.generator.bodies import Axis, Body
from motion_transfer.generator.relief import face_relief, face_side, head_depth
from motion_transfer.generator.warp import pixel_grid
from motion_transfer.pose.face_mesh import BRIDGE, BROWS, NUM_POINTS, SIDES

NOSE = 12.0  # pixels


def nose(middle: int = MIDDLE, row: int = 30) -> torch.Tensor:
    """(h, w) a bump as high as `NOSE`."""
    grid = pixel_grid(HEIGHT, WIDTH)[0]
    x, y = (grid[0] - middle) / 9, (grid[1] - row) / 9
    return NOSE * (1 - x**2 - y**2).clamp_min(0)


def tip(degrees: float, **kind) -> float:
    """Where across the picture a white tip is seen."""
    return white(look(surface(texture(y=30), **kind), math.radians(degrees)))[0] - MIDDLE


@pytest.mark.parametrize("degrees", [25, -40])
@pytest.mark.parametrize("depth", [1.0, 0.5])
def test_a_nose_goes_farther_aside_than_a_cheek(degrees: float, depth: float) -> None:
    # bug: a nose painted on a cylinder stays in the middle of its face
    axis = Axis(**(vars(UPRIGHT) | {"depth": depth}))
    farther = tip(degrees, axis=axis, relief=nose()) - tip(degrees, axis=axis)
    assert farther == pytest.approx(NOSE * math.sin(math.radians(degrees)), abs=1.8)


def test_a_nose_stands_out_of_the_outline_of_a_profile() -> None:
    made = surface(texture(), relief=nose())
    seen = made.turned(math.radians(80))[0, 4, 15]  # the line of its tip, every other pixel
    right = (MIDDLE + HALF) / 2
    assert seen[round(right + 1) : round(right + 4)].min() > 0.9
    assert seen[round(right + NOSE / 2) :].max() == 0
    assert seen[: round(right) - 8].max() == 0, "nothing at the nape"
    shift = moved(made, math.radians(80))[0, 30]
    x = round(MIDDLE + HALF + 6)
    assert x + shift[x] == pytest.approx(MIDDLE, abs=6), "it shows the nose"
    assert made.reach_px == pytest.approx(NOSE, abs=0.5)


@pytest.mark.parametrize("side", [1, -1])
def test_a_nose_hides_the_cheek_behind_it(side: int) -> None:
    patch = texture(MIDDLE + side * 10, 30)
    yaw = math.radians(50 * side)
    assert (look(surface(patch), yaw).mean(0) > 0.8).any()
    assert not (look(surface(patch, relief=nose()), yaw).mean(0) > 0.8).any()


@pytest.mark.parametrize("degrees", [0, 7])
def test_what_may_be_noise_moves_no_nose(degrees: float) -> None:
    yaw = math.radians(degrees)
    found = moved(surface(texture(), relief=nose()), yaw) - moved(surface(texture()), yaw)
    assert found.abs().max() == 0


def test_a_nose_nods_farther_than_a_forehead() -> None:
    nods = Axis(**(vars(UPRIGHT) | {"nod_px": 28.0}))
    yaw, pitch = math.radians(30), math.radians(10)
    rows = [
        white(look(surface(texture(y=30), nods, **kind), yaw, pitch))[1]
        for kind in ({}, {"relief": nose()})
    ]
    assert rows[1] - rows[0] == pytest.approx(NOSE * math.sin(pitch), abs=1)


def test_what_does_not_stand_out_turns_as_ever() -> None:
    made, flat = surface(texture(), relief=nose()), surface(texture())
    rows = [4, 10, 50, 56]  # above and below the nose
    yaw = math.radians(40)
    assert torch.equal(moved(made, yaw)[:, rows], moved(flat, yaw)[:, rows])
    nothing = surface(texture(), relief=torch.zeros(HEIGHT, WIDTH))
    assert torch.equal(moved(nothing, yaw), moved(flat, yaw))


def face(width: float = 60.0, nose_px: float = 12.0) -> np.ndarray:
    """(468, 3) points on a round face about (50, 30) with a nose at (50, 34)."""
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, NUM_POINTS) for _ in range(2))
    x[list(SIDES)], y[list(SIDES)] = (-1, 1), 0
    x[[BROWS, BRIDGE]], y[[BROWS, BRIDGE]] = 0, (-0.4, -0.2)
    x, y = 50 + x * width / 2, 30 + y * 28
    out = np.sqrt(np.maximum((0.53 * width) ** 2 - (x - 50) ** 2, 0))
    out += nose_px * np.clip(1 - np.hypot(x - 50, y - 34) / 8, 0, 1)
    out += nose_px * np.clip(1 - np.hypot(x - 50, y - 10) / 8, 0, 1)  # a fringe
    return np.stack([x, y, -out], -1).astype(np.float32)


def body(half: float) -> Body:
    alpha = torch.zeros(HEIGHT, WIDTH)
    alpha[:, int(MIDDLE - half) : int(MIDDLE + half) + 1] = 1
    return Body(UPRIGHT, alpha, (0, 0))


@pytest.mark.parametrize("half", [33.0, 50.0])
def test_of_a_face_the_nose_stands_out(half: float) -> None:
    # however wide the hair is: against that all of a face would stand out, or sink
    found = face_relief(face(), body(half), torch.ones(HEIGHT, WIDTH), (0, 0)).numpy()
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert np.hypot(row - 34, column - 50) < 4
    assert found.max() == pytest.approx(10, abs=3)
    assert found[:18].max() < 0.5, "no brow, from which hair hangs"
    away = np.hypot(*(pixel_grid(HEIGHT, WIDTH)[0].numpy() - np.array([50, 34])[:, None, None]))
    assert found[away > 14].max() < 2


def test_wide_hair_makes_no_head_deep() -> None:
    assert head_depth(face(60), body(33)) == 1
    assert head_depth(face(30), body(40)) == pytest.approx(0.45, abs=0.03)
    assert head_depth(face(8), body(50)) == 0.3


@pytest.mark.parametrize(("half", "side"), [(34.0, 0.92), (50.0, 1.0), (29.0, 1.0)])
def test_a_face_ends_before_its_ears(half: float, side: float) -> None:
    # beneath wide hair, and where it fills the head, there is nothing to tell
    assert face_side(face(), body(half)) == pytest.approx(side, abs=0.02)
