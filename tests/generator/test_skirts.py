"""Skirts found by an outline."""

from __future__ import annotations

import numpy as np
from puppet import COLOURS, PX, cut, draw, pose, shares


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
