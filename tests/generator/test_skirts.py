"""Skirts found by an outline."""

from __future__ import annotations

import numpy as np
import pytest
from puppet import COLOURS, PX, cut, draw, pose, shares

from motion_transfer.generator.skirts import _hem_step, with_hem
from motion_transfer.generator.working import Working
from motion_transfer.pose.skeleton import INDEX


def test_trousers_are_no_skirt_and_a_skirt_is_one_piece() -> None:
    # bug: skirts turn into culottes; the nearest leg drags its half of the cloth along
    source = draw(pose(), skirt=True)
    layers, skirt = cut(source)
    assert skirt is not None and "skirt" in layers
    cloth = (np.abs(source.rgb.astype(int) - COLOURS["skirt"]).max(-1) < 6) & (source.alpha > 0.95)
    box, pixels = layers["skirt"].box_xyxy, layers["skirt"].rgba[..., 3]
    inside = cloth[box[1] : box[3], box[0] : box[2]]
    assert inside.sum() > 0.99 * cloth.sum()
    assert (pixels[inside] > 0.9).mean() > 0.93
    rows, columns = np.nonzero(cloth)
    lowest = rows.max()
    hem = columns[rows > lowest - 5]
    assert abs(skirt.hem_left_xy[1] - lowest) < 0.06 * PX
    assert abs(skirt.hem_left_xy[0] - hem.min()) < 0.04 * PX
    assert abs(skirt.hem_right_xy[0] - hem.max()) < 0.04 * PX
    for name in ("left_thigh", "right_thigh"):
        if name in layers:
            owned = layers[name].rgba[layers[name].rgba[..., 3] > 0.9][:, :3] * 255
            purple = np.abs(owned - COLOURS["skirt"]).max(-1) < 6
            assert purple.sum() < 0.15 * cloth.sum()


def test_a_close_skirt_is_one_piece_down_to_its_hem() -> None:
    # bug: a skirt that hangs close splits into culottes, or its round hem goes with the legs
    source = draw(pose({"thigh": 3, "shin": 3}), skirt="close")
    layers, skirt = cut(source)
    assert skirt is not None
    cloth = (np.abs(source.rgb.astype(int) - COLOURS["skirt"]).max(-1) < 6) & (source.alpha > 0.95)
    layer = layers["skirt"]
    box, pixels = layer.box_xyxy, layer.rgba[..., 3]
    inside = cloth[box[1] : box[3], box[0] : box[2]]
    assert (pixels[inside] > 0.9).sum() > 0.93 * cloth.sum()
    rows = np.nonzero(cloth.any(1))[0]
    columns = np.flatnonzero(cloth[rows[-1] - 6])  # in the hem's round, below its corners
    assert (pixels[rows[-1] - 6 - box[1], columns - box[0]] > 0.5).all()
    for name in ("left_thigh", "right_thigh"):
        assert shares(layer, COLOURS[name]) < 0.02


def test_shorts_are_no_skirt() -> None:
    layers, skirt = cut(draw(pose({"thigh": 8, "shin": 3}), skirt="shorts"))
    assert skirt is None and "skirt" not in layers


@pytest.mark.parametrize(
    ("apart_m", "slit", "found"),
    [
        (0.27, False, True),  # drawn tight by a wide stance, it hardly stands out from the legs
        (0.15, False, False),  # trousers end so too
        (0.27, True, False),  # shorts
    ],
)
def test_a_wide_stance_draws_a_skirt_tight(apart_m: float, slit: bool, found: bool) -> None:
    joints = np.zeros((38, 2))
    middle, hip, hem, knee = 120, 40, 100, 140
    for side, sign in (("left", 1), ("right", -1)):
        joints[INDEX[f"{side}_hip"]] = (middle + sign * 0.06 * PX, hip)
        slope = (apart_m / 2 - 0.06) * PX / (hem - hip)  # to be so far apart at the hem
        for name, y in (("knee", knee), ("ankle", 239)):
            joints[INDEX[f"{side}_{name}"]] = (middle + sign * (0.06 * PX + slope * (y - hip)), y)
    matte = np.zeros((240, 240), np.float32)
    matte[:hem, middle - 50 : middle + 50] = 1.0
    matte[hem:, middle - 42 : middle + 42] = 1.0
    if slit:
        matte[70:, middle - 6 : middle + 6] = 0.0
    rgb = np.zeros((240, 240, 3), np.uint8)
    work = Working.make(rgb, matte, joints, PX, (0, 0, 240, 240), 1.0)
    step = _hem_step(work, matte > 0.5, range(55, 150))
    assert (step is not None) == found
    if found:
        assert abs(step - hem) < 0.05 * PX


@pytest.mark.parametrize("coat", [False, True])
def test_a_skirt_has_no_strip_of_the_legs_along_its_hem(coat: bool) -> None:
    # bug: a brown line along the hem, and stumps of legs below it; or the trousers between the two
    # sides of a coat are torn off
    rgb, matte = np.zeros((240, 240, 3), np.uint8), np.zeros((240, 240), np.float32)
    rgb[:], hem = COLOURS["skirt"], 120
    matte[40:hem, 60:180] = 1
    legs = np.zeros(matte.shape, bool)
    first = hem - 18 if coat else hem - 6  # up among what is cloth for sure
    legs[first:, 75:105] = legs[first:, 135:165] = True
    matte[legs], rgb[legs] = 1, COLOURS["head"]
    work = Working.make(rgb, matte, np.zeros((38, 2)), PX, (0, 0, 240, 240), 1.0)
    skirt = matte > 0.5
    skirt[hem + 3 :] = False  # found a little too long
    whole = with_hem(work, skirt, legs)
    assert not whole[hem + 3 :].any()
    assert whole[:hem][skirt[:hem] & ~legs[:hem]].all()
    assert whole[legs & skirt].all() if coat else not whole[legs].any()


def test_cloth_that_hangs_below_the_hem_is_skirt() -> None:
    rgb, matte = np.zeros((240, 240, 3), np.uint8), np.zeros((240, 240), np.float32)
    rgb[:120], rgb[120:], rgb[120:130, 60:75] = COLOURS["skirt"], COLOURS["head"], COLOURS["skirt"]
    matte[40:, 60:180] = 1
    legs = matte > 0.5
    legs[:130] = False
    work = Working.make(rgb, matte, np.zeros((38, 2)), PX, (0, 0, 240, 240), 1.0)
    skirt = matte > 0.5
    skirt[120:] = False
    whole = with_hem(work, skirt, legs)
    assert whole[120:130, 60:75].all() and whole.sum() == skirt.sum() + 150
