"""Layers that turn in depth."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from motion_transfer.generator.bodies import STEP, Axis, Body
from motion_transfer.generator.turning import Surface
from motion_transfer.generator.warp import pixel_grid, sample

HEIGHT, WIDTH, HALF = 60, 101, 40.0
MIDDLE = WIDTH // 2
UPRIGHT = Axis(centre_xy=np.array([MIDDLE, 30.0]), up_xy=np.array([0.0, -1.0]))


def texture(x: int = MIDDLE, y: int | None = None) -> torch.Tensor:
    """A grey bar 80 wide with a white stripe, or a white patch, in it."""
    made = torch.zeros(1, 5, HEIGHT, WIDTH)
    inside = slice(MIDDLE - int(HALF), MIDDLE + int(HALF) + 1)
    made[:, :3, :, inside] = 0.4
    rows = slice(None) if y is None else slice(y - 2, y + 3)
    made[:, :3, rows, x - 2 : x + 3] = 1.0
    made[:, 3:, :, inside] = 1.0
    return made


def surface(front: torch.Tensor, axis: Axis = UPRIGHT, **kind) -> Surface:
    return Surface(front, kind.pop("back", None), Body(axis, front[0, 3], (0, 0)), (0, 0), **kind)


def moved(made: Surface, yaw: float, pitch: float = 0.0, **kind) -> torch.Tensor:
    """(3, h, w) shift and share of the back for every pixel, and what else `turned` gives."""
    turned, at = made.turned(yaw, pitch, **kind), pixel_grid(HEIGHT, WIDTH) / STEP
    torn = sample(turned[:, 5:], at.floor(), padding="border") > 0
    return sample(turned, torch.where(torn, at.round(), at), padding="border")[0]


def look(made: Surface, yaw: float, pitch: float = 0.0, **kind) -> torch.Tensor:
    """(3, h, w) what is seen."""
    found = moved(made, yaw, pitch, **kind)
    colours = sample(made.colours, pixel_grid(HEIGHT, WIDTH) + found[:2], padding="border")[0]
    return torch.lerp(colours[:3], colours[4:], found[2])


def white(picture: torch.Tensor) -> tuple[float, float]:
    """Middle of what is white, (x, y)."""
    y, x = (picture.mean(0) > 0.8).nonzero().float().mean(0).tolist()
    return x, y


def test_no_turn_is_the_photo() -> None:
    made = surface(texture())
    found = moved(made, 0.0)
    assert found[:2].abs().max() < 1e-3
    assert found[2, :, MIDDLE - 38 : MIDDLE + 39].max() < 0.01


@pytest.mark.parametrize("degrees", [20, -40, 60])
@pytest.mark.parametrize("depth", [1.0, 0.55])
def test_the_middle_goes_round(degrees: float, depth: float) -> None:
    # bug: the wrong way, or a flat picture that is only squeezed
    yaw = math.radians(degrees)
    made = surface(texture(), Axis(**(vars(UPRIGHT) | {"depth": depth})))
    x, _ = white(look(made, yaw))
    along = math.atan2(depth * math.sin(yaw), math.cos(yaw))
    assert x == pytest.approx(MIDDLE + HALF * math.sin(along), abs=0.09 * HALF)


def test_the_side_shows_half_of_either() -> None:
    made = surface(texture(), back=torch.tensor([0.0, 0.0, 1.0, 1.0])[None, :, None, None]
                   .expand(1, 4, HEIGHT, WIDTH))  # fmt: skip
    right = look(made, math.pi / 2)
    assert (right[2, :, MIDDLE + 12 : MIDDLE + 36] < 0.5).all()  # the front looks to the right
    assert (right[0, :, MIDDLE - 36 : MIDDLE - 12] < 0.05).all()  # behind it the back
    assert moved(made, math.pi)[2, :, 15:-15].min() > 0.99
    assert moved(made, 0.0, behind=True)[2, :, 15:-15].min() > 0.99


def test_a_back_has_no_buttons_and_no_open_jacket() -> None:
    made = surface(texture())
    back = look(made, 0.0, behind=True)
    assert back[:, :, MIDDLE - 36 : MIDDLE + 37].sub(0.4).abs().max() < 0.01


def test_the_seat_of_trousers_is_that_of_their_front() -> None:
    # bug: a back of torn shorts is all bands, drawn out from what is at the sides
    axis = dataclasses.replace(UPRIGHT, alike_px=10.0, fade_px=5.0)
    back = look(surface(texture(), axis), 0.0, behind=True)
    assert (back[:, 50:, MIDDLE] > 0.9).all() and back[:, :30].max() < 0.5


@pytest.mark.parametrize("side", [-1, 1])
def test_a_back_has_no_drawstrings(side: int) -> None:
    # bug: what hangs beside the middle of the front is drawn out to pale patches on the back
    front = texture()
    front[:, :3] = 0.4 * front[:, 3:4]
    column = MIDDLE + side * 30
    front[:, :3, 5:30, column - 2 : column + 3] = 1.0
    beyond = slice(column + 3, None) if side > 0 else slice(0, column - 2)
    front[:, 4, 5:30, beyond] = 0.0  # an arm hides what is beside it
    front[:, :3, 5:30, beyond] *= 2  # what is made up there goes on from the drawstring
    back = surface(front).colours[0, 4:, :, 15:-15]
    assert (back - 0.4).abs().max() < 0.1


def test_a_pattern_goes_on_round_the_back() -> None:
    # bug: what is at the sides is drawn out to twice its width
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    checks = torch.from_numpy(((x // 4 + y // 4) % 2).astype(np.float32))
    front = texture()
    front[:, :3] = checks * front[:, 3:4]
    back = surface(front).colours[0, 4:, :, 15:-15]
    assert back.std() > 0.7 * checks.std()
    steps, own = (float(c.diff(dim=-1).abs().mean()) for c in (back[:, 5:-5], checks))
    assert steps == pytest.approx(own, rel=0.3)


def test_no_strip_at_the_side_is_drawn_out_to_half_of_a_back() -> None:
    # bug: a thin line of light along the outline of a coat is a wide arc when it turns
    made = surface(texture())
    at = moved(made, math.radians(70))[0, HEIGHT // 2] + torch.arange(WIDTH)
    rim = (at[: MIDDLE + 35] - at.min()) < 1.2
    assert at.min() < MIDDLE - 38 and rim.sum() < 8


def test_a_head_nods() -> None:
    made = surface(texture(y=30), Axis(**(vars(UPRIGHT) | {"nod_px": 25.0})))
    x, y = white(look(made, 0.0, math.radians(20)))
    assert (x, y) == pytest.approx((MIDDLE, 30 + 25 * math.sin(math.radians(20))), abs=1)


@pytest.mark.parametrize(("y", "share"), [(30, 1.0), (42, 0.85), (4, 0.0)])
def test_a_nod_presses_no_chin_flat_and_leaves_the_crown(y: int, share: float) -> None:
    # bug: the mouth comes down to a chin that stays; above the crown there is nothing to show
    axis = Axis(**(vars(UPRIGHT) | {"nod_px": 37.5, "crown_px": 25.0}))
    made = surface(texture(y=y), axis)
    down = white(look(made, 0.0, math.radians(10)))[1] - y
    assert down == pytest.approx(share * 37.5 * math.sin(math.radians(10)), abs=1)


def test_the_neck_stays_with_the_trunk() -> None:
    # bug: the collar turns with the head
    axis = Axis(**(vars(UPRIGHT) | {"whole_px": -10.0, "still_px": 10.0}))
    made = surface(texture(), axis, trunk=surface(texture()))
    seen = look(made, math.radians(40))
    assert white(seen[:, :15])[0] == pytest.approx(
        MIDDLE + HALF * math.sin(math.radians(40)), abs=0.09 * HALF
    )
    assert white(seen[:, 45:])[0] == pytest.approx(MIDDLE, abs=1)


def test_hair_that_hangs_before_a_trunk_is_not_seen_from_behind() -> None:
    # bug: below the hair hangs a flap in the colour of the shirt, before the arm
    axis = Axis(**(vars(UPRIGHT) | {"whole_px": -10.0, "still_px": 5.0}))
    made = surface(texture(), axis, trunk=surface(texture()))
    behind, before = (moved(made, 0.0, behind=side)[3, :, 20:-20] for side in (True, False))
    assert behind[:24].min() > 0.99 and behind[32:].max() < 0.01
    assert before.min() > 0.99
    assert moved(surface(texture()), 0.0, behind=True)[3].min() > 0.99


def test_where_a_lock_has_gone_round_the_trunk_is_seen() -> None:
    # bug: in the place of a lock before the chest hangs a flap of the shirt, over the arm
    axis = Axis(**(vars(UPRIGHT) | {"whole_px": -10.0, "still_px": 5.0}))
    lock = texture()
    lock[:, :, 40:, :MIDDLE] = 0.0
    made = surface(lock, axis, trunk=surface(texture()))
    still, gone = (moved(made, 0.0, trunk=t)[3] for t in (0.0, math.radians(40)))
    assert still[45:, MIDDLE + 3 : MIDDLE + 30].min() > 0.99
    assert gone[45:, MIDDLE + 3 : MIDDLE + 15].max() < 0.01
    assert gone[:20, MIDDLE + 3 : MIDDLE + 15].min() > 0.99


def test_hair_ends_where_the_collar_begins() -> None:
    # bug: between the hair and a white shirt lies grey smoke
    axis = Axis(**(vars(UPRIGHT) | {"whole_px": -10.0, "still_px": 10.0}))
    hair = torch.zeros(1, 4, HEIGHT, WIDTH)
    hair[:, 3] = 1.0
    made = surface(texture(), axis, back=hair, trunk=surface(texture()))
    line = made.colours[0, 4, :, MIDDLE - 20]
    mixed = (line > 0.04) & (line < 0.36)
    assert line[:25].max() < 0.01 and line[37:].min() > 0.38 and mixed.sum() < 7


def test_a_leaning_layer_turns_about_its_own_axis() -> None:
    lying = Axis(centre_xy=np.array([MIDDLE, 30.0]), up_xy=np.array([1.0, 0.0]))
    front = texture(y=30)
    made = surface(front, lying)
    x, y = white(look(made, math.radians(30)))
    assert x == pytest.approx(MIDDLE, abs=1)
    assert abs(y - 30) == pytest.approx(30 * math.sin(math.radians(30)), abs=2)


def test_nothing_of_the_background_comes_in() -> None:
    # bug: black rims of turned faces, from beyond the outline
    made = surface(texture())
    for degrees in (10, 35, 70, 110, 160):
        seen = look(made, math.radians(degrees))
        assert seen[:, :, MIDDLE - 39 : MIDDLE + 40].min() > 0.39


def test_before_hair_that_stands_off_a_face_is_as_long_as_a_skull() -> None:
    # bug: a profile in long hair is a sliver; its ear was half way to the nose
    tragus = MIDDLE - round(0.81 * HALF)
    turned = [Axis(**(vars(UPRIGHT) | {"side": side})) for side in (1.0, 0.81)]
    plain, hair = (white(look(surface(texture(tragus), axis), math.pi / 2)) for axis in turned)
    assert plain[0] - 2 > hair[0] > MIDDLE
    made = surface(texture(), Axis(**(vars(UPRIGHT) | {"side": 0.81})))
    assert moved(made, 0.0)[:2].abs().max() < 1e-2
    for degrees in (-60, 30, 80):  # the middle goes round as ever, and nothing is folded
        yaw = math.radians(degrees)
        shift, _, back = moved(made, yaw)[:3, 30].numpy()
        shown = np.flatnonzero(back < 0.01)[3:-3]
        assert (np.diff(shift)[shown] > -1.01).all()
        assert np.sign(white(look(made, yaw))[0] - MIDDLE) == np.sign(degrees)


@pytest.mark.parametrize("last", [0.2, -0.2])
def test_how_far_the_seen_side_is_seen(last: float) -> None:
    made = surface(texture(), Axis(**(vars(UPRIGHT) | {"last": last})))
    back = moved(made, math.pi / 2)[2, 30, MIDDLE - 30 : MIDDLE + 31]
    edge = MIDDLE - 30 + int((back < 0.5).nonzero()[0])
    assert np.sign(edge - MIDDLE) == np.sign(last)
